"""``python -m local.adyen --port 4900 --books FILE``: run the fake until it is stopped."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from local.adyen.server import AdyenServer


def main() -> int:
    """Serve until interrupted; return 2 if the port is taken."""
    parser = argparse.ArgumentParser(prog="adyen")
    parser.add_argument("--port", type=int, default=4900)
    parser.add_argument("--books", type=Path, required=True)
    options = parser.parse_args()
    options.books.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = AdyenServer("127.0.0.1", options.port, options.books)
    except OSError as error:
        sys.stderr.write(f"port {options.port} is not free ({error.strerror}); choose another with --port\n")
        return 2
    sys.stdout.write(f"fake of Adyen ready on {server.base_url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
