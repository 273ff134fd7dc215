"""Networks in PyTorch: EfficientNet-Lite, and torchvision's classifiers and detectors. On a GPU where there is one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from torch import nn
from torchvision.models import get_model

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.models.efficientnet_lite import NUMBERS, efficientnet_lite, imagenet_weights, load_imagenet
from training.networks.answer import Answer
from training.networks.decode import decode, select
from training.networks.decode_boxes import OUTPUTS, decode_boxes
from training.networks.description import PACKAGE, TORCHVISION, Boxes, Description
from training.networks.network import RUN_PICTURES
from training.networks.prepare import Placement, prepare
from training.networks.torchvision_description import default_weights
from training.networks.weights_file import check_weights


def open_torch_network(description: Description, weights: Path, *, threads: int) -> "TorchNetwork":
    """Open ``package:...`` or ``torchvision:...``; ``threads`` holds for all of PyTorch in this process.

    Raises:
        ConfigError: as ``open_network``.
    """
    torch.set_num_threads(threads)
    if description.model.startswith(PACKAGE):
        return TorchNetwork(description, _efficientnet_lite(description))
    return TorchNetwork(description, _torchvision(description, weights))


class TorchNetwork:
    """See ``Network``."""

    def __init__(self, description: Description, module: nn.Module) -> None:
        self.description = description
        self.digest = _digest(module)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._module = module.eval().to(self._device)

    def answers(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """See ``Network``."""
        found: list[Answer] = []
        for start in range(0, len(pictures), RUN_PICTURES):
            found += self._run(pictures[start : start + RUN_PICTURES])
        return found

    def _run(self, pictures: Sequence[Pixels]) -> list[Answer]:
        try:
            with torch.inference_mode():
                return self._classify(pictures) if self.description.input else [self._detect(one) for one in pictures]
        except ValueError as error:
            raise ConfigError(f"network {self.description.name} does not fit its description: {error}") from error

    def _classify(self, pictures: Sequence[Pixels]) -> list[Answer]:
        assert self.description.input is not None
        prepared = [prepare(self.description.input, pixels) for pixels in pictures]
        batch = torch.from_numpy(np.stack([values for values, _ in prepared])).to(self._device)
        outputs = self._module(batch).cpu().numpy()
        return [
            decode([output], self.description, placement)
            for output, (_, placement) in zip(outputs, prepared, strict=True)
        ]

    def _detect(self, pixels: Pixels) -> Answer:
        """Torchvision's detectors take a list of pictures in 0..1 and give a list of dicts, in pixels of each.

        One at a time: they pad the pictures of a list to one size, and find other boxes by it.
        """
        kind = self.description.decode
        assert isinstance(kind, Boxes)
        height, width = pixels.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(self._device).float() / 255
        (said,) = self._module([picture])
        candidates = decode_boxes([said[name].cpu().numpy() for name in OUTPUTS], kind)
        return select(candidates, self.description, Placement(0, 0, height, width, height, width))


def _digest(module: nn.Module) -> str:
    """Over the weights by name, so that the same weights in another file have the same digest."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.cpu().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def _efficientnet_lite(description: Description) -> nn.Module:
    numbers = {f"{PACKAGE}efficientnet-lite{number}": number for number in NUMBERS}
    if description.model not in numbers:
        raise ConfigError(
            f"network {description.name}: no package is known for {description.model!r}, only for {', '.join(numbers)}"
        )
    number = numbers[description.model]
    check_weights(description, imagenet_weights(number))
    network = efficientnet_lite(number)
    load_imagenet(network, number)
    return network


def _torchvision(description: Description, folder: Path) -> nn.Module:
    """Built by torchvision with its weights, because it builds some networks otherwise without them."""
    name = description.model.removeprefix(TORCHVISION)
    weights = default_weights(name)
    file = folder / "checkpoints" / weights.url.rpartition("/")[2]
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder))  # torchvision looks in its folder `checkpoints`, and fetches what is missing there
    try:
        if not file.exists():
            _fetch(weights.url, file)
        _check_named_hash(description, file)
        # torchvision does not restrict what its pickle may call: this does
        torch.load(file, weights_only=True, map_location="cpu")
        return get_model(name, weights=weights, progress=False)
    except Exception as error:  # pickle, zip files and state dicts fail each in their own way
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"network {description.name}: {file} does not hold torchvision's weights of {name}: "
            f"{' '.join(str(error).split())[:300]}. Remove it, or take {weights.url}"
        ) from error
    finally:
        torch.hub.set_dir(before)


def _fetch(url: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(file), progress=False)
    except (URLError, OSError) as error:
        raise ConfigError(
            f"{file} is missing, and {url} cannot be fetched from here ({error}): fetch it where there is a network, "
            "and put it there"
        ) from error


def _check_named_hash(description: Description, file: Path) -> None:
    """Torchvision's files carry the first digits of their SHA-256 in their name; a description's own comes first."""
    sha256 = check_weights(description, file)
    named = file.stem.rpartition("-")[2]
    if description.sha256 is None and not sha256.startswith(named):
        raise ConfigError(
            f"network {description.name}: {file} has the SHA-256 {sha256}, which does not begin with {named} as its "
            "name says: it is damaged or another file; remove it, or give a description with its own sha256"
        )
