"""Numbers as JSON can hold them."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """A document with None in the place of NaN and infinity, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value
