"""What tables call the gates of a command line."""

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import ConfigError
from training.utility.gate import bare_name, is_engine


def gate_names(paths: Sequence[Path], hint: str) -> list[str]:
    """Names as short as tells the gates apart: by stem, file or path.

    Args:
        paths: of engines, and checkpoints by their stem.
        hint: said where one is given twice.

    Raises:
        ConfigError: one is.
    """
    files = {path.resolve() if is_engine(path) else path.with_name(bare_name(path)).resolve() for path in paths}
    if len(files) < len(paths):
        raise ConfigError(f"--gates: the same gate is given twice ({hint})")
    schemes = ([bare_name(path) for path in paths], [path.name for path in paths], [str(path) for path in paths])
    return next(names for names in schemes if len(set(names)) == len(paths))
