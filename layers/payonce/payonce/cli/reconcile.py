"""``reconcile``: reconciles files offline, on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.cli import reconcile_exports
from payonce.cli.output import json_text
from payonce.cli.reconcile_intake import NamedFile, Reading, take_in
from payonce.cli.support import time_of
from payonce.domain.errors import BodyMalformed, ConservationViolated
from payonce.extras import needs
from payonce.reconciliation.matching.run_result import with_anomalies
from payonce.reconciliation.matching.summary import verdict
from payonce.reconciliation.readers.zones import known_zone
from payonce.reconciliation.runs.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from zoneinfo import ZoneInfo

    from rich.progress import Progress

    from payonce.reconciliation.matching.engine import Workspace
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import RunSettings
    from payonce.reconciliation.report.contents import Contents

NO_BREAKS, BREAKS_FOUND, REFUSED = 0, 1, 2
STANDARD_OUTPUT = Path("-")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``reconcile``."""
    command = commands.add_parser("reconcile", description=__doc__)
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="gateway reports and bank statements")
    command.add_argument("--ledger", type=Path, required=True, metavar="LEDGER.csv", help="our own ledger")
    command.add_argument(
        "--gateway",
        action="append",
        default=[],
        metavar="NAME[=FILE]",
        help="the ledger's name of the gateway whose report FILE is, or of all that are not named; may be repeated",
    )
    command.add_argument("--policy", type=Path, metavar="policy.toml", help="fees and limits, docs/reconciliation.md")
    command.add_argument(
        "--mapping",
        action="append",
        default=[],
        type=Path,
        metavar="columns.toml",
        help="what the columns of a bank's table mean (`reconcile map FILE` proposes one); may be repeated",
    )
    command.add_argument(
        "--decisions", type=Path, metavar="FILE", help="what `breaks match` has written: rows that belong together"
    )
    command.add_argument("--strict", action="store_true", help="refuse statements that do not prove themselves")
    command.add_argument("--skip-refused", action="store_true", help="go on without files that are refused")
    command.add_argument(
        "--time-zone",
        type=_zone,
        metavar="ZONE",
        help="of gateway reports whose times do not say their zone, such as Europe/Amsterdam",
    )
    command.add_argument("--as-of", metavar="ISO", help="judge as of this time (default: the latest time in the files)")
    command.add_argument("--report", type=Path, metavar="out.html", help="write the report, one HTML file")
    command.add_argument(
        "--json", type=Path, metavar="out.json", help="write every break with its evidence (-: to standard output)"
    )
    reconcile_exports.add_options(command)
    command.add_argument("--manifest", type=Path, metavar="chain.jsonl", help="add the run to this chain")


def _zone(name: str) -> ZoneInfo:
    zone = known_zone(name)
    if zone is None:
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone, such as Europe/Amsterdam")
    return zone


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Reconcile: 0 no breaks, 1 breaks, a notice or a file left out, 2 a file was refused and nothing was reconciled.

    Raises ``PayonceError``.
    """
    with needs("reconcile"):  # imported first, so that a missing package is reported before the run
        from rich.console import Console
        from rich.progress import Progress

        from payonce.engines.duckdb_engine import DuckDbWorkspace
        from payonce.reconciliation.runs.match_log import read_match_log
        from payonce.reconciliation.runs.run_policy import RunPolicy, load_mapping, load_policy

        if options.report is not None:
            from payonce.reconciliation.report import html  # noqa: F401
        if options.xlsx is not None:
            import xlsxwriter  # noqa: F401
    policy = load_policy(options.policy) if options.policy else RunPolicy()
    reading = Reading(
        (*map(load_mapping, options.mapping), *policy.mappings),
        options.strict or policy.strict,
        options.time_zone or policy.zone,
    )
    matches = read_match_log(options.decisions).in_force if options.decisions else ()
    as_of_ms = time_of(options.as_of) if options.as_of else None
    files = named_files(options.files, options.gateway)
    check_outputs(options, files)
    errors = Console(stderr=True)
    intake = Intake()
    with DuckDbWorkspace() as workspace, Progress(console=errors) as progress:
        refused = take_in(options.ledger, files, workspace, intake, progress, reading)
        of_ledger = any(one.name == str(options.ledger) for one in refused)
        if refused and (of_ledger or len(refused) == len(files) or not options.skip_refused):
            progress.stop()
            lines = [*(f"{one.name}: {one.reason}" for one in refused), "Nothing was reconciled."]
            sys.stderr.write("".join(f"{line}\n" for line in lines))
            return REFUSED
        intake.refused += refused
        settings = policy.settings(intake.latest_ms if as_of_ms is None else as_of_ms, matches)
        result = run_rules(workspace, settings, progress)
        contents = finished(options, settings, intake, result)
        reconcile_exports.write(options, contents, workspace)
    if options.json != STANDARD_OUTPUT:
        from payonce.reconciliation.report.terminal import show

        show(contents, Console())
    return BREAKS_FOUND if result.breaks or result.notices or intake.refused else NO_BREAKS


def named_files(paths: Iterable[Path], names: Iterable[str]) -> list[NamedFile]:
    """Return the files with their gateways. Raises ``BodyMalformed`` for a contradiction, or if there is no file."""
    for_all, by_path = None, dict[Path, str]()
    for name, equals, file in (text.partition("=") for text in names):
        if not name or (equals and not file):
            raise BodyMalformed(f"--gateway {name}{equals}{file}: write NAME or NAME=FILE.")
        if not equals and for_all not in (None, name):
            raise BodyMalformed(f"--gateway {name}: only one name can be that of all files; write NAME=FILE.")
        if not equals:
            for_all = name
        elif by_path.setdefault(Path(file), name) != name:
            raise BodyMalformed(f"--gateway {name}={file}: the file is already named {by_path[Path(file)]}'s.")
    files = [NamedFile(path, by_path.get(path, for_all)) for path in paths]
    listed = {file.path for file in files}
    files += [NamedFile(path, name) for path, name in by_path.items() if path not in listed]
    if not files:
        raise BodyMalformed("Name at least one gateway report or bank statement.")
    return files


def check_outputs(options: argparse.Namespace, files: list[NamedFile]) -> None:
    """Refuse what would fail after the run, or overwrite what it reads. Raises ``BodyMalformed``."""
    inputs = (options.ledger, options.policy, options.decisions, *options.mapping, *(file.path for file in files))
    read = {path.resolve() for path in inputs if path}
    written: set[Path] = set()
    outputs = ((name, getattr(options, name)) for name in ("report", "json", "manifest"))
    named = [(name, path) for name, path in outputs if path and path != STANDARD_OUTPUT]
    for option, path in (*named, *reconcile_exports.paths(options)):
        if path.resolve() in read | written:
            raise BodyMalformed(f"--{option} {path}: this file is read by the run or written twice. Name another one.")
        if not path.resolve().parent.is_dir() or path.is_dir():
            raise BodyMalformed(f"--{option} {path}: it can't be written there. Name a file in an existing folder.")
        written.add(path.resolve())


def run_rules(workspace: Workspace, settings: RunSettings, progress: Progress) -> RunResult:
    """Run the rules and the search for anomalies with a progress bar, and return the result."""
    bar = progress.add_task("Matching", total=None)

    def step(rule: str, done: int, total: int) -> None:
        progress.update(bar, description=f"Matching: {rule}", completed=done, total=total)

    result = workspace.run(settings, step)
    progress.update(bar, description="Anomalies")
    return with_anomalies(result, workspace.anomalies(settings))


def finished(options: argparse.Namespace, settings: RunSettings, intake: Intake, result: RunResult) -> Contents:
    """Write the outputs that the options name, and return their contents.

    Raises ``ConservationViolated``, before anything is written, and ``BodyMalformed`` if a file can't be written.
    """
    from payonce.reconciliation.report.contents import Contents, as_json

    contents = Contents(settings, intake, result)
    # The engine proves conservation for its input; this proves that its input is what the files hold.
    if not all(one.holds for one in contents.proof):
        raise ConservationViolated(verdict(result, contents.proof))
    if options.manifest is not None:
        from payonce.reconciliation.report.chain import add_to_chain

        contents = replace(contents, manifest_hash=add_to_chain(options.manifest, contents))
    if options.json is not None:
        if options.json == STANDARD_OUTPUT:
            sys.stdout.write(json_text(as_json(contents), sys.stdout, indent=1) + "\n")
        else:
            write_whole(options.json, json.dumps(as_json(contents), indent=1, ensure_ascii=False) + "\n")
    if options.report is not None:
        from payonce.reconciliation.report.html import as_html

        write_whole(options.report, as_html(contents))
    return contents


def write_whole(path: Path, text: str) -> None:
    """Write the file atomically. Raises ``BodyMalformed``, and then leaves an earlier file unchanged."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BodyMalformed(f"{path} can't be written: {error.strerror}") from None
