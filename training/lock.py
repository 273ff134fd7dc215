"""One writer at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import ConfigError


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there; whatever ends the process lets it go.

    File systems that know no locks are written without one.

    Raises:
        ConfigError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigError(
            f"{folder}: another run is writing there: let it come to its end, or write to another folder"
        ) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(descriptor)
