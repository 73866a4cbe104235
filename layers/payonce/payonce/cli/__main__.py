"""``python -m payonce.cli``: the operator's command."""

import sys

from payonce.cli.main import main

if __name__ == "__main__":  # the tests import every module
    sys.exit(main())
