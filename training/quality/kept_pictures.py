"""Pictures that a training reads again and again, kept in memory where there is room."""

from pathlib import Path
from threading import Lock

from runtime.decode import Pixels
from training.data.picture import read_picture


class KeptPictures:
    """Reads pictures. For any number of threads.

    What came first is kept, up to so many bytes; the rest is read anew each time. In an order that is shuffled each
    epoch, to forget the oldest would be to forget nearly all before it comes again.
    """

    def __init__(self, room_bytes: int) -> None:
        self._kept: dict[Path, Pixels] = {}
        self._room_bytes, self._lock = room_bytes, Lock()

    def of(self, path: Path) -> Pixels:
        """A picture's pixels, (height, width, 3) uint8 RGB, not to be changed.

        Raises:
            PictureError: it cannot be read.
        """
        known = self._kept.get(path)
        if known is not None:
            return known
        pixels = read_picture(path)
        with self._lock:
            if path not in self._kept and pixels.nbytes <= self._room_bytes:
                self._room_bytes -= pixels.nbytes
                self._kept[path] = pixels
        return pixels
