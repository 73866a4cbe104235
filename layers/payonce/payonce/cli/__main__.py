"""``python -m payonce.cli``: the operator's command."""

import sys

from payonce.cli.main import main

sys.exit(main())
