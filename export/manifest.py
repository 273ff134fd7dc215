"""The manifest in an ONNX file: reading, writing, and the check against the graph it speaks of.

Needs ``onnx`` (the extra ``manifest``), never torch: any ONNX file, whatever made it, can be given one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, numpy_helper

from export.graph import TensorSpec, inputs, outputs
from runtime.errors import ConfigError, EngineError
from runtime.manifest import METADATA_KEY, Head, Input, Manifest, head_shape, parse_manifest
from training.files import write_whole


def load_model(path: Path) -> ModelProto:
    """Read an ONNX file.

    Raises:
        EngineError: there is no such file, it is not an ONNX model, or weights that it keeps in other files
            are missing.
    """
    try:
        model = onnx.load(path, format="protobuf")  # whatever its name
    except OSError as error:
        raise EngineError(f"{path}: {error.strerror or error}") from error
    except onnx.checker.ValidationError as error:
        raise EngineError(f"{path}: weights in another file are missing: {error}") from error
    except DecodeError as error:
        raise EngineError(f"{path}: not an ONNX file ({error})") from error
    if not model.graph.node:
        raise EngineError(f"{path}: not an ONNX model, or one with an empty graph")
    return model


def save_model(model: ModelProto, path: Path) -> None:
    """Write the model as one file; a file that was there is replaced whole or not at all."""
    write_whole(path, model.SerializeToString())


def weights_digest(model: ModelProto) -> str:
    """``sha256:...`` over the initialisers in the order of their names: name, dtype, shape, bytes."""
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        dtype = TensorProto.DataType.Name(tensor.data_type)
        values = numpy_helper.to_array(tensor)
        digest.update(json.dumps([tensor.name, dtype, list(tensor.dims)]).encode())
        digest.update(values.tobytes())
    return f"sha256:{digest.hexdigest()}"


def read_manifest(path: Path) -> Manifest | None:
    """The file's manifest, or None where it has none.

    Raises:
        EngineError: the file or its manifest cannot be read.
    """
    text = manifest_text(load_model(path))
    return None if text is None else parse_manifest(text, str(path))


def read_model_manifest(model: ModelProto, source: str) -> Manifest:
    """The manifest of a model that must have one.

    Raises:
        EngineError: it has none, or it does not follow the format; the text names ``source``.
    """
    text = manifest_text(model)
    if text is None:
        raise EngineError(f"{source}: no manifest in it; add one: python -m export manifest {source} --manifest FILE")
    return parse_manifest(text, source)


def manifest_text(model: ModelProto) -> str | None:
    return next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)


def write_manifest(path: Path, manifest: Manifest, output: Path | None = None) -> None:
    """Put the manifest into the ONNX file ``path``, in place or as ``output``.

    Raises:
        EngineError: the manifest does not fit the graph or its weights; nothing is written.
    """
    model = load_model(path)
    attach_manifest(model, manifest, str(path))
    save_model(model, output or path)


def attach_manifest(model: ModelProto, manifest: Manifest, source: str) -> None:
    """Put the manifest into the model's metadata, in the place of one that was there.

    Raises:
        EngineError: the manifest does not fit the graph or its weights; the model is left as it was.
    """
    check_manifest(model, manifest, source)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    entry = onnx.StringStringEntryProto(key=METADATA_KEY, value=manifest.model_dump_json(exclude_none=True))
    del model.metadata_props[:]
    model.metadata_props.extend([*kept, entry])


def read_manifest_file(path: Path, digest: str) -> Manifest:
    """A manifest that a person wrote; the weights' ``digest`` is filled in where the file leaves it out.

    Raises:
        ConfigError: the file cannot be read.
        EngineError: it does not follow the format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--manifest {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--manifest {path}: not text in UTF-8 ({error})") from error
    try:
        fields = json.loads(text)
    except ValueError:
        return parse_manifest(text, str(path))  # says what is wrong with the JSON
    if isinstance(fields, dict):
        fields.setdefault("digest", digest)
    return parse_manifest(json.dumps(fields), str(path))


def derived_manifest(manifest: Manifest, command: str, **changes: Any) -> Manifest:
    """The manifest of an engine that ``command`` made of one with ``manifest``.

    ``metrics`` are left out: they were measured on the other engine, and nobody has measured this one.
    """
    provenance = manifest.provenance.model_copy(update={"command": command, "metrics": {}})
    return manifest.model_copy(update={"provenance": provenance, **changes})


def check_manifest(model: ModelProto, manifest: Manifest, source: str) -> None:
    """Hold the manifest to the graph: digest, inputs and outputs by name, dtype and shape.

    Raises:
        EngineError: the text names every fault, and what the graph has.
    """
    there = {"inputs": inputs(model), "outputs": outputs(model)}
    faults = [
        *_digest_faults(manifest.digest, weights_digest(model)),
        *_input_faults(manifest.inputs, there["inputs"]),
        *(fault for head in manifest.heads for fault in _head_faults(head, there["outputs"])),
    ]
    if faults:
        listing = "\n".join(f"  {kind}: {', '.join(map(str, specs)) or 'none'}" for kind, specs in there.items())
        raise EngineError(f"{source}: the manifest does not fit the graph: {'; '.join(faults)}.\nIt has\n{listing}")


def _digest_faults(written: str, real: str) -> list[str]:
    if written == real:
        return []
    return [f"digest is {written}, the weights' is {real} (leave it out of the file to have it filled in)"]


def _input_faults(wanted: tuple[Input, ...], there: list[TensorSpec]) -> list[str]:
    faults = [
        fault
        for spec in wanted
        for fault in _tensor_faults(f"input {spec.name!r}", spec.name, spec.dtype, spec.shape, there)
    ]
    unfed = sorted({spec.name for spec in there} - {spec.name for spec in wanted})
    return [
        *faults,
        *(f"the graph's input {name!r} is not in the manifest, so nothing would feed it" for name in unfed),
    ]


def _head_faults(head: Head, there: list[TensorSpec]) -> list[str]:
    what = f"{head.kind} head's output {head.output!r}"
    return _tensor_faults(what, head.output, "float32", head_shape(head), there)


def _tensor_faults(what: str, name: str, dtype: str, sample: tuple[int, ...], there: list[TensorSpec]) -> list[str]:
    spec = next((spec for spec in there if spec.name == name), None)
    if spec is None:
        return [f"{what} is not in the graph"]
    faults = []
    if spec.dtype != dtype:
        faults.append(f"{what} is {spec.dtype} in the graph, not {dtype}")
    if not spec.takes(sample):
        wanted = ", ".join(["batch", *map(str, sample)])
        faults.append(f"{what} has shape {spec.shape_text} in the graph, not ({wanted})")
    elif isinstance(spec.shape[0], int):
        faults.append(f"{what} has its batch fixed at {spec.shape[0]}: export with a dynamic first dimension")
    return faults
