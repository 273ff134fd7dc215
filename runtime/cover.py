"""Would this picture make a cover? From clarity and saliency to one score and a crop.

``docs/cover-decision.md`` shows the formulas beside their reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.aspect import Aspect
from runtime.cover_crop import Box, Point, centred_crop, object_crop
from runtime.cover_object import LEAST_SHARE, SalientObject, find_object, object_proportion
from runtime.errors import ConfigError
from runtime.heads import Clarity, Result, Saliency
from runtime.manifest import Input, Manifest, whole_picture
from runtime.map_field import map_field

NO_OBJECT = 0.25
"""What a picture without an object is worth, of what it would be with the best one."""
LARGE_ENOUGH = 0.02
"""From this share of the picture on an object is large enough: enlarged twice, it fills 8 % of its cover."""
TOO_LARGE = 0.6
"""Above this share the object leaves no room around it."""
FULL = 0.5
"""The presence of an object that fills the picture."""
CUT = 0.25
"""What is taken off where the picture's border cuts the object on all sides."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What is known of a picture as a cover. Places are in 0..1 of the picture's width and height.

    Without a clarity head ``clarity`` and ``score`` are None; without a saliency head all but ``clarity`` are.
    """

    clarity: float | None = None
    score: float | None = None
    object_proportion: float | None = None
    box: Box | None = None
    """None, as ``centre``: there is no object."""
    centre: Point | None = None
    crop: Box | None = None
    """Edges of whole pixels: ``cover_crop.to_pixels`` gives them."""
    aspect: Aspect | None = None


class Covers:
    """Makes the cover of each picture from the heads that the engines have.

    Args:
        manifests: of the engines; clarity and saliency may come from two of them.
        aspect: of the crops.
    """

    def __init__(self, manifests: Sequence[Manifest], aspect: Aspect) -> None:
        self._aspect = aspect
        self._input = saliency_input(manifests)

    def of(self, results: Mapping[str, Result], size: tuple[int, int]) -> Cover | None:
        """The cover of a picture of ``size`` (width, height); None where no engine has a head for it."""
        clarity, saliency = results.get("clarity"), results.get("saliency")
        sharp = clarity.score if isinstance(clarity, Clarity) else None
        if not isinstance(saliency, Saliency) or self._input is None:
            return None if sharp is None else Cover(sharp)
        field = map_field(self._input, size, saliency.map.shape)
        salient = find_object(saliency.map, field)
        score = None if sharp is None else cover_score(sharp, salient)
        proportion = object_proportion(saliency.map, field)
        if salient is None:
            crop = centred_crop(size, self._aspect).shares(size)
            return Cover(sharp, score, proportion, None, None, crop, self._aspect)
        crop = object_crop(size, self._aspect, salient.box, salient.centre).shares(size)
        return Cover(sharp, score, proportion, salient.box, salient.centre, crop, self._aspect)


def saliency_input(manifests: Sequence[Manifest]) -> Input | None:
    """The input that the saliency map is of; None where no engine has that head."""
    for manifest in manifests:
        if any(head.kind == "saliency" for head in manifest.heads):
            return whole_picture(manifest.inputs)
    return None


def require_saliency(manifests: Sequence[Manifest], asked: str) -> Input:
    """The input that the saliency map is of.

    Args:
        manifests: of the engines.
        asked: what needs it, for the error's text.

    Raises:
        ConfigError: no engine has a head ``saliency``.
    """
    spec = saliency_input(manifests)
    if spec is None:
        kinds = sorted(head.kind for manifest in manifests for head in manifest.heads)
        raise ConfigError(
            f"{asked}: no engine given has a head 'saliency'; they have {kinds}: give one that has it, too (--engine)"
        )
    return spec


def cover_score(clarity: float, salient: SalientObject | None) -> float:
    """How good a cover the picture makes, in [0, 1].

    ``(clarity - 1) / 9 * (1/4 + 3/4 * presence * certainty * wholeness)``: strictly monotonic in clarity whatever the
    picture shows, as the second factor is at least 1/4, which is what a picture without an object has.

    - presence: 0 at ``LEAST_SHARE`` of the picture, 1 from ``LARGE_ENOUGH`` to ``TOO_LARGE``, ``FULL`` where the
      object fills it; linear between them.
    - certainty: half of 1 + the mean of 2p - 1 over the object's cells.
    - wholeness: 1 - ``CUT`` * the share of the object's box along which it touches the picture's border.

    Args:
        clarity: on [1, 10].
        salient: the object, None where there is none.
    """
    worth = 0.0
    if salient is not None:
        worth = presence(salient.share) * (1 + salient.certainty) / 2 * (1 - CUT * salient.cut)
    return (clarity - 1) / 9 * (NO_OBJECT + (1 - NO_OBJECT) * worth)


def presence(share: float) -> float:
    """How well an object's size suits a cover, in [0, 1], from its share of the picture's area."""
    if share <= TOO_LARGE:
        return min(max((share - LEAST_SHARE) / (LARGE_ENOUGH - LEAST_SHARE), 0.0), 1.0)
    return 1 - (1 - FULL) * (min(share, 1.0) - TOO_LARGE) / (1 - TOO_LARGE)
