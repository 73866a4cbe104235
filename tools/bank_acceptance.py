"""Reads every public bank file of tests/data: ``python tools/bank_acceptance.py [--write|--check]``.

``--write`` puts the table into docs/reconciliation-files-read.md, ``--check`` fails where it is not what is there.
Files that may not be kept here are read from the folder that PAYONCE_BANK_FILES names, and only printed.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.mapping import ColumnMapping
from payonce.reconciliation.readers.propose import propose
from payonce.reconciliation.readers.read import read_file
from tests.support.bank_peers import differences, peer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from payonce.reconciliation.readers.rows import ReconciliationFile

SAMPLES = Path(__file__).parent.parent / "tests/data/reconciliation"
PAGE = Path(__file__).parent.parent / "docs/reconciliation-files-read.md"
ENDINGS = (".sta", ".txt", ".xml", ".ofx", ".qif", ".csv", ".xlsx", ".bai")
TABLES = (".qif", ".csv", ".xlsx")
PROVED, UNPROVED, REFUSED = "proved", "unproved", "refused"
MAX_REASON = 220
HEAD = """# Bank files: what is read, and how far it is proved

Every public sample in [tests/data/reconciliation](../tests/data/reconciliation) (origin and licence:
[NOTICE](../tests/data/reconciliation/NOTICE)), read by payonce and by another library. Written by `make acceptance`.
*Proved*: balances and control totals say the same as the lines. *Unproved*: read and matched, but nothing that rests
on it settles a case; most samples show a layout and do not add up. *Equal*: amount, sign, currency, dates, references
and, where the other library has them, balances are the same.
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One file: how it was read, its lines, why it is not proved, and what a peer has beside it."""

    name: str
    state: str
    lines: int
    why: str
    beside: str

    @property
    def folder(self) -> str:
        """The folder that the table groups by."""
        return self.name.partition("/")[0]


def accepted(path: Path, root: Path) -> Accepted:
    """Return how the file is read."""
    name = path.relative_to(root).as_posix()
    peer = peer_of(path)
    beside = peer.says if peer is not None else ""
    try:
        read = _read(path)
    except FileRejected as error:
        return Accepted(name, REFUSED, 0, error.detail, beside)
    if peer is not None and peer.error is None:
        beside += "; " + ("; ".join(differences(read, peer)) or "equal")
    lines = sum(len(statement.lines) for statement in read.statements)
    whys = dict.fromkeys(statement.unproved for statement in read.statements if statement.unproved)
    return Accepted(name, UNPROVED if whys else PROVED, lines, "; ".join(whys), beside)


def _read(path: Path) -> ReconciliationFile:
    """Return the file; a table is read by the mapping that is proposed for it."""
    data = path.read_bytes()
    if path.suffix.lower() not in TABLES:
        return read_file(data)
    text = propose(data, account="ACCOUNT").to_toml()
    return read_file(data, mappings=[ColumnMapping.model_validate(tomllib.loads(text))])


def all_of(root: Path) -> Iterator[Accepted]:
    """Yield every file below a folder, in the order of their names."""
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in ENDINGS and path.is_file():
            yield accepted(path, root)


def as_page(files: Iterable[Accepted]) -> str:
    """Return the page."""
    groups: dict[str, list[Accepted]] = {}
    for one in files:
        groups.setdefault(one.folder, []).append(one)
    lines = [HEAD, "| Folder | Files | Proved | Unproved | Refused |", "| --- | ---: | ---: | ---: | ---: |"]
    for folder, group in groups.items():
        counts = Counter(one.state for one in group)
        lines.append(f"| {folder} | {len(group)} | {counts[PROVED]} | {counts[UNPROVED]} | {counts[REFUSED]} |")
    for folder, group in groups.items():
        lines += ["", f"## {folder}", "", "| File | Read | Lines | Why it is not proved, or refused | Beside it |"]
        lines.append("| --- | --- | ---: | --- | --- |")
        for one in group:
            name = one.name.partition("/")[2] or one.name
            lines.append(f"| {name} | {one.state} | {one.lines} | {_cell(one.why)} | {_cell(one.beside)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    plain = " ".join(text.replace("|", "/").split())
    return plain if len(plain) <= MAX_REASON else plain[:MAX_REASON] + "…"


def main(arguments: list[str]) -> int:
    """Write, check or print the page; return 1 where it is not what is there."""
    page = as_page(all_of(SAMPLES))
    if "--check" in arguments:
        same = PAGE.is_file() and PAGE.read_text() == page
        sys.stdout.write("" if same else f"{PAGE.name} is not what is read: run make acceptance\n")
        return 0 if same else 1
    if "--write" in arguments:
        PAGE.write_text(page)
    else:
        sys.stdout.write(page)
    if folder := os.environ.get("PAYONCE_BANK_FILES"):
        sys.stdout.write(as_page(all_of(Path(folder))).removeprefix(HEAD))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
