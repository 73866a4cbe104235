"""Compiles the matching rules for other engines: ``python tools/compile_rules.py [--check]``.

``--check`` writes nothing and fails if what is committed is not what the rules compile to.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sqlglot
from sqlglot import exp

from payonce.reconciliation.matching.rules import COMPILED_DIALECTS, FAMILIES, SOURCE_DIALECT, rule_files

FOLDER = Path(__file__).parent.parent / "layers/payonce/payonce/reconciliation/matching/rules/compiled"
HEADER = "-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.\n"
# Of the MD5: bytes 8 to 11, little-endian; see reconciliation/matching/digest.py.
ROW_HASH = {
    "spark": "CAST(CONV(CONCAT(SUBSTR(MD5({0}), 23, 2), SUBSTR(MD5({0}), 21, 2), SUBSTR(MD5({0}), 19, 2), "
    "SUBSTR(MD5({0}), 17, 2)), 16, 10) AS BIGINT) % 2147483647",
    "trino": "FROM_BIG_ENDIAN_64(CONCAT(X'00000000', REVERSE(SUBSTR(MD5(TO_UTF8({0})), 9, 4)))) % 2147483647",
}


def compiled(statement: str, dialect: str) -> str:
    """Return the statement in another dialect. Raises if sqlglot can't say it there."""
    [tree] = sqlglot.parse(statement, read=SOURCE_DIALECT)
    assert tree is not None, statement  # noqa: S101
    tree = tree.transform(_own, dialect)
    return tree.sql(dialect=dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _own(node: exp.Expression, dialect: str) -> exp.Expression:
    """Put in what sqlglot does not know, or says with floats."""
    if isinstance(node, exp.Anonymous) and node.name.lower() == "row_hash":
        [argument] = node.expressions
        text = ROW_HASH[dialect].format(argument.sql(dialect=dialect))
        return exp.paren(sqlglot.parse_one(text, read=dialect))
    if isinstance(node, exp.IntDiv) and dialect == "trino":  # of integers, Trino's / is one
        return exp.Div(this=node.this, expression=node.expression, typed=True, safe=False)
    return node


def main() -> int:
    """Write every compiled file, or compare."""
    expected: dict[Path, str] = {}
    for dialect in COMPILED_DIALECTS:
        for family in FAMILIES:
            for file in rule_files(family):
                texts = [compiled(statement, dialect) + ";\n" for statement in file.statements]
                expected[FOLDER / dialect / family / f"{file.name}.sql"] = HEADER + "\n".join(texts)
    there = set(FOLDER.glob("*/*/*.sql"))
    stale = sorted(
        str(path.relative_to(FOLDER))
        for path in there | set(expected)
        if path not in expected or path not in there or path.read_text("utf-8") != expected[path]
    )
    if "--check" in sys.argv[1:]:
        if stale:
            print("The compiled rules are not current; run python tools/compile_rules.py:", *stale, file=sys.stderr)
        return 1 if stale else 0
    for path in there - set(expected):
        path.unlink()
    for path, text in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
