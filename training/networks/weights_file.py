"""A network's weights on disk: found, and the very file that was meant."""

import hashlib
from pathlib import Path

from runtime.errors import ConfigError
from training.networks.description import Description


def check_weights(description: Description, path: Path) -> str:
    """The SHA-256 of the file, in hex.

    Raises:
        ConfigError: it is missing (the text says where it is to be had), or it is another than the description's.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"network {description.name}: {path}: {error.strerror}; its weights: {description.source}. "
            "Put the file there, or name its folder with --weights"
        ) from error
    if description.sha256 not in (None, sha256):
        raise ConfigError(
            f"network {description.name}: {path} has the SHA-256 {sha256}, its description says {description.sha256}: "
            f"take the file that is meant ({description.source}), or give a description of this one"
        )
    return sha256
