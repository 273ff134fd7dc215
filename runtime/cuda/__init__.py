"""The compiled preprocessing kernel that ships, one image for each kind of GPU. ``SOURCE.json`` says what made them."""

import json
from importlib.resources import files
from typing import Any

from runtime.errors import EngineError

ENTRY = "framegate_preprocess"
"""The kernel's name in every image."""


TEGRA = {(8, 7)}
"""Compute capabilities of Jetson (Orin), whose generation's cubins are for other chips and do not load there."""


def source() -> dict[str, Any]:
    """What ``SOURCE.json`` says: sources and images with their sha256, compiler, options."""
    known: dict[str, Any] = json.loads((files(__package__) / "SOURCE.json").read_text())
    return known


def image_for(compute_capability: tuple[int, int]) -> bytes:
    """The image for a device: the newest cubin of its generation that is not newer than it, else PTX.

    A cubin runs on its own compute capability and on later ones of the same major number, Jetson's chips
    excepted; PTX on every later one, once the driver has compiled it.

    Raises:
        EngineError: nothing that ships runs there.
    """
    major, minor = compute_capability
    shipped = {name: _capability(name) for name in source()["images"]}
    cubins = [
        name
        for name, (a, b) in shipped.items()
        if name.startswith("sm_") and a == major and b <= minor and (major, minor) not in TEGRA
    ]
    portable = [name for name, least in shipped.items() if name.startswith("compute_") and least <= (major, minor)]
    fitting = sorted(cubins, key=lambda name: shipped[name]) or portable
    if not fitting:
        raise EngineError(
            f"the preprocessing kernel ships for {', '.join(shipped)}, not for a GPU of compute capability "
            f"{major}.{minor}: preprocess on the CPU, or compile it (python -m runtime.cuda.build --help)"
        )
    name: str = source()["images"][fitting[-1]]["file"]
    return (files(__package__) / name).read_bytes()


def _capability(name: str) -> tuple[int, int]:
    digits = name.partition("_")[2]
    return int(digits[:-1]), int(digits[-1])
