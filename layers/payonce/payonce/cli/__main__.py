"""Runs the operator's command: ``python -m payonce.cli``."""

import sys

from payonce.cli.main import main

if __name__ == "__main__":  # the tests import every module
    sys.exit(main())
