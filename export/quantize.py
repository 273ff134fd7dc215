"""From a graph in float32 to one in 8 bits for CPUs, as much of it as the tolerances allow.

Static quantisation with QuantizeLinear and DequantizeLinear pairs: activations in uint8, weights in int8 per channel,
which is what the CPUs' dot products (VNNI) take. What comes before the first layer and after the last stays in
float32: the picture's normalisation, a softmax, a scaling.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto, shape_inference
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from rich.console import Console
from rich.progress import track

from export.answers import Answers, onnx_answers
from export.calibration import Method, tensor_ranges
from export.graph import name_nodes
from export.manifest import derived_manifest, weights_digest
from export.parity import Parity, compare
from export.qdq import LAYERS, OPS, cutting_clips, inner_nodes, layer_sizes, layers_before, separate_weights, shield
from export.samples import Samples, draw_samples
from export.weight_rounding import collect_moments, put_rounded, round_layers
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Manifest, Tolerances

QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger")
MOMENT_SAMPLES = 128
RANKING_SAMPLES = 24
"""That many tell which layers suffer; the gate takes all of them."""
MOST_KEPT = 0.5
"""Of the layers: an engine with more of them in float32 gains nothing."""
CONVERSION_PRODUCTS = 50
"""About so many products gain by 8 bits what it costs to convert one value to them, on a CPU with VNNI (ONNX Runtime
reorders, quantises and transposes it)."""


@dataclass(frozen=True)
class Pictures:
    """Samples that calibrate, and samples that were held out of calibration: the gate takes both."""

    calibration: Samples
    held_out: Samples


@dataclass(frozen=True)
class Int8:
    """A model in 8 bits, which of its layers stayed in float32, and how it compares."""

    model: ModelProto
    kept: tuple[str, ...]
    calibration: Parity
    held_out: Parity

    def failing(self, tolerances: Tolerances) -> set[str]:
        """The outputs that are beyond the tolerances, on either set of pictures."""
        outputs = [*self.calibration.outputs, *self.held_out.outputs]
        return {one.output for one in outputs if one.faults(tolerances)}

    def faults(self, tolerances: Tolerances) -> list[str]:
        """What is beyond the tolerances, on either set of pictures."""
        return [
            *(f"calibration pictures: {fault}" for fault in self.calibration.faults(tolerances)),
            *(f"held-out pictures: {fault}" for fault in self.held_out.faults(tolerances)),
        ]


class Quantizer:
    """What the calibration pictures say of a network; with it, any choice of layers becomes 8 bits."""

    def __init__(self, model: ModelProto, samples: Samples, method: Method, *, seven_bits: bool = False) -> None:
        """Measure ranges and moments.

        Args:
            model: float32; it is left as it is.
            samples: real pictures.
            method: of choosing a tensor's range.
            seven_bits: weights of 7 bits, for CPUs without VNNI: there a sum of two products of 8 bits is cut off
                at 16.

        Raises:
            EngineError: the graph is quantised already, or has nothing to quantise.
        """
        self._model = shape_inference.infer_shapes(model)
        name_nodes(self._model)
        separate_weights(self._model)
        self._inner = inner_nodes(self._model)
        self.layers = [node.name for node in self._inner if node.op_type in LAYERS]
        if any(node.op_type in QUANTISED for node in self._model.graph.node):
            raise EngineError("the graph is quantised already; give the float32 engine that it was made from")
        if not self.layers:
            raise EngineError(f"the graph has no layer that 8 bits are for ({', '.join(LAYERS)})")
        self._seven_bits = seven_bits
        self._ranges = tensor_ranges(self._model, samples, method, OPS)
        moments = collect_moments(self._model, draw_samples(samples, MOMENT_SAMPLES))
        self._rounded = round_layers(self._model, moments, 64 if seven_bits else 127)

    def quantise(self, kept: Sequence[str] = ()) -> ModelProto:
        """The model in 8 bits, but for the layers ``kept``.

        Raises:
            EngineError: more than half of the layers are kept.
        """
        if self.keeps_too_many(kept):
            raise EngineError(f"{len(kept)} of {len(self.layers)} layers in float32: such an engine gains nothing")
        clips = cutting_clips(self._model)
        return self._quantise([node.name for node in self._inner if node.name not in (*kept, *clips)])

    def quantise_alone(self, layer: str) -> ModelProto:
        """The model in float32, but for one layer."""
        return self._quantise([layer])

    def keeps_too_many(self, kept: Sequence[str]) -> bool:
        """Whether the engine would gain nothing, or not even have a weight in 8 bits."""
        return len(kept) > MOST_KEPT * len(self.layers)

    def bridged(self, kept: set[str]) -> tuple[str, ...]:
        """The layers ``kept``, and those that would cost more in 8 bits than in float32, in the graph's order.

        They are the ones with none but kept ones before and behind them, since their inputs and outputs must be
        converted; and those behind kept ones as long as they make what must be converted so much smaller.
        """
        before = layers_before(self._model)
        behind = {layer: {other for other, these in before.items() if layer in these} for layer in before}
        grown = kept | {
            name for name in self.layers if before[name] and behind[name] and before[name] | behind[name] <= kept
        }
        sizes = layer_sizes(self._model)
        for name in self.layers:
            chain = before[name] & grown
            if (
                before[name] == chain
                and [behind[last] for last in chain] == [{name}]
                and {name, *chain} <= sizes.keys()
            ):
                values, products = sizes[name]
                smaller = sizes[chain.pop()][0] - values
                if smaller * CONVERSION_PRODUCTS > products:
                    grown.add(name)
        return tuple(name for name in self.layers if name in grown)

    def _quantise(self, chosen: list[str]) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self._model)
        put_rounded(model, {name: self._rounded[name] for name in self._rounded.keys() & chosen})
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=self._seven_bits,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=self._ranges,
            nodes_to_quantize=chosen,
            nodes_to_exclude=[],
            op_types_to_quantize=list(OPS),
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantizer.quantize_model()
        quantised: ModelProto = quantizer.model.model
        shield(quantised, set(self.layers) - set(chosen))
        return quantised


def fit_int8(
    model: ModelProto,
    manifest: Manifest,
    pictures: Pictures,
    tolerances: Tolerances,
    *,
    method: Method = "percentile",
    keep: Sequence[str] = (),
    seven_bits: bool = False,
) -> Int8:
    """In 8 bits, with as few layers in float32 as keep the answers within the tolerances.

    Layers are kept in the order of how much the answers of the heads that fail change when each of them alone is in
    8 bits; first only ``keep``, then one by one, with those that lie between kept ones.

    Raises:
        ConfigError: ``keep`` names a layer that is not there, or more than half of the layers.
        EngineError: it takes more than half of the layers, or the graph cannot be quantised.
    """
    require_layers(model, keep)
    references = onnx_answers(model, pictures.calibration), onnx_answers(model, pictures.held_out)
    quantizer = Quantizer(model, pictures.calibration, method, seven_bits=seven_bits)
    kept = quantizer.bridged(set(keep))
    if quantizer.keeps_too_many(kept):
        raise ConfigError(
            f"--keep: {len(kept)} of {len(quantizer.layers)} layers would stay in float32, those between kept ones "
            "included: an engine with more than half gains nothing. Name fewer, or serve it in float32"
        )
    fitted = _try(quantizer, kept, manifest, pictures, references)
    if not fitted.faults(tolerances):
        return fitted
    harm = _harm(quantizer, model, manifest, pictures.calibration)
    while fitted.faults(tolerances):
        candidates = [layer for layer in quantizer.layers if layer not in fitted.kept]
        failing = fitted.failing(tolerances) or {head.output for head in manifest.heads}
        worst = max(candidates, key=lambda layer: max(harm[layer].get(output, 0) for output in failing))
        kept = quantizer.bridged({*fitted.kept, worst})
        if quantizer.keeps_too_many(kept):
            raise _refusal(quantizer, manifest, fitted, tolerances)
        fitted = _try(quantizer, kept, manifest, pictures, references)
    return fitted


def _refusal(quantizer: Quantizer, manifest: Manifest, fitted: Int8, tolerances: Tolerances) -> EngineError:
    return EngineError(
        f"{manifest.name} does not bear 8 bits: with {len(fitted.kept)} of {len(quantizer.layers)} layers in float32, "
        f"{'; '.join(fitted.faults(tolerances))}. Give more --pictures like those it will judge, another --method, or "
        "serve it in float32"
    )


def int8_manifest(manifest: Manifest, quantised: ModelProto, tolerances: Tolerances, command: str) -> Manifest:
    """The manifest of ``quantised``, made by ``command`` of an engine with ``manifest``."""
    return derived_manifest(
        manifest, command, precision="int8", digest=weights_digest(quantised), tolerances=tolerances
    )


def require_layers(model: ModelProto, names: Sequence[str]) -> None:
    """Hold names that a user gave to the graph.

    Raises:
        ConfigError: one of them is not a layer's; the text names the nearest ones.
    """
    layers = [node.name for node in model.graph.node if node.op_type in LAYERS]
    for name in names:
        if name not in layers:
            near = difflib.get_close_matches(name, layers, n=3, cutoff=0.3) or layers[:3]
            raise ConfigError(f"--keep {name}: no such layer; near are {', '.join(near)}, of {len(layers)} in all")


def _try(
    quantizer: Quantizer,
    kept: tuple[str, ...],
    manifest: Manifest,
    pictures: Pictures,
    references: tuple[Answers, Answers],
) -> Int8:
    model = quantizer.quantise(kept)
    sides = zip(references, (pictures.calibration, pictures.held_out), strict=True)
    parities = [compare(reference, onnx_answers(model, samples), manifest) for reference, samples in sides]
    return Int8(model, kept, *parities)


def _harm(quantizer: Quantizer, model: ModelProto, manifest: Manifest, samples: Samples) -> dict[str, dict[str, float]]:
    """By layer, how much it changes each head's answers when it alone is in 8 bits.

    As a share of what the worst layer does to that head: a score and a map change on scales of their own.
    """
    samples = draw_samples(samples, RANKING_SAMPLES)
    reference = onnx_answers(model, samples)
    changes = {}
    for layer in track(quantizer.layers, "ranking layers", console=Console(stderr=True), transient=True):
        changes[layer] = compare(reference, onnx_answers(quantizer.quantise_alone(layer), samples), manifest).changes
    for output in [head.output for head in manifest.heads]:
        finite = [each[output] for each in changes.values() if each[output] < float("inf")]
        worst = max(finite, default=0) or 1
        for each in changes.values():
            each[output] /= worst
    return changes
