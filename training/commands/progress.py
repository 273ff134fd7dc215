"""The bar that long work shows on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def progress_bar(console: Console, *, transient: bool = True) -> Progress:
    """Done, total, time spent and time left, on standard error's console; nothing where that is no terminal.

    Args:
        console: of standard error.
        transient: gone once the work is done; else it stays, and is written without a terminal, too.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=transient and not console.is_terminal,
        transient=transient,
    )


class BuildBar:
    """Shows a build on the terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("")

    def begin(self, phase: str, total: int) -> None:
        self._progress.update(self._task, description=phase, total=total, completed=0)

    def advance(self) -> None:
        self._progress.advance(self._task)
