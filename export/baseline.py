"""The engine ``utility-baseline``: how sure an ImageNet classifier is of what it sees.

The paper's general definition of utility for a machine, in its no-reference form, is the confidence of the
prediction (Z. A. Khan, G. Valenzise, A. Chetouani, F. Dufaux, "Towards an Image Utility Assessment Framework
for Machine Perception", EUSIPCO 2022, section III.A). Nothing is trained for utility here: a baseline.
"""

from runtime.manifest import Input, Provenance, Resize, UtilityHead
from training.checkpoint import Checkpoint, Description
from training.models.confidence import OUTPUT, Confidence
from training.models.efficientnet_lite import SIDE_PX, efficientnet_lite0, load_imagenet

INPUT = "frames"
RESIZE = Resize(fit="crop", halve=True, scaled_decode=True)
THRESHOLD = 0.1
METRICS = {
    "auroc_class_right_photos": 0.919,
    "auroc_damaged_photos": 0.779,
    "auroc_damaged_coco": 0.658,
    "auroc_damaged_camvid": 0.675,
    "auroc_damaged_720p": 0.689,
}
"""Measured by ``python -m export measure-baseline``; the card says on what and why these choices."""


def baseline_checkpoint() -> Checkpoint:
    """The baseline with its weights.

    Raises:
        ConfigError: a package of the extra ``export`` is not installed.
    """
    classifier = efficientnet_lite0()
    load_imagenet(classifier)
    description = Description(
        name="utility-baseline",
        version="1",
        architecture="efficientnet-lite0-confidence",
        inputs=(Input(name=INPUT, height=SIDE_PX, width=SIDE_PX, resize=RESIZE),),
        heads=(UtilityHead(output=OUTPUT, threshold=THRESHOLD),),
        provenance=Provenance(
            data="ImageNet-1k classification; not trained for utility",
            metrics=METRICS,
            licence="Apache-2.0",
            command="python -m export baseline --output models/utility-baseline.onnx",
        ),
    )
    return Checkpoint(description, Confidence(classifier).eval())
