"""TensorRT's real Python bindings, importable without TensorRT.

The binding wheels need nine C functions of three libraries to load. Libraries that have just these, returning
nothing, let a machine without GPU read every class, method and signature of a TensorRT version.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parents[1] / ".build" / "tensorrt-bindings"
VERSIONS = ("10.16.1.11", "11.4.0.106")
SYMBOLS = {
    "nvinfer": (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
    "nvonnxparser": ("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getNvOnnxParserVersion"),
}

DESCRIBE = """
import importlib, inspect, json, sys
trt = importlib.import_module(sys.argv[1])
def member(owner, name):
    value = inspect.getattr_static(owner, name)
    if isinstance(value, property):
        return {"kind": "property", "doc": getattr(value.fget, "__doc__", None), "settable": value.fset is not None}
    value = getattr(owner, name)
    if inspect.isclass(value):
        return {"kind": "class", "name": value.__qualname__}
    if isinstance(value, owner):
        return {"kind": "value"}
    return {"kind": "method" if callable(value) else "other", "doc": value.__doc__}
classes = {cls.__qualname__: cls for cls in vars(trt).values() if inspect.isclass(cls)}
classes |= {c.__qualname__: c for owner in list(classes.values()) for c in vars(owner).values() if inspect.isclass(c)}
api = {name: {key: member(cls, key) for key in dir(cls)} for name, cls in classes.items()}
print(json.dumps({"version": trt.__version__, "names": sorted(vars(trt)), "classes": api}))
"""


class NoWheelError(Exception):
    """The wheel could not be downloaded; the text has pip's reason."""


def describe_tensorrt(version: str) -> dict[str, Any]:
    """Version, names and classes with their members, of one version's bindings.

    Raises:
        NoWheelError: see there.
    """
    folder = FOLDER / f"{version}-{sys.implementation.cache_tag}"
    if not folder.exists():
        _install(version, folder)
    path = {"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder)}
    return _describe("tensorrt_bindings", path)


def describe_tensorrt_rtx() -> dict[str, Any]:
    """The same of the TensorRT-RTX that is installed."""
    return _describe("tensorrt_rtx", {})


def _describe(module: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-c", DESCRIBE, module]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    api: dict[str, Any] = json.loads(done.stdout)
    return api


def _install(version: str, folder: Path) -> None:
    """Wheel and libraries into ``folder``, whole or not at all: other test runs may be at it too."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=FOLDER) as draft:
        _download(version, Path(draft))
        for library, symbols in SYMBOLS.items():
            _compile(f"lib{library}.so.{version.partition('.')[0]}", symbols, Path(draft))
        shutil.copytree(draft, folder, dirs_exist_ok=True)


def _download(version: str, folder: Path) -> None:
    wheel = f"tensorrt-cu13-bindings=={version}"
    command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        raise NoWheelError(f"{wheel} cannot be downloaded: {done.stderr.strip().splitlines()[-1:]}")
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    path.unlink()


def _pip() -> list[str]:
    """This environment's pip, or, where it was made without one, that of the Python it was made with."""
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable), "python3"):
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
            return [*pip, "--python", sys.executable]
    raise AssertionError("no pip: apt-get install python3-pip")


def _compile(name: str, symbols: tuple[str, ...], folder: Path) -> None:
    source = "".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in symbols)
    command = ["g++", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", str(folder / name)]
    subprocess.run(command, input=source, text=True, check=True)
