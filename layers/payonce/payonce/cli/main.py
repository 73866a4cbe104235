"""The command ``payonce``: parses the words, finds the stack, runs the family, and says what to do about an error."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payonce.cli.families import BY_NAME, family_of, make_parser, spelled
from payonce.cli.output import (
    Exit,
    OutputLost,
    escape_what_it_lacks,
    flushed,
    json_text,
    open_what_is_closed,
    stop_writing,
    wants_json,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.cli.families import Family


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: one of ``Exit``."""
    open_what_is_closed()
    escape_what_it_lacks(sys.stdout)
    words = spelled(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _main(words)
        finally:
            with flushed():
                pass
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        stop_writing()
        return Exit.DONE
    except OutputLost as error:
        return _told(error, "--json" in words, "")


def _main(words: list[str]) -> int:
    chosen = family_of(words)
    try:
        parser = make_parser(chosen)
    except ModuleNotFoundError as error:
        return _told(error, "--json" in words, chosen.name if chosen else "")
    options = parser.parse_args(words)
    if options.tell_version:
        from payonce import __version__

        sys.stdout.write(f"payonce {__version__}\n")
        return Exit.DONE
    if options.command is None:
        parser.print_help()
        return Exit.REFUSED
    try:
        return _run(options)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        return _told(error, wants_json(options), options.command)


def _run(options: argparse.Namespace) -> int:
    family = BY_NAME[options.command]
    with _variables(_one_region()):
        return _with_stack(family, options)


def _with_stack(family: Family, options: argparse.Namespace) -> int:
    name = options.stack or os.environ.get("PAYONCE_STACK")
    environment = dict(os.environ)
    if options.table:
        environment["PAYONCE_MERCHANTS_TABLE"] = options.table
    module = family.load()
    on_files = not family.stack or getattr(options, "decisions", None) is not None or getattr(options, "config", None)
    if not name or on_files or not getattr(module, "needs_stack", lambda _: True)(options):
        return module.run(options, environment)  # type: ignore[no-any-return]
    from payonce.cli import stack

    options.stack = name
    with _variables(stack.way_to(name, environment)) as environment:
        if options.table:
            environment["PAYONCE_MERCHANTS_TABLE"] = options.table
        if not getattr(module, "LOOKS_ITSELF", False):
            environment = stack.environment_of_stack(name, environment)
        return module.run(options, environment)  # type: ignore[no-any-return]


def _one_region() -> dict[str, str | None]:
    """Return the variable by which boto3 uses AWS_REGION, too.

    The AWS CLI and the other SDKs read AWS_REGION, and so does payonce; boto3 alone reads AWS_DEFAULT_REGION only:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    region = os.environ.get("AWS_REGION")
    return {"AWS_DEFAULT_REGION": region} if region else {}


@contextmanager
def _variables(changed: Mapping[str, str | None]) -> Iterator[dict[str, str]]:
    """Set or remove variables of this process, which the SDK reads by itself, and put them back at the end."""
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield dict(os.environ)
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _told(error: Exception, as_json: bool, command: str) -> int:
    """Write what is wrong and what to do next to standard error; raise what is a defect of ours."""
    from payonce.cli.advice import advice_of

    advice = advice_of(error, command)
    if advice is None:
        raise error
    if as_json:
        document = {"problem": advice.problem, "detail": advice.detail, "next": advice.cure, "exit_code": advice.code}
        sys.stderr.write(json_text({"error": document}, sys.stderr) + "\n")
    else:
        sys.stderr.write(f"{advice.detail}\n" + (f"next: {advice.cure}\n" if advice.cure else ""))
    return advice.code
