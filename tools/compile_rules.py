"""Compiles the matching rules for Spark, and packs them with their sources: ``python tools/compile_rules.py``.

The result is not committed: the wheel's build makes it, and so do the tests and the benchmark on Spark.
"""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Final

import sqlglot
from sqlglot import exp

from payonce.reconciliation.matching import rules

ARCHIVE: Final = Path(str(files(rules))) / rules.ARCHIVE
ALWAYS: Final = (1980, 1, 1, 0, 0, 0)  # the time of every file in the archive: a wheel is the same whenever it is built
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


def compile_rules(archive: Path = ARCHIVE) -> None:
    """Write the rules of both dialects into ``archive``."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for family in rules.FAMILIES:
            for file in rules.rule_files(family):
                written = "\n".join(f"{text};\n" for text in file.statements)
                for_spark = HEADER + "\n".join(f"{compiled(text)};\n" for text in file.statements)
                for dialect, text in ((rules.SOURCE_DIALECT, written), (rules.COMPILED_DIALECT, for_spark)):
                    name = zipfile.ZipInfo(f"{dialect}/{family}/{file.name}.sql", ALWAYS)
                    name.compress_type = zipfile.ZIP_DEFLATED
                    into.writestr(name, text)


if __name__ == "__main__":
    compile_rules()
