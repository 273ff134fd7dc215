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
