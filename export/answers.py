"""What a network answers to samples, whatever runs it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from export.manifest import load_model
from export.rounding import round_halves
from export.samples import Samples
from runtime.errors import EngineError

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

Answers = dict[str, NDArray[Any]]
"""By output's name: (n, ...), answer i to sample i."""

BATCH = 8
THREADS = 2


def onnx_answers(model: Path | ModelProto, samples: Samples) -> Answers:
    """Every output of an ONNX model, on the CPU, half precision rounded as on a device.

    Raises:
        EngineError: the file cannot be read, or ONNX Runtime cannot run it.
    """
    if isinstance(model, Path):
        return session_answers(round_halves(load_model(model)), samples, str(model))
    return session_answers(round_halves(model), samples)


def session_answers(model: ModelProto, samples: Samples, what: str = "the model") -> Answers:
    """Every output, just as ONNX Runtime computes it on the CPU.

    Raises:
        EngineError: ONNX Runtime cannot open or run ``what``.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        batches = [dict(zip(names, session.run(names, batch.inputs), strict=True)) for batch in samples.batches(BATCH)]
    except Exception as error:  # ONNX Runtime's classes have no common base
        raise EngineError(f"{what}: ONNX Runtime cannot run it: {error}") from error
    return _joined(batches)


def torch_answers(checkpoint: "Checkpoint", samples: Samples) -> Answers:
    """Every output of the network that was trained, by PyTorch on the CPU.

    Raises:
        EngineError: it does not take samples of that size.
    """
    import torch  # noqa: PLC0415 - only where a checkpoint is the reference

    from export.trace import ServedNetwork  # noqa: PLC0415

    network, about = ServedNetwork(checkpoint.network).eval(), checkpoint.description
    try:
        with torch.inference_mode():
            batches = [
                network(*(torch.from_numpy(batch.inputs[spec.name]) for spec in about.inputs))
                for batch in samples.batches(BATCH)
            ]
    except RuntimeError as error:
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in samples.inputs.items())
        raise EngineError(f"{about.name}: the network itself fails on samples of {shapes}: {error}") from error
    return _joined([{name: values.numpy() for name, values in batch.items()} for batch in batches])


def plan_answers(plan: Path, samples: Samples, batch: int) -> Answers:
    """The heads' outputs of a TensorRT plan, by the GPU at hand, ``batch`` samples at a time.

    Raises:
        EngineError: the plan cannot be opened here.
        ConfigError: there is no GPU.
        InferenceError: the device fails.
    """
    from runtime.engine import open_engine  # noqa: PLC0415 - only where a plan is the candidate

    with ThreadPoolExecutor(1) as workers:
        engine = open_engine(plan, provider="cpu", workers=workers, threads=1, max_batch=batch, in_flight=1)
        try:
            return _joined([engine.infer(part.inputs) for part in samples.batches(batch)])
        finally:
            engine.close()


def _joined(batches: list[Answers]) -> Answers:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
