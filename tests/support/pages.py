"""A page of the documentation as a person follows it: its programs are written to files, its commands are run in order.

A ``python`` block with a ``title`` is that file. ``sh`` blocks are run in one folder, and what they export, and where
they go, holds for those that follow. A ``text`` block behind one is what it prints; ``…`` there stands for anything.
A block without a language is for the reader's eyes, or for a second terminal.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

COMMAND_TIMEOUT_SECONDS = 300
_BLOCK = re.compile(r'^```(python|sh|text)(?: title="([\w./-]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# What a shell block leaves to the next one: its folder, its functions and its variables.
_KEPT = ".kept-by-the-test"
_KEEP = f'\n{{ declare -f; export -p; printf "cd %q\\n" "$PWD"; }} > "$KEPT_BY_THE_TEST/{_KEPT}"\n'


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its language, the file that it is or "", its text, and what it prints where the page says so."""

    language: str
    title: str
    text: str
    printed: str | None = None


def sections(name: str) -> dict[str, list[Block]]:
    """Return the blocks of a page of ``docs/`` by the headings of its sections, in order."""
    found = {}
    for section in re.split(r"^## ", (REPOSITORY / "docs" / name).read_text(), flags=re.MULTILINE)[1:]:
        blocks: list[Block] = []
        for language, title, text in _BLOCK.findall(section):
            if language == "text":
                blocks[-1] = Block(blocks[-1].language, blocks[-1].title, blocks[-1].text, text)
            else:
                blocks.append(Block(language, title, text))
        found[section.partition("\n")[0]] = blocks
    return found


def is_printed(expected: str, printed: str) -> bool:
    """Return whether it is what the page says, line by line."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.strip()) is not None


@dataclass
class Reader:
    """A person with a terminal in ``folder``."""

    folder: Path
    environment: dict[str, str]
    ran: list[str] = field(default_factory=list)

    def follow(self, blocks: list[Block]) -> None:
        """Do what the blocks say. Raises ``AssertionError`` where a command fails, or prints something else."""
        for block in blocks:
            if block.language == "python":
                (self.folder / block.title).write_text(block.text)
                continue
            printed = self.run(block.text)
            if block.printed is not None:
                assert is_printed(block.printed, printed), f"{block.text}\nprinted\n{printed}"

    def run(self, script: str) -> str:
        """Run the lines of a shell block and return what they print."""
        before = f'. "$KEPT_BY_THE_TEST/{_KEPT}"\n' if (self.folder / _KEPT).exists() else ""
        done = subprocess.run(
            ["/bin/bash", "-e", "-c", before + script + _KEEP],
            cwd=self.folder,
            env={**self.environment, "KEPT_BY_THE_TEST": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.ran.append(script)
        return done.stdout


def clean_environment(home: Path, first_on_path: Path) -> dict[str, str]:
    """Return an environment that leads nowhere: no AWS, no payonce, no Python path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PAYONCE_", "PYTHON", "VIRTUAL_ENV"))
    }
    path = f"{first_on_path}{os.pathsep}{kept['PATH']}"
    return {**kept, "HOME": str(home), "PATH": path, "AWS_EC2_METADATA_DISABLED": "true"}
