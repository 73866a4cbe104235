"""The shells' completions in bash, fish and zsh: the machine's own or Debian's, unpacked (``local.shells``)."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from local import shells
from payonce.cli.completion import script_of
from payonce.cli.families import SHELLS, leaves, make_parser
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

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


# zsh completes in its line editor alone, so it runs on a terminal of its own; compadd tells what is offered. After
# https://github.com/zsh-users/zsh/blob/master/Test/comptest, by which zsh tests its own completions.
ZSH = """
PS1='READY> '
autoload -Uz compinit && compinit -u -D
compadd() {
  if (( ${@[(I)-[OAD]*]} && ! ${@[(I)--]} )); then builtin compadd "$@"; return; fi
  local -a offered
  builtin compadd -A offered "$@"
  print -rl -- $offered >> OFFERED
  builtin compadd "$@"
}
told() { zle complete-word; print -r -- END >> OFFERED }
zle -N told
bindkey '^I' told
"""


def complete(shell: str, line: str, folder: Path) -> set[str]:
    script = folder / f"payonce.{shell}"
    script.write_text(script_of(shell))
    if shell == "zsh":
        return complete_in_zsh(line, script, folder)
    if shell == "bash":
        command = ["bash", "--norc", "-c", BASH, "bash", str(script), line]
    else:
        command = [str(shell_or_skip(shell)), "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return {each.split("\t")[0] for each in done.stdout.splitlines()}


def shell_or_skip(name: str) -> Any:
    """Return fish's path or the zsh; skip the test where it is not to be had."""
    try:
        return shells.fish() if name == "fish" else shells.zsh()
    except shells.ShellMissing as missing:
        pytest.skip(str(missing))


def complete_in_zsh(line: str, script: Path, folder: Path) -> set[str]:
    """Return what zsh offers for the line, with the script where docs/command.md says to put it."""
    zsh = shell_or_skip("zsh")
    offered, functions = folder / "offered", folder / "functions"
    functions.mkdir(exist_ok=True)
    offered.unlink(missing_ok=True)
    shutil.copy(script, functions / "_payonce")
    start = f"{zsh.start}fpath=({functions} $fpath)\n{ZSH.replace('OFFERED', str(offered))}"
    (folder / ".zshrc").write_text(start)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "ZDOTDIR": str(folder), "TERM": "dumb", "HOME": str(folder)}
    process = subprocess.Popen(
        [zsh.path, "-d", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    try:
        os.close(theirs)
        read_until(ours, b"READY> ")
        os.write(ours, f"{line}\t".encode())
        end = time.monotonic() + 60
        while not offered.exists() or not offered.read_text().endswith("END\n"):
            assert time.monotonic() < end, "zsh offers nothing"
            if select.select([ours], [], [], 0.05)[0]:  # what it draws
                os.read(ours, 4096)
        return {each.rstrip() for each in offered.read_text().splitlines()[:-1]}
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: bytes) -> None:
    """Read what the terminal shows until the text is there."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        shown += os.read(terminal, 4096)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_a_shell_completes(shell: str, line: str, offered: set[str], tmp_path: Path) -> None:
    """Fails when the generated script does not run in the shell, or offers other words than the parser takes."""
    found = complete(shell, line, tmp_path)
    assert offered <= found
    if line.endswith("--status ") or line == "payonce webhooks ":
        assert {each for each in found if not each.startswith("-")} == offered


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_bash_knows_the_options_of_every_command(path: tuple[str, ...], tmp_path: Path) -> None:
    words = ("reconcile-map",) if path == ("reconcile-map",) else path
    assert "--help" in complete("bash", f"payonce {' '.join(words)} --", tmp_path)


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
    assert done.stdout == script_of(shell)
    for path in LEAVES:
        assert all(word in done.stdout for word in path)
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.stdout)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, timeout=60)
