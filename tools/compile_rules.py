"""Compiles the matching rules for Spark: ``python tools/compile_rules.py``.

The result is not committed: the wheel's build makes it, and so do the tests and the benchmark on Spark.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

import sqlglot
from sqlglot import exp

from payonce.reconciliation.matching import rules

FOLDER: Final = Path(str(files(rules))) / rules.COMPILED
HEADER: Final = "-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.\n"
# Bytes 8 to 11 of the MD5, little-endian; see reconciliation/matching/digest.py.
ROW_HASH: Final = (
    "CAST(CONV(CONCAT(SUBSTR(MD5({0}), 23, 2), SUBSTR(MD5({0}), 21, 2), SUBSTR(MD5({0}), 19, 2), "
    "SUBSTR(MD5({0}), 17, 2)), 16, 10) AS BIGINT) % 2147483647"
)


def compiled(statement: str) -> str:
    """Return the statement in Spark's dialect. Raises if sqlglot can't express it there."""
    tree = sqlglot.parse_one(statement, read=rules.SOURCE_DIALECT).transform(_with_row_hash)
    return tree.sql(dialect="spark", pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _with_row_hash(node: exp.Expression) -> exp.Expression:
    """Replace the call of ``row_hash``, which no engine has, by its definition."""
    if isinstance(node, exp.Anonymous) and node.name.lower() == "row_hash":
        [argument] = node.expressions
        return exp.paren(sqlglot.parse_one(ROW_HASH.format(argument.sql(dialect="spark")), read="spark"))
    return node


def compile_rules(folder: Path = FOLDER) -> None:
    """Write the compiled rules into ``folder``, and remove those whose source is gone."""
    expected = {
        folder / family / f"{file.name}.sql": HEADER + "\n".join(f"{compiled(text)};\n" for text in file.statements)
        for family in rules.FAMILIES
        for file in rules.rule_files(family)
    }
    for path in set(folder.glob("*/*.sql")) - set(expected):
        path.unlink()
    for path, text in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    compile_rules()
