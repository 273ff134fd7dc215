"""A builder that works for minutes shows how far it is, and can be stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress


@contextmanager
def build_progress(trt: Any) -> Iterator[Any]:
    """A progress monitor for a builder's configuration: on a terminal, a bar for each phase on standard error.

    Ctrl-C stops the builder at its next step.

    Raises:
        KeyboardInterrupt: at the block's end, where Ctrl-C stopped the builder.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        monitor = _monitor(trt, progress)
        yield monitor
    if monitor.interrupted:
        raise KeyboardInterrupt


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # a class of a library without types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._tasks: dict[str, Any] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._tasks[phase_name] = progress.add_task(phase_name, total=num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Whether to go on. The library would swallow an exception, Ctrl-C's too."""
            try:
                progress.update(self._tasks[phase_name], completed=step + 1)
            except KeyboardInterrupt:
                self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            progress.remove_task(self._tasks.pop(phase_name))

    return Monitor()
