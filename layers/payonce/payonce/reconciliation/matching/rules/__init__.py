"""The one source of the matching rules: SQL files in DuckDB's dialect, from which those of Spark are compiled.

The repository does not have the compiled files. ``tools/compile_rules.py`` writes them, and what they are made from,
into one archive: the wheel has that alone, a fifth of the size, and a checkout needs it for Spark only.

A family is a folder; its files run in the order of their names, each statement in the order of the file. A statement
is ``CREATE TABLE name AS SELECT ...`` or ``CREATE VIEW name AS SELECT ...`` and ends with ``;`` at the end of a line
(so no comment ends a line with one). Names begin with the family (``by_hand_``, ``transactions_``, ``bank_``).

What a family reads: the tables of ``matching/tables.py``, and what the families before it left. What it leaves behind:

``<family>_outcome(source, row_key, outcome, break_class, currency, amount_minor)``
    each of its input rows exactly once; ``break_class`` is '' where there is no break.
``<family>_found(break_class, subject_1, subject_2, subject_3, subject_4, amount_minor, currency, occurred_at_ms,
merchant_id, payment_id, gateway, surplus_gateway_payment_id)``
    one row per break; an unused subject is '', an unknown other value NULL.
``<family>_link(break_class, subject_1, subject_2, subject_3, subject_4, source, row_key)``
    the rows that show a break.
``<family>_input(source, currency, row_count, amount_minor)``
    rows and signed sum that the family has to account for, counted from the tables and not from its outcomes.
``<family>_keys(source, taken, given)``
    the sum of ``row_hash(row_key)`` over the rows that went in, each content once, and over the outcomes, those in bulk
    included.
``<family>_difference(how, gateway, currency, row_key, other_key, difference_minor, at_ms)``
    what the amounts of matched rows differ by: ``tolerated`` or ``tolerated_payout`` by the policy, or
    ``accepted`` by a person.
``<family>_bulk(source, outcome, currency, row_count, amount_minor, pair_hash)``
    rows that were settled in bulk and are therefore not in ``<family>_outcome``; ``pair_hash`` is a sum over pairs.
    A family that settles nothing in bulk leaves it out.

Only what every engine computes alike: integers (``//`` divides positive numbers), no floats, no frames on LAG, no
QUALIFY, no order without a tie-break by content, no function beyond those the compiled rules are tested with.
``row_hash(text)`` is the one function that each engine has to bring: see ``reconciliation/matching/digest.py``.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from payonce.domain.errors import MisconfiguredError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FAMILIES: Final = ("by_hand", "transactions", "bank")  # what is settled by hand is left out of what follows
SOURCE_DIALECT: Final = "duckdb"
COMPILED_DIALECT: Final = "spark"
ARCHIVE: Final = "generated/rules.zip"  # beside this file: a folder for each dialect, in it one for each family


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file: its name without the ending, and its statements without the semicolon."""

    name: str
    statements: tuple[str, ...]


def rule_files(family: str, *, compiled: bool = False) -> tuple[RuleFile, ...]:
    """Return a family's rules in the order in which they run, in DuckDB's dialect or compiled for Spark.

    Raises ``MisconfiguredError`` where the package was copied from a checkout without compiling them.
    """
    folder: Traversable = files(__name__).joinpath(family)
    if compiled or not folder.is_dir():
        folder = _archived(COMPILED_DIALECT if compiled else SOURCE_DIALECT, family)
    found = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(RuleFile(name.removesuffix(".sql"), split_statements(text)) for name, text in found)


def _archived(dialect: str, family: str) -> Traversable:
    archive = files(__name__).joinpath(ARCHIVE)
    if not archive.is_file():
        raise MisconfiguredError(
            f"The rules are missing: there is no {archive}. The wheel has it; in a checkout, run python "
            "tools/compile_rules.py."
        )
    return zipfile.Path(zipfile.ZipFile(io.BytesIO(archive.read_bytes())), f"{dialect}/{family}/")


def split_statements(text: str) -> tuple[str, ...]:
    """Return the statements of a file, which end with ``;`` at the end of a line."""
    parts = (part.strip() for part in (text.rstrip() + "\n").split(";\n"))
    return tuple(part for part in parts if part)
