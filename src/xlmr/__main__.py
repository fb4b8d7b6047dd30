"""The program `xlmr`, also as `python -m xlmr`.

It imports next to nothing above `main`: Ctrl-C there would be told with a traceback.
"""

import signal
import sys


def main() -> None:
    """Run the command line and exit, with 130 where Ctrl-C came before it was even there.

    Where the system ends it (SIGTERM), it exits with 143, as shells count, and what was half written goes.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        from xlmr import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
