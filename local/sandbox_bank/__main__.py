"""``python -m local.sandbox_bank --port 4700 --books FILE``: run the bank until it is stopped."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from local.sandbox_bank.server import Bank


def main() -> int:
    """Serve until interrupted; return 2 if the port is taken."""
    parser = argparse.ArgumentParser(prog="sandbox_bank")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4700)
    parser.add_argument("--books", type=Path, required=True)
    options = parser.parse_args()
    options.books.parent.mkdir(parents=True, exist_ok=True)
    try:
        bank = Bank(options.host, options.port, options.books)
    except OSError as error:
        sys.stderr.write(f"port {options.port} is not free ({error.strerror}); choose another with --port\n")
        return 2
    sys.stdout.write(f"sandbox bank ready on http://{options.host}:{bank.server_address[1]}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        bank.serve_forever()
    bank.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
