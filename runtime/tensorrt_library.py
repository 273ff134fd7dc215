"""TensorRT, TensorRT 11 or TensorRT-RTX: one Python interface, found and loaded when a plan needs it."""

import importlib
import logging
from collections import deque
from functools import cache
from typing import Any, Literal

from runtime.errors import EngineError

Library = Literal["tensorrt", "tensorrt-rtx"]

MODULES: dict[Library, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
"""The package, and the wheel of its bindings alone: the same names in both."""
LINES = 8
"""How many of the library's last complaints are kept."""

log = logging.getLogger("framegate.tensorrt")


@cache
def load_library(library: Library) -> Any:
    """The library's module.

    Raises:
        EngineError: it is not installed, or cannot be loaded.
    """
    failures = []
    for name in MODULES[library]:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            failures.append(str(error))
    raise EngineError(
        f"{library} is not installed, or not whole ({'; '.join(failures)}). "
        f"Install it: pip install 'framegate[{library}]' (docs/gpu.md)"
    )


@cache
def library_logger(trt: Any) -> Any:
    """The one logger of the process: the library keeps the first that it is given.

    It has ``errors``, the library's last complaints; warnings go to Python's logging.
    """

    class Logger(trt.ILogger):  # type: ignore[misc] # a class of a library without types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == trt.ILogger.Severity.WARNING:
                log.warning("%s", message)

    return Logger()


def complaints(logger: Any) -> str:
    """What the library said last, in one line."""
    return "; ".join(" ".join(line.split()) for line in logger.errors) or "it does not say why"
