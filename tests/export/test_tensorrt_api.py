"""What our code asks of TensorRT, held to the real Python bindings of each version that it is for."""

import inspect
import re
from functools import cache, reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import fake_tensorrt as fakes
from tests.fake_device import FakeDevice
from tests.tensorrt_calls import Calls, read_calls, signatures
from tests.tensorrt_stubs import VERSIONS, NoWheelError, describe_tensorrt, describe_tensorrt_rtx

ROOT = Path(__file__).parents[2]
RUNTIME = ("runtime/tensorrt_library.py", "runtime/engine_tensorrt.py")
EXPORT = ("export/plan.py", "export/inspector.py", "export/build_progress.py")
LANDMARKS = {"Builder.build_serialized_network", "IProgressMonitor.step_complete", "IExecutionContext.execute_async_v3"}
"""Some that must be among the calls, so that a reader which finds none is noticed."""
RTX_ONLY = {"ComputeCapability", "IBuilderConfig.num_compute_capabilities", "IBuilderConfig.set_compute_capability"}
"""Asked for where ``--compute-capability`` is given, which TensorRT refuses before."""
RTX = "TensorRT-RTX"


@cache
def api_of(version: str) -> dict[str, Any]:
    if version == RTX:
        pytest.importorskip("tensorrt_rtx", reason="needs pip install 'framegate[tensorrt-rtx]'")
        return describe_tensorrt_rtx()
    try:
        return describe_tensorrt(version)
    except NoWheelError as error:
        pytest.skip(str(error))


def calls_of(files: tuple[str, ...], api: dict[str, Any]) -> Calls:
    every = Calls()
    for file in files:
        calls = read_calls(ROOT / file, api)
        every.used |= calls.used
        every.missing |= calls.missing
        every.faults += calls.faults
    return every


@pytest.mark.parametrize("version", [*VERSIONS, RTX])
def test_every_call_of_ours_is_there(version: str) -> None:
    """By class and name, with arguments that its signature takes; and no call that could not be followed."""
    api = api_of(version)
    calls = calls_of(RUNTIME + EXPORT, api)
    assert not calls.faults, "\n".join(calls.faults)
    assert calls.missing == (set() if version == RTX else RTX_ONLY)
    assert calls.used >= LANDMARKS
    assert api["version"].startswith("1." if version == RTX else version)


def test_every_file_that_knows_the_library_is_read() -> None:
    """The library goes by the name ``trt`` throughout."""
    files = [path for folder in ("runtime", "export", "training", "stream") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if re.search(r"\btrt\b", path.read_text())}
    assert found == {*RUNTIME, *EXPORT}


def test_nothing_asks_for_a_precision() -> None:
    """It is the graph's: the flags that ask for one are gone in TensorRT 11, and mislead before."""
    calls = calls_of(EXPORT, api_of(VERSIONS[0]))
    flags = {name for name in calls.used if name.startswith("BuilderFlag.")}
    assert flags == {"BuilderFlag.VERSION_COMPATIBLE", "BuilderFlag.TF32"}
    assert "NetworkDefinitionCreationFlag.STRONGLY_TYPED" in calls.used


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fake_is_like_the_real_thing(version: str) -> None:
    """Each name that the runtime calls is in it, with the parameters of one of the real signatures."""
    api = api_of(version)
    fake = SimpleNamespace(**{**vars(fakes), **vars(fakes.fake_tensorrt(FakeDevice(), version))})
    for name in calls_of(RUNTIME, api).used - {"__name__", "ILogger.log"}:  # the library calls the latter
        owner, _, member = name.rpartition(".")
        value = reduce(inspect.getattr_static, name.split("."), fake)
        if inspect.isfunction(value) and not member.startswith("__"):
            real = [one.parameters for one in signatures(api["classes"][owner][member]["doc"])]
            assert tuple(inspect.signature(value).parameters)[1:] in real, name


FAULTY = {
    "config.set_flag(trt.BuilderFlag.FP16)": "BuilderFlag.FP16",
    "builder.build_engine(network, config)": "Builder.build_engine",
    "network.get_layer(0).get_output(0).dynamic_range": "ITensor.dynamic_range",
}


@pytest.mark.parametrize("line", FAULTY)
def test_a_name_that_tensorrt_11_dropped_is_found(line: str, tmp_path: Path) -> None:
    """By its class, however many calls lie between it and the module."""
    assert read(line, tmp_path).missing == {FAULTY[line]}


@pytest.mark.parametrize(
    "line",
    [
        "parser.parse()",
        "builder.create_network(0, flag=1)",
        "network.num_layers = 3",
        "something.create_optimization_profile()",
        "getattr(trt.BuilderFlag, name)",
        "[layer for layer in network]",
    ],
)
def test_a_call_that_does_not_fit_or_cannot_be_followed_is_a_fault(line: str, tmp_path: Path) -> None:
    """Arguments, read-only properties, and ways by which a call would escape the check."""
    assert len(read(line, tmp_path).faults) == 1


def read(line: str, folder: Path) -> Calls:
    path = folder / "code.py"
    path.write_text(
        f"def build(trt: Any, parser: Any, config: Any):\n    builder = trt.Builder(logger)\n    network = "
        f"builder.create_network(0)\n    {line}\n"
    )
    return read_calls(path, api_of(VERSIONS[1]))
