"""Dependencies run one way, and serving loads no accelerator's library before it needs one."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ROOT

MAY_IMPORT = {
    "stream": set[str](),
    "runtime": {"stream"},
    "training": {"runtime"},
    "export": {"training", "runtime"},
    "benchmarks": {"stream", "runtime", "training", "export", "tests", "demo"},
    "demo": {"stream", "runtime", "training", "export", "tests", "benchmarks"},
}
"""Of our own packages, beside itself. The first four are shipped: what is not must not be missed there."""
OURS = {*MAY_IMPORT, "tests"}
HEAVY = ["torch", "onnxruntime", "onnx", "tensorrt", "tensorrt_rtx", "pycuda", "cuda", "cupy", "nvidia"]


def imported(source: str) -> Iterator[str]:
    """The top-level names of all imports, also of those inside functions and by ``import_module``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from (str(arg.value).partition(".")[0] for arg in node.args if isinstance(arg, ast.Constant))


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_dependencies_run_one_way(package: str) -> None:
    """Each package imports of ours only what lies below it."""
    allowed = MAY_IMPORT[package] | {package}

    strayed = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path.read_text())
        if name in OURS and name not in allowed
    }
    assert strayed == set()


def test_the_rule_finds_a_stray_import() -> None:
    """A test that looks at nothing would pass: it sees every form, and the packages have modules."""
    source = "import torch.nn\ndef late():\n    from runtime.decode import Decoder\n    import_module('tests.x')\n"

    assert list(imported(source)) == ["torch", "runtime", "tests"]
    assert all(modules(package) for package in ("stream", "runtime", "export", "benchmarks", "demo"))


def test_only_the_engines_file_names_its_library() -> None:
    """One backend a file: nothing else in ``runtime`` knows of ONNX Runtime, and nothing there of torch."""
    users = {
        (path.name, name)
        for package in ("stream", "runtime")
        for path in modules(package)
        for name in imported(path.read_text())
        if name in HEAVY
    }

    assert users == {
        ("engine_onnx.py", "onnxruntime"),
        ("device_pycuda.py", "pycuda"),
        ("device_cuda_core.py", "cuda"),
        ("codec_nvimgcodec.py", "nvidia"),
        ("build.py", "cuda"),  # the kernel's compiler, which serving never calls
    }  # TensorRT's two names are found by tensorrt_library.py, which loads the one that a plan asks for


def test_every_package_folder_is_a_package() -> None:
    """Without ``__init__.py`` a package of the same name later on the path would win."""
    folders = {path.parent for package in MAY_IMPORT for path in modules(package)}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("module", ["runtime.serve", "runtime.assess", "stream.publish", "stream.tail"])
def test_a_command_loads_no_heavy_library(module: str) -> None:
    """``--help`` and a wrong setting answer at once, also where no accelerator is installed."""
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
