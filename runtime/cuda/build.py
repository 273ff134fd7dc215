"""``python -m runtime.cuda.build``: compile the preprocessing kernel anew and write ``SOURCE.json``.

Wants the extra ``kernel`` (NVRTC and its bindings from PyPI), no GPU, no CUDA toolkit. Serving needs none of it.
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = ("portable.cuh", "pixels.cuh", "output.cuh", "preprocess.cuh", "preprocess.cu")
CUBINS = (75, 80, 86, 89, 90, 100, 120)
PTX = 80
"""For what comes after the cubins; below 80 there is only 75, which has one."""
OPTIONS = ("--std=c++17", "--fmad=false")
"""No fused multiply-add: the interpolation's coefficients must round as OpenCV's do."""


def main(argv: list[str] | None = None) -> int:
    """Compile every image into ``--folder``."""
    parser = argparse.ArgumentParser(prog="python -m runtime.cuda.build", description=__doc__.partition(": ")[2])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    parser.add_argument(
        "--architectures",
        type=int,
        nargs="+",
        default=CUBINS,
        help="compute capabilities times ten (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    images = {f"sm_{number}": _write(arguments.folder, f"sm_{number}", "cubin") for number in arguments.architectures}
    images[f"compute_{PTX}"] = _write(arguments.folder, f"compute_{PTX}", "ptx")
    known = {"compiler": compiler(), "options": list(OPTIONS), "sources": source_digests(), "images": images}
    (arguments.folder / "SOURCE.json").write_text(json.dumps(known, indent=2) + "\n")
    for image in images.values():
        print(arguments.folder / image["file"])
    return 0


def source_digests() -> dict[str, str]:
    """sha256 of each source file as it is now."""
    return {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in SOURCES}


def compiler() -> str:
    """NVRTC with the version of its package."""
    return f"NVRTC {version('nvidia-cuda-nvrtc')}"


def compile_image(architecture: str) -> bytes:
    """Compile for ``sm_90`` (a cubin) or ``compute_80`` (PTX).

    Raises:
        SyntaxError: the compiler's complaint.
    """
    from cuda.bindings import nvrtc  # noqa: PLC0415 - of an extra that only building needs

    headers = [(FOLDER / name).read_bytes() for name in SOURCES[:-1]]
    text, names = (FOLDER / SOURCES[-1]).read_bytes(), [name.encode() for name in SOURCES[:-1]]
    _, program = nvrtc.nvrtcCreateProgram(text, SOURCES[-1].encode(), len(headers), headers, names)
    options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = bytes(nvrtc.nvrtcGetProgramLogSize(program)[1])
        nvrtc.nvrtcGetProgramLog(program, log)
        raise SyntaxError(log.decode())
    size, get = (
        (nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
        if architecture.startswith("sm_")
        else (nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    )
    image = bytes(size(program)[1])
    get(program, image)
    nvrtc.nvrtcDestroyProgram(program)
    return image


def _write(folder: Path, architecture: str, kind: str) -> dict[str, Any]:
    image = compile_image(architecture)
    path = folder / f"preprocess.{architecture}.{kind}"
    path.write_bytes(image)
    return {"file": path.name, "sha256": hashlib.sha256(image).hexdigest()}


if __name__ == "__main__":
    sys.exit(main())
