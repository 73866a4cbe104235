"""Each command that a page, a runbook, a hint or the demo names, given to the real parser."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from payonce.cli.families import spelled
from payonce.cli.output import Exit
from tests.support.aws import REPOSITORY
from tests.support.commands import WrongWords, blocks_of, check_named, inline_in, named_in, parse, words_of
from tools.command_page import main as command_page

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")])
SOURCES = sorted(
    [*(REPOSITORY / "layers" / "payonce" / "payonce").rglob("*.py"), *(REPOSITORY / "local").rglob("*.py")]
)


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    """Fails when a command or an option is renamed, and a page still has it as it was."""
    text = page.read_text()
    if "<!-- From here on, tools/command_page.py" in text:
        text = text.partition("<!-- From here on, tools/command_page.py")[0]  # made from the parser
    wrong = []
    for line in blocks_of(text):
        try:
            parse(line)
        except (WrongWords, ValueError) as error:
            wrong.append(f"{line}: {error}")
    for inline in inline_in(text):
        for named in named_in(inline):
            try:
                check_named(named)
            except WrongWords as error:
                wrong.append(str(error))
    older = [line for line in (*blocks_of(text), *inline_in(text)) if (words := words_of(line)) != spelled(words)]
    wrong += [f"{line}: an older name" for line in older if "reconcile map" not in line]
    assert wrong == []


def test_the_pages_have_commands_at_all() -> None:
    """Fails when the search for commands finds none any more."""
    assert sum(len(list(blocks_of(page.read_text()))) for page in PAGES) > 40
    assert sum(len(list(inline_in(page.read_text()))) for page in PAGES) > 20


def texts_of(source: Path) -> list[str]:
    """Return the texts of a module; in an f-string, a value is one word."""
    texts = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(each.value) if isinstance(each, ast.Constant) else "X" for each in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_every_hint_names_a_command(source: Path) -> None:
    """Fails when an error or a "next:" line sends people to a command that there is not."""
    for text in texts_of(source):
        for named in named_in(text):
            check_named(named)


def test_the_reference_and_the_completions_are_as_the_parser_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a command or a help text changes, and the page or a completion does not."""
    assert command_page(["--check"]) == 0, capsys.readouterr().out


def test_the_page_has_every_exit_code_and_every_problem() -> None:
    """Fails when a script meets a code or a problem that the page does not explain."""
    page = (REPOSITORY / "docs" / "command.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == [*Exit]
    source = (REPOSITORY / "layers" / "payonce" / "payonce" / "cli" / "advice.py").read_text()
    problems = set(re.findall(r'Advice\(\s*"(\w+)"', source))
    assert {"no_region", "clock_off", "outcome_unknown"} <= problems
    assert {word for word in problems if f"`{word}`" not in page} == set()
