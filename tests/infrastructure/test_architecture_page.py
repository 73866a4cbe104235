"""docs/architecture.md is the map for who comes new: it names each room, and no file that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.aws import REPOSITORY

PAGE = (REPOSITORY / "docs/architecture.md").read_text("utf-8")
PACKAGE = REPOSITORY / "layers/payonce/payonce"


def test_every_file_of_the_two_ways_is_there() -> None:
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE[PAGE.index("## Two ways") : PAGE.index("## What each room")])
    assert len(named) > 15
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_every_room_is_in_the_table() -> None:
    table = PAGE[PAGE.index("## What each room") : PAGE.index("## Items")]
    named = {part for cell in re.findall(r"^\| (.*?) \|", table, re.M) for part in re.findall(r"`([\w/]+)`", cell)}
    rooms = {str(file.parent.relative_to(PACKAGE)) for file in PACKAGE.rglob("__init__.py")}
    holds_modules = {room for room in rooms if room != "." and len(list((PACKAGE / room).glob("*.py"))) > 1}
    shortened = {Path(room).name if Path(room).name in named else room for room in holds_modules}
    assert shortened - named == set()
