"""How ``reconcile`` takes the files in that it was given: in bulk where they have the ordinary form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, FileRejected
from payonce.reconciliation.readers.bulk.facts import plan_of
from payonce.reconciliation.readers.bulk.look import first_look
from payonce.reconciliation.readers.ledger_csv import read_ledger_csv
from payonce.reconciliation.readers.read import GATEWAY_READERS, read_file, unknown_words
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.runs.intake import CountedStream, FileFacts, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from rich.progress import Progress

    from payonce.reconciliation.matching.engine import Workspace
    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.rows import FileFormat
    from payonce.reconciliation.runs.intake import Intake


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file given on the command line; ``gateway`` is the ledger's name of the gateway that issued the report."""

    path: Path
    gateway: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read.

    ``mappings`` are those of tables, ``strict`` takes only what proves itself, and ``zone`` is that of gateway reports
    whose times do not state one.
    """

    mappings: tuple[ColumnMapping, ...] = ()
    strict: bool = False
    zone: ZoneInfo | None = None


def take_in(
    ledger: Path,
    files: list[NamedFile],
    workspace: Workspace,
    intake: Intake,
    progress: Progress,
    reading: Reading,
) -> list[Refused]:
    """Read everything into the workspace and return what was refused; of such a file nothing was taken."""
    refused: list[Refused] = []
    paths = [ledger, *(file.path for file in files)]
    bar = progress.add_task("Reading", total=sum(path.stat().st_size for path in paths if path.is_file()))

    def passed(size: int) -> None:
        progress.advance(bar, size)

    def attempt(path: Path, take: Callable[[], str | None]) -> None:
        try:
            if (remark := take()) is not None:
                progress.console.print(f"{path}: {remark}", markup=False, highlight=False, soft_wrap=True)
        except (FileRejected, BodyMalformed) as error:
            # A refusal may quote the file.
            refused.append(Refused(str(path), plain(error.detail)))
        except OSError as error:
            refused.append(Refused(str(path), f"the file can't be read: {error.strerror}"))

    attempt(ledger, partial(_take_ledger, ledger, workspace, intake, passed))
    for file in files:
        attempt(file.path, partial(_take_file, file, workspace, intake, passed, reading))
    return refused


def _take_ledger(path: Path, workspace: Workspace, intake: Intake, passed: Callable[[int], None]) -> None:
    look = first_look(path)
    plan = None if look is None else plan_of(look, is_ledger=True)
    if look is not None and plan is not None and (facts := workspace.add_in_bulk(look, plan)) is not None:
        intake.add_ledger_in_bulk(path.name, look.file_id, facts)
        passed(look.size)
        return
    with path.open("rb") as opened:
        stream = CountedStream(opened, passed)
        workspace.add_ledger(intake.ledger(read_ledger_csv(stream)))
        intake.add_ledger_file(path.name, stream.file_id)


def _take_file(
    file: NamedFile, workspace: Workspace, intake: Intake, passed: Callable[[int], None], reading: Reading
) -> str | None:
    """Return a remark, when there is one to make."""
    remark = _take_in_bulk(file, workspace, intake, passed)
    if remark is not None:
        return remark or None
    with file.path.open("rb") as opened:
        read = read_file(opened, mappings=reading.mappings, strict=reading.strict, zone=reading.zone)
    passed(file.path.stat().st_size)
    gateway = _gateway_of(file, read.format, intake)
    if (before := intake.earlier(read.file_id, gateway)) is not None:
        return f"the same file as {before.name}; read once"
    workspace.add_file(read, gateway=gateway)
    intake.add(file.path.name, read, gateway)
    return _not_in_ledger(gateway, intake) or None


def _take_in_bulk(file: NamedFile, workspace: Workspace, intake: Intake, passed: Callable[[int], None]) -> str | None:
    """Return a remark, "" where there is none to make, and ``None`` where a reader has to read the file."""
    look = first_look(file.path)
    plan = None if look is None else plan_of(look, is_ledger=False)
    if look is None or look.format is None or plan is None:
        return None
    gateway = _gateway_of(file, look.format, intake)
    if (before := intake.earlier(look.file_id, gateway)) is not None:
        passed(look.size)
        return f"the same file as {before.name}; read once"
    facts = workspace.add_in_bulk(look, plan, gateway=gateway)
    if facts is None:
        return None
    notices = unknown_words(facts.words, look.format)
    known = FileFacts(file.path.name, look.file_id, look.format.value, gateway, facts.rows, notices=notices)
    intake.add_in_bulk(known, facts)
    passed(look.size)
    return _not_in_ledger(gateway, intake)


def _gateway_of(file: NamedFile, file_format: FileFormat, intake: Intake) -> str | None:
    """Return the ledger's name of the gateway that issued the file. Raises ``BodyMalformed`` where it is not said."""
    if file_format not in GATEWAY_READERS:
        return None
    if file.gateway is None:
        raise BodyMalformed(f"it is a gateway's report; say which, as the ledger names it: --gateway NAME={file.path}")
    if (ours := _in_ledger(file.gateway, intake.ledger_gateways)) is None:
        return file.gateway
    notice = f"the ledger calls gateway {plain(file.gateway)!r} {plain(ours)!r}: the report is read as of that one"
    if notice not in intake.notices:
        intake.notices.append(notice)
    return ours


def _not_in_ledger(gateway: str | None, intake: Intake) -> str:
    if gateway is not None and intake.ledger_gateways and gateway not in intake.ledger_gateways:
        named = ", ".join(plain(name) for name in sorted(intake.ledger_gateways))
        return f"the ledger has no rows of a gateway {gateway!r}; it has {named}"
    return ""


def _in_ledger(gateway: str, named: Iterable[str]) -> str | None:
    """Return the ledger's name of a gateway that it writes in other letters, ``None`` where it has the name itself."""
    alike = [name for name in named if name.strip().casefold() == gateway.strip().casefold()]
    return alike[0] if len(alike) == 1 and alike[0] != gateway else None
