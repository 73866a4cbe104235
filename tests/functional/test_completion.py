"""The shells' completions, in the shells that this machine has; bash is always there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from payonce.cli.families import SHELLS, leaves, make_parser
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = REPOSITORY / "layers" / "payonce" / "payonce" / "cli" / "completions"
LEAVES = [path for path, _ in leaves(make_parser(whole=True))]
CASES = [
    ("payonce ", {"up", "doctor", "webhooks", "idempotency-keys"}),
    ("payonce web", {"webhooks"}),
    ("payonce webhooks ", {"listen", "verify"}),
    ("payonce breaks list --st", {"--status", "--stack"}),
    ("payonce breaks list --status ", {"open", "closed", "dismissed"}),
    ("payonce completion ", {"bash", "zsh", "fish"}),
]
BASH = """
. "$1"
read -ra COMP_WORDS <<< "$2"
case $2 in *" ") COMP_WORDS+=("") ;; esac
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMP_LINE=$2 COMP_POINT=${#2}
made=$(complete -p payonce); made=${made##*-F }; made=${made%% *}
"$made" payonce "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(shell: str, line: str) -> set[str]:
    script = SCRIPTS / f"payonce.{shell}"
    if shell == "bash":
        command = ["bash", "--norc", "-c", BASH, "bash", str(script), line]
    else:
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return {each.split("\t")[0] for each in done.stdout.splitlines()}


@pytest.mark.parametrize("shell", [each for each in ("bash", "fish") if shutil.which(each)])
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_a_shell_completes(shell: str, line: str, offered: set[str]) -> None:
    """Fails when the generated script does not run in the shell, or offers other words than the parser takes."""
    found = complete(shell, line)
    assert offered <= found
    if line.endswith("--status ") or line == "payonce webhooks ":
        assert {each for each in found if not each.startswith("-")} == offered


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_bash_knows_the_options_of_every_command(path: tuple[str, ...]) -> None:
    words = ("reconcile-map",) if path == ("reconcile-map",) else path
    assert "--help" in complete("bash", f"payonce {' '.join(words)} --")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_whole_and_written_by_the_command(shell: str, tmp_path: Path) -> None:
    """Fails when a script lacks a command, its shell finds a mistake in it, or the wheel would lack the file."""
    done = subprocess.run(
        [sys.executable, "-m", "payonce.cli", "completion", shell],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY / "layers" / "payonce")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (SCRIPTS / f"payonce.{shell}").read_text()
    for path in LEAVES:
        assert all(word in done.stdout for word in path)
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(SCRIPTS / f"payonce.{shell}")], check=True, timeout=60)
