"""The rules for Spark say what the rules in DuckDB's dialect say, as far as that shows without Spark.

``make spark`` runs them. That sqlglot says nothing of what it leaves out unless it is asked to raise is documented:
https://github.com/tobymao/sqlglot#unsupported-errors
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import UnsupportedError

from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.matching import rules
from tools.compile_rules import compile_rules, compiled

if TYPE_CHECKING:
    from pathlib import Path

MADE = re.compile(r"CREATE (?:TABLE|VIEW) (\w+) AS")
STATEMENTS = [text for family in rules.FAMILIES for file in rules.rule_files(family) for text in file.statements]


def test_every_statement_makes_the_same_table_without_floats() -> None:
    """Fails when a statement can't be said for Spark, divides as a float, or calls what only DuckDB has."""
    assert len(STATEMENTS) > 40
    for written in STATEMENTS:
        text = compiled(written)
        assert MADE.findall(text) == MADE.findall(written) != []
        assert "row_hash(" not in text.lower()
        tree = sqlglot.parse_one(text, read="spark")
        assert len(list(tree.find_all(exp.IntDiv))) == written.count("//")
        assert tree.find(exp.Div) is None
        assert not [kind for kind in tree.find_all(exp.DataType) if kind.is_type(*exp.DataType.REAL_TYPES)]


def test_row_hash_is_spelled_out() -> None:
    """Fails when the hash takes other bytes than ``digest.row_hash``, whose numbers ``make spark`` compares."""
    text = compiled("CREATE TABLE t AS SELECT row_hash(a || b) AS h FROM s")
    assert re.findall(r"SUBSTRING\(MD5\(a \|\| b\), (\d+), 2\)", text) == ["23", "21", "19", "17"]
    assert "% 2147483647" in text


def test_what_spark_can_not_say_is_refused() -> None:
    """Fails when a rule is compiled with a part of it left out."""
    with pytest.raises(UnsupportedError):
        compiled("CREATE TABLE t AS SELECT sum(a) OVER (ORDER BY b GROUPS 1 PRECEDING EXCLUDE TIES) AS a FROM s")


def test_an_archive_has_the_rules_of_both_dialects_and_nothing_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a run goes on with a file whose source was removed, or a wheel runs other rules than a checkout."""
    with zipfile.ZipFile(tmp_path / "rules.zip", "w") as stale:
        stale.writestr("spark/bank/99_gone.sql", "SELECT 1;\n")
    compile_rules(tmp_path / "rules.zip")
    again = (tmp_path / "rules.zip").read_bytes()
    compile_rules(tmp_path / "rules.zip")
    assert (tmp_path / "rules.zip").read_bytes() == again, "a wheel is the same whenever it is built"
    sources = {family: rules.rule_files(family) for family in rules.FAMILIES}
    monkeypatch.setattr(rules, "files", lambda _: tmp_path)  # as in a wheel: the archive alone
    monkeypatch.setattr(rules, "ARCHIVE", "rules.zip")
    for family in rules.FAMILIES:
        assert rules.rule_files(family) == sources[family]
        of_spark = rules.rule_files(family, compiled=True)
        assert [(one.name, len(one.statements)) for one in of_spark] == [
            (one.name, len(one.statements)) for one in sources[family]
        ]


def test_rules_that_were_not_compiled_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a run on Spark from a bare copy of the package runs no rules at all and finds no breaks."""
    monkeypatch.setattr(rules, "ARCHIVE", "generated/none.zip")
    with pytest.raises(MisconfiguredError, match="compile_rules"):
        rules.rule_files("bank", compiled=True)
