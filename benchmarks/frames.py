"""Real frames for the benchmarks: the photographs of ``demo/photos``, 1280x720, about 130 kB each."""

from pathlib import Path

from runtime.errors import ConfigError

PHOTOS = Path(__file__).parents[1] / "demo" / "photos"


def load_frames(folder: Path = PHOTOS) -> list[bytes]:
    """The JPEGs of a folder, by name.

    Raises:
        ConfigError: there are none.
    """
    frames = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    if not frames:
        raise ConfigError(f"{folder}: no .jpg in this folder; give one that holds JPEGs")
    return frames
