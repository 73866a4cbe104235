"""The exports of ``reconcile``: breaks, matches and open items as CSV files or as one workbook."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from payonce.engines.duckdb_engine import DuckDbWorkspace
    from payonce.reconciliation.report.contents import Contents
    from payonce.reconciliation.report.export_rows import Sheet

CSV_FILES = ("breaks.csv", "matches.csv", "open_items.csv")


def add_options(command: argparse.ArgumentParser) -> None:
    """Add ``--xlsx`` and ``--csv``."""
    command.add_argument(
        "--xlsx", type=Path, metavar="out.xlsx", help="write breaks, matches and open items, a sheet each"
    )
    command.add_argument("--csv", type=Path, metavar="FOLDER", help=f"write {', '.join(CSV_FILES)} into this folder")


def paths(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield the option's name and the path of each file that will be written."""
    if options.xlsx is not None:
        yield "xlsx", options.xlsx
    if options.csv is not None:
        if options.csv.exists() and not options.csv.is_dir():
            raise BodyMalformed(f"--csv {options.csv}: this is a file. Name a folder.")
        for name in CSV_FILES if options.csv.is_dir() else ():
            yield "csv", options.csv / name
        if not options.csv.resolve().parent.is_dir():
            raise BodyMalformed(f"--csv {options.csv}: the folder that it would be in does not exist.")


def write(options: argparse.Namespace, contents: Contents, workspace: DuckDbWorkspace) -> None:
    """Write the exports that the options name, each whole or not at all.

    The workspace has the run that ``contents`` is of. Raises ``BodyMalformed`` if a file can't be written.
    """
    if options.csv is not None:
        from payonce.reconciliation.report.csv_export import file_name, write_csv

        _made(options.csv)
        for sheet in _sheets(contents, workspace):
            _whole(options.csv / file_name(sheet.name), partial(write_csv, sheet))
    if options.xlsx is not None:
        from payonce.reconciliation.report.xlsx_export import write_xlsx

        _whole(options.xlsx, partial(write_xlsx, _sheets(contents, workspace)))


def _sheets(contents: Contents, workspace: DuckDbWorkspace) -> tuple[Sheet, ...]:
    from payonce.reconciliation.report.export_rows import sheets

    return sheets(contents, workspace.matches(), workspace.all_open_items())


def _made(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BodyMalformed(f"{folder} can't be made: {error.strerror}") from None


def _whole(path: Path, write_to: Callable[[Path], None]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        write_to(part)
        part.replace(path)
    except OSError as error:
        raise BodyMalformed(f"{path} can't be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
