"""``completion``: writes the completion of bash, zsh or fish, which was generated from the parser.

The files lie ready in the package (``tools/command_page.py`` makes them with shtab), so that neither shtab nor a start
of Python at each tab is needed: a shell reads them once. They are compressed: in plain text they were a sixtieth of
all that an installation takes.
"""

from __future__ import annotations

import gzip
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

from payonce.cli.families import SHELLS
from payonce.cli.output import Exit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

EPILOG = (
    "bash: payonce completion bash > ~/.local/share/bash-completion/completions/payonce; "
    "zsh: payonce completion zsh > a folder of $fpath as _payonce; "
    "fish: payonce completion fish > ~/.config/fish/completions/payonce.fish"
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``completion``."""
    commands.add_parser("completion", epilog=EPILOG).add_argument("shell", choices=SHELLS)


def run(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Write the script to standard output."""
    sys.stdout.write(script_of(options.shell))
    return Exit.DONE


def script_of(shell: str) -> str:
    """Return the completion script of ``shell``, one of ``SHELLS``."""
    return gzip.decompress(files("payonce.cli").joinpath("completions", f"{shell}.gz").read_bytes()).decode()
