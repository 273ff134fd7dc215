"""Random numbers that a text settles, on every machine."""

import hashlib

import numpy as np


def generator(text: str) -> np.random.Generator:
    """Always the same for a text; of two that differ, numbers that have nothing to do with each other."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])))
