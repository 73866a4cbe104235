"""Compare what a reconciliation reports with what was planted.

python -m tests.outside_month.score OUT_DIR/truth.json OUT_DIR/out.json

A break is about a fault if they share a name: a reference, a gateway's id, a booking, a bank's line, or, for
statements, the account and the number. It is right if class and amount are the fault's. Whatever else is said is a
false alarm: of no fault, of a fault under another class, or of a fault of which it has been said already. Only what
the truth calls a fault's echo (the balance beside a lost statement) is neither.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATEMENTS = {"statement_gap", "balance_break", "statement_conflict"}
SIDE = {"in_two_overlapping_exports", "subscription", "statement_sent_again", "bank_debit_available_after_five_days"}


def names(found: dict[str, Any]) -> Iterator[str]:
    """Give every name in a break: of its subject, and of the rows that are its evidence."""
    texts = [str(part) for part in found["subject"][1:]] + [found.get("payment_id") or ""]
    for row in found["evidence"]:
        texts += str(row["row_key"]).split("|")
        fields = row["fields"]
        for key, value in fields.items():
            of_payout = key in {"payout_id", "payout_reference"} and fields.get("kind") != "payout"
            if (
                isinstance(value, str)
                and not of_payout
                and key not in {"account", "currency", "kind", "gateway", "state"}
            ):
                texts += value.split("|")
        if row["source"] == "statement":
            yield f"{fields['account']} number {fields['sequence']}"
    for text in texts:
        yield text
        yield from text.replace(",", " ").split()


def statement_names(fault: dict[str, Any]) -> list[str]:
    """Give the account and number of a statement that a fault speaks of, and of the one after a gap."""
    if fault["class"] not in STATEMENTS:
        return []
    account, _, number, *_ = fault["note"].split()
    return [f"{account} number {int(number) + shift}" for shift in (0, 1 if fault["class"] == "statement_gap" else 0)]


def index(groups: list[tuple[Any, list[str]]]) -> dict[str, list[Any]]:
    """Turn names around: which things has each name."""
    made: dict[str, list[Any]] = defaultdict(list)
    for thing, ids in groups:
        for name in ids:
            if thing not in made[name]:
                made[name].append(thing)
    return made


def ratio(part: int, whole: int) -> float | None:
    """Give a share, or nothing of nothing."""
    return part / whole if whole else None


@dataclass
class Tally:
    """What became of one class: how many were planted, found and reported, and how many of these were right."""

    planted: int = 0
    found: int = 0
    right: int = 0
    alarms: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.planted + other.planted,
            self.found + other.found,
            self.right + other.right,
            self.alarms + other.alarms,
        )

    @property
    def recall(self) -> float | None:
        """The share of the planted that was found."""
        return ratio(self.found, self.planted)

    @property
    def precision(self) -> float | None:
        """The share of the reported that is right."""
        return ratio(self.right, self.right + self.alarms)


@dataclass
class Score:
    """The comparison of one run with the truth."""

    truth: dict[str, Any]
    ordinary: dict[str, Any]
    result: dict[str, Any]
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    alarms: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Judge every break, then every fault."""
        self.faults = {fault["id"]: fault for fault in self.truth["faults"]}
        self._by_name = index([(f["id"], f["ids"] + statement_names(f)) for f in self.truth["faults"]])
        self._usual = index([(kind, group) for kind, of in self.ordinary.items() for group in of["ids"]])
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        for found in self.result["breaks"]:
            self._judge(found)
        for fault in self.faults.values():
            self._look_for(fault)

    @property
    def ambiguous_share(self) -> float:
        """The share of all rows that no rule could place for certain."""
        rows = sum(len(one["evidence"]) for one in self.result["breaks"] if one["break_class"] == "ambiguous")
        return rows / max(1, sum(one["read_rows"] for one in self.result["conservation"]))

    def _judge(self, found: dict[str, Any]) -> None:
        said, about = found["break_class"], set(names(found))
        faults = [self.faults[name] for name in sorted({f for text in about for f in self._by_name.get(text, [])})]
        same = [fault for fault in faults if fault["class"] == said and amounts_agree(fault, found)]
        fresh = [fault for fault in same if not self._seen[fault["id"]][said]]
        for fault in fresh or faults:
            self._seen[fault["id"]][said if fault in same else f"{said} of {found['amount_minor']}"] += 1
        if fresh:
            self.tallies[said].right += 1
        elif not any(said in fault["echoes"] for fault in faults):
            self.tallies[said].alarms += 1
            self.alarms.append(f"{said} {found['amount_minor']} {found['currency']}, {self._because(faults, about)}")
            self.alarms += [f"    {row['source']:9} {spell(row['fields'])}" for row in found["evidence"][:6]]

    def _because(self, faults: list[dict[str, Any]], about: set[str]) -> str:
        if faults:
            return " and ".join(f"planted as {f['class']} {f['amount_minor']} ({f['note']})" for f in faults)
        kinds = sorted({kind for name in about for kind in self._usual.get(name, [])})
        return " + ".join([kind for kind in kinds if kind not in SIDE] or kinds) or "nothing out of the ordinary"

    def _look_for(self, fault: dict[str, Any]) -> None:
        tally, seen = self.tallies[fault["class"]], self._seen[fault["id"]]
        tally.planted += 1
        if fault["class"] in seen:
            tally.found += 1
            return
        as_what = ", ".join(sorted(seen)) or "nothing"
        self.misses.append(
            f"{fault['class']} {fault['amount_minor']} {fault['currency']} ({fault['note']}), seen as {as_what}"
        )
        self.misses += [f"    {source:9} {', '.join(rows)}" for source, rows in fault["rows"].items()]


def amounts_agree(fault: dict[str, Any], found: dict[str, Any]) -> bool:
    """Say whether the money at stake is what was planted; in another currency it can't be compared."""
    if fault["ambiguous"] or fault["class"] in STATEMENTS or fault["currency"] != found["currency"]:
        return True
    return abs(int(fault["amount_minor"]) - int(found["amount_minor"])) <= int(fault["within_minor"])


def spell(fields: dict[str, Any]) -> str:
    """Write what a row says, without what it does not say."""
    return " ".join(f"{key}={value}" for key, value in fields.items() if value not in (None, "", 0))


def percent(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{value:.1%}"


HEAD = ["class", "planted", "found", "right", "false", "recall", "precision"]


def line(name: str, tally: Tally) -> list[str]:
    """Write one line of the table."""
    counts = [tally.planted, tally.found, tally.right, tally.alarms]
    return [name, *map(str, counts), percent(tally.recall), percent(tally.precision)]


def text(score: Score) -> str:
    """Write the whole comparison."""
    table = [HEAD, *(line(name, tally) for name, tally in sorted(score.tallies.items()))]
    table.append(line("ALL", sum(score.tallies.values(), Tally())))
    lines = ["  ".join([row[0].ljust(24), *(cell.rjust(9) for cell in row[1:])]) for row in table]
    lines += ["", f"Rows that are ambiguous: {score.ambiguous_share:.3%}"]
    lines += ["", "False alarms", *score.alarms, "", "Missed", *score.misses]
    return "\n".join(lines) + "\n"


def read(folder: Path, result: Path) -> Score:
    """Read the truth of a month and what a run told of it."""
    truth, ordinary, told = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (folder / "truth.json", folder / "ordinary.json", result)
    )
    return Score(truth, ordinary, told)


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside_month.score", description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args(arguments)
    sys.stdout.write(text(read(given.truth.parent, given.result)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
