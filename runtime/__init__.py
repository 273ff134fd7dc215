"""One frame in, one decision out; and the entry points ``serve`` and ``assess``."""
