"""The command lines that pages, hints and programs name, and whether the real parser takes them."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import cache
from typing import TYPE_CHECKING, NoReturn

import payonce.cli.families as families

if TYPE_CHECKING:
    from collections.abc import Iterator

# What stands for a value in a page, where the parser wants a number or one of a few words.
PLACEHOLDERS = {"EPOCH": "1", "…": "1", "SCOPE": "payments:read", "CLASS": "duplicate_capture"}
_OPENING = re.compile(r"\[(?=[-A-Za-z])|(?<=\S)\](?=\s|$)|(?<=\s)\]")
_INLINE = re.compile(r"`(payonce [^`]+)`")
_NAMED = re.compile(r"\bpayonce ((?:--stack \S+ )?[a-z][a-z-]+)((?: [^\s`;,:()]+)*)")


class WrongWords(Exception):
    """The parser does not take the words."""


@cache
def whole_parser() -> argparse.ArgumentParser:
    """Return the parser of every command; it raises ``WrongWords`` where the command would leave with 2."""
    parser = families.make_parser(whole=True)
    everyone = [parser]
    for each in everyone:
        each.error = _refuse  # type: ignore[method-assign]
        for action in each._actions:
            if isinstance(action, argparse._SubParsersAction):
                everyone.extend(child for child in action.choices.values() if child not in everyone)
    return parser


def _refuse(message: str) -> NoReturn:
    raise WrongWords(message)


def words_of(line: str) -> list[str]:
    """Return the words of a page's command line: options in brackets are taken, ``a|b`` is a, ``...`` is nothing."""
    text = _OPENING.sub("", re.sub(r"\s#\s.*$", "", line)).replace('"..."', "text")
    words = []
    for word in shlex.split(re.sub(r"<[^<>]+>", "VALUE", text))[1:]:
        if word in {"...", "&&", "||", "|", ">", ">>", "<", ";"}:
            if word != "...":
                break
            continue
        word = word.removesuffix("...")
        chosen = word.split("|")[0] if re.fullmatch(r"[a-z]+(\|[a-z]+)+", word) else word
        words.append(PLACEHOLDERS.get(chosen, chosen))
    return words


def parse(line: str) -> None:
    """Parse the line as the command does. Raises ``WrongWords``; a line with ``...`` may lack what is required."""
    try:
        whole_parser().parse_args(families.spelled(words_of(line)))
    except SystemExit as left:  # --help
        assert not left.code
    except WrongWords as error:
        if "the following arguments are required" not in str(error) or not re.search(r"\.\.\.|…", line):
            raise


def blocks_of(page: str) -> Iterator[str]:
    """Yield the command lines in the page's code blocks, each with the lines that continue it."""
    for block in re.findall(r"^ *```[^\n]*\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if re.match(r"\s*payonce [a-z-]", line):
                yield line.strip()


def named_in(text: str) -> Iterator[str]:
    """Yield what prose or a hint names as a command, with the words behind it."""
    known = {*families.BY_NAME, *(words[0] for words in families.SPELLINGS)}
    for found in _NAMED.finditer(text):
        if found[1].split()[-1] in known:
            yield found[0]


def inline_in(page: str) -> Iterator[str]:
    """Yield the commands in code within the page's sentences."""
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(found.split()) for found in _INLINE.findall(prose))


def check_named(text: str) -> None:
    """Check that the words lead to a command, and that each option behind them is one of its. Raises ``WrongWords``."""
    words = families.spelled([word.strip("[]`'\".)") for word in words_of_prose(text)])
    words = words[2:] if words[:1] == ["--stack"] else words
    parser = whole_parser()
    while below := [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]:
        if not words or not words[0]:
            return  # a family, as in "payonce routing ..."
        if words[0] not in below[0].choices:
            raise WrongWords(f"{text}: {words[:1]} is no command of {parser.prog}")
        parser, words = below[0].choices[words[0]], words[1:]
    for word in words:
        if word.startswith("--") and word.split("=")[0] not in parser._option_string_actions and len(word) > 2:
            raise WrongWords(f"{text}: {parser.prog} has no option {word}")


def words_of_prose(text: str) -> list[str]:
    """Return the words behind ``payonce``."""
    return text.split()[1:]
