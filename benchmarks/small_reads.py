"""The gateway with kafka-python's own reads of 4096 bytes: what ``stream/transport.py`` is worth.

It takes ``runtime.serve``'s flags and is for benchmarks only.
"""

import sys

from runtime.serve import main
from stream import client

if __name__ == "__main__":
    client.read_in_large_pieces = lambda: None
    sys.exit(main())
