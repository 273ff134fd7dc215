"""What an ONNX graph takes and gives."""

from collections.abc import Iterable
from dataclasses import dataclass

from onnx import ModelProto, TensorProto, ValueInfoProto, helper


@dataclass(frozen=True)
class TensorSpec:
    """Name, NumPy dtype and shape of a graph's input or output; a dynamic dimension is its name, or "?"."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    @property
    def shape_text(self) -> str:
        return f"({', '.join(map(str, self.shape))})"

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {self.shape_text}"

    def takes(self, sample: tuple[int, ...]) -> bool:
        """Whether a batch of samples of this shape fits, whatever the batch's size."""
        own = self.shape[1:]
        same_rank = len(self.shape) == len(sample) + 1
        return same_rank and all(isinstance(a, str) or a == b for a, b in zip(own, sample, strict=True))


def inputs(model: ModelProto) -> list[TensorSpec]:
    """What the caller must feed: weights that old files list among the inputs are left out."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return _specs(value for value in model.graph.input if value.name not in weights)


def outputs(model: ModelProto) -> list[TensorSpec]:
    return _specs(model.graph.output)


def name_nodes(model: ModelProto) -> None:
    """Give each node a name of its own, in place: those to keep in float32 are known by it."""
    given = {node.name for node in model.graph.node}
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            name = f"{node.op_type}_{index}"
            while name in given | taken:
                name += "_"
            node.name = name
        taken.add(node.name)


def _specs(values: Iterable[ValueInfoProto]) -> list[TensorSpec]:
    return [TensorSpec(value.name, _dtype(value), _shape(value)) for value in values]


def _dtype(value: ValueInfoProto) -> str:
    kind = value.type.tensor_type.elem_type
    return "undefined" if kind == TensorProto.UNDEFINED else str(helper.tensor_dtype_to_np_dtype(kind))


def _shape(value: ValueInfoProto) -> tuple[int | str, ...]:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dimensions)
