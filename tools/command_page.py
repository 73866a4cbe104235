"""Writes what is generated from the command's parser: the reference in docs/command.md, and the shells' completions.

``python -m tools.command_page`` writes, ``--check`` says what is not current and leaves with 1. The completions are
made by shtab (https://github.com/tqdm/shtab), once, so that nobody needs it who uses them.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import sys
from pathlib import Path

import shtab

from payonce.cli.families import BY_NAME, SHELLS, leaves, make_parser

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "command.md"
COMPLETIONS = REPOSITORY / "layers" / "payonce" / "payonce" / "cli" / "completions"
MARK = "<!-- From here on, tools/command_page.py writes this page. -->\n"
COMMON = frozenset({"--help", "--json", "--stack"})
USAGE_WIDTH = 100


def page_of(text: str) -> str:
    """Return the page ``text`` with its reference as the parser has it now."""
    head, mark, _ = text.partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE}: it lacks the line {MARK!r}")
    return head + mark + "\n" + "\n".join(_sections())


def _sections() -> list[str]:
    parser = make_parser(whole=True)
    sections, family = [], ""
    for path, leaf in leaves(parser):
        if path[0] != family:
            family = path[0]
            title = "reconcile map" if family == "reconcile-map" else family
            summary = BY_NAME[family].help
            sections.append(f"## {title}\n\n{summary[0].upper()}{summary[1:]}.\n")
        sections.append(_section(path, leaf, heading=len(path) > 1))
    return sections


def _section(path: tuple[str, ...], leaf: argparse.ArgumentParser, *, heading: bool) -> str:
    leaf.formatter_class = functools.partial(argparse.HelpFormatter, width=USAGE_WIDTH)
    formatter = leaf.formatter_class(leaf.prog)
    usage = leaf.format_usage().removeprefix("usage: ").replace("\n       ", "\n")
    summary = (leaf.description or _help_of(path)).strip()
    rows = [
        f"| {_name(action, formatter)} | {_cell(formatter._expand_help(action) if action.help else '')} |"
        for action in leaf._actions
        if not COMMON.intersection(action.option_strings) and action.help != argparse.SUPPRESS
    ]
    table = "\n".join(["| argument | |", "|---|---|", *rows]) + "\n\n" if rows else ""
    about = f"### {leaf.prog}\n\n{summary[0].upper()}{summary[1:].rstrip('.')}.\n\n" if heading else ""
    return f"{about}```\n{usage}```\n\n{table}".rstrip() + "\n"


@functools.cache
def _helps() -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}

    def walk(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for choice in action._choices_actions:
                    found[(*path, choice.dest)] = choice.help or ""
                for name, child in action.choices.items():
                    walk(child, (*path, name))

    walk(make_parser(whole=True), ())
    return found


def _help_of(path: tuple[str, ...]) -> str:
    return _helps().get(path, "")


def _name(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    shown = (
        formatter._format_action_invocation(action)
        if action.option_strings
        else formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
    )
    return f"`{_cell(shown)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def completion_of(shell: str) -> str:
    """Return the completion script of ``shell``."""
    parser = make_parser(whole=True)
    for _, leaf in leaves(parser):
        for action in leaf._actions:
            if action.type is Path or action.metavar == "FILE":
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab's way to name files
    return f"{shtab.complete(parser, shell).rstrip()}\n"


def wanted() -> dict[Path, str]:
    """Return each generated file with the text that it has to hold."""
    return {PAGE: page_of(PAGE.read_text())} | {COMPLETIONS / f"{shell}.gz": completion_of(shell) for shell in SHELLS}


def _text_of(path: Path) -> str:
    """Return what a file holds. The text is compared and not the bytes: they differ between versions of zlib."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    stale = {path: text for path, text in wanted().items() if not path.exists() or _text_of(path) != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(REPOSITORY)} is not as the parser has it. Run: python -m tools.command_page")
        else:
            content = text.encode()
            path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
