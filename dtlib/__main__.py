"""The program ``dtlib``, which an interrupt ends in one line, also while modules load."""

import os
import signal
from types import FrameType
from typing import NoReturn

LOADING = "<frozen importlib._bootstrap>"
"""The file of frames that import something."""


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """Raise ``KeyboardInterrupt``; but while a module loads, say one line and end at once.

    A command loads before it begins, so that nothing is lost. An exception then would fall into
    code of libraries that is not made for it.
    """
    while frame is not None:
        if frame.f_code.co_filename == LOADING:
            os.write(2, b"\ndtlib: stopped\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; what is ignored, as in the background, stays so."""
    for told in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(told) != signal.SIG_IGN:
            signal.signal(told, stop)
    from dtlib.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
