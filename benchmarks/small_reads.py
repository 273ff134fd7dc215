"""The gateway with reads of 4096 bytes, as kafka-python does them: what ``stream/transport.py`` is worth.

It takes ``runtime.serve``'s flags and is for benchmarks only.
"""

import sys

from runtime.serve import main
from stream import transport

if __name__ == "__main__":
    transport.READ_BYTES = 4096
    sys.exit(main())
