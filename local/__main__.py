"""``python -m local up``, ``demo``, ``down`` and ``down --all``: see ``local.command``."""

import _signal as signal  # type: ignore[import-not-found] # what `signal` is made of, and it imports nothing
import os
import sys

if __name__ == "__main__":
    # Nothing is started yet, so Ctrl-C may end the process at once. Python's handler would print a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from local.command import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # does not wait for threads that still wait for an answer when Ctrl-C comes
