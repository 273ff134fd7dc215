"""``python -m runtime.serve``: frames from Kafka to decisions in Kafka.

``main`` is the table of contents. Nothing else is defined here that another module would import: run as
``__main__``, this file would be a second copy of it.
"""

import logging
import signal
import sys
from collections.abc import Sequence

from runtime.errors import FramegateError
from runtime.logs import set_up_logging
from runtime.service import Service, dry_run
from runtime.settings import load_settings
from stream.errors import StreamError

log = logging.getLogger("framegate")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Returns:
        0: stopped or drained; 1: the broker or the device failed; 2: a setting, a topic or an engine is wrong.
    """
    try:
        settings = load_settings(argv)
        set_up_logging(settings.log_format, settings.log_level)
        if settings.dry_run:
            print(dry_run(settings).decode())
            return 0
        with Service(settings) as service:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, service.on_signal)
            service.run()
    except (FramegateError, StreamError) as error:
        print(f"framegate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # before the handlers stand, or a second Ctrl-C
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
