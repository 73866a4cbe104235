"""Compare what a reconciliation reports with what was planted.

python -m tests.outside_month.score OUT_DIR/truth.json OUT_DIR/out.json

A break and a fault are about the same thing if they share a name: a reference, a gateway's id, a booking, a bank's
line, or, for statements, the account and the number. A break of the planted class is right; one of another class is
counted as found under another name and is no false alarm; a break that belongs to no fault is a false alarm, told by
what ordinary happening its rows belong to.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def names(found: dict[str, Any]) -> Iterator[str]:
    """Give every name in a break: of its subject, and of the rows that are its evidence."""
    texts = [str(part) for part in found["subject"][1:]] + [found.get("payment_id") or ""]
    for row in found["evidence"]:
        texts += str(row["row_key"]).split("|")
        fields = row["fields"]
        for key, value in fields.items():
            of_payout = key == "payout_id" and fields.get("kind") != "payout"
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
    if fault["class"] not in {"statement_gap", "balance_break"}:
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


SIDE = {"in_two_overlapping_exports", "subscription", "statement_sent_again", "bank_debit_available_after_five_days"}


class Score:
    """The comparison of one run with the truth."""

    def __init__(self, truth: dict[str, Any], ordinary: dict[str, Any], result: dict[str, Any]) -> None:
        self.faults = {fault["id"]: fault for fault in truth["faults"]}
        self.by_name = index([(f["id"], f["ids"] + statement_names(f)) for f in truth["faults"]])
        self.usual = index([(kind, group) for kind, of in ordinary.items() for group in of["ids"]])
        self.breaks = result["breaks"]
        self.happened = {kind: of["count"] for kind, of in ordinary.items()}
        self.reported: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.false: dict[str, Counter[str]] = defaultdict(Counter)
        self.seen: dict[str, set[str]] = defaultdict(set)
        for found in self.breaks:
            self.judge(found)

    def judge(self, found: dict[str, Any]) -> None:
        """Say of one break whether it is right, of a fault under another name, or a false alarm."""
        said, about = found["break_class"], set(names(found))
        self.reported[said] += 1
        faults = {fault for name in about for fault in self.by_name.get(name, [])}
        exact = {fault for fault in faults if self.faults[fault]["class"] == said}
        for fault in faults:
            self.seen[fault].add(said)
        if exact:
            self.right[said] += 1
        elif faults:
            self.false[said]["(a planted fault, under another name)"] += 1
        else:
            kinds = sorted({kind for name in about for kind in self.usual.get(name, [])})
            telling = [kind for kind in kinds if kind not in SIDE] or kinds
            self.false[said][" + ".join(telling) or "(nothing out of the ordinary)"] += 1

    def rows(self) -> Iterator[list[str]]:
        """Give per class: planted, found, under another name, missed, reported, false alarms, recall, precision."""
        planted = Counter(fault["class"] for fault in self.faults.values())
        totals = Counter[str]()
        for name in sorted(set(planted) | set(self.reported)):
            mine = [fault for fault in self.faults.values() if fault["class"] == name]
            found = sum(name in self.seen[fault["id"]] for fault in mine)
            other = sum(bool(self.seen[fault["id"]]) and name not in self.seen[fault["id"]] for fault in mine)
            named = self.false[name]["(a planted fault, under another name)"]
            alarms = sum(self.false[name].values()) - named
            counts = {
                "planted": planted[name],
                "found": found,
                "other": other,
                "missed": planted[name] - found - other,
                "reported": self.reported[name],
                "right": self.right[name],
                "echo": named,
                "alarms": alarms,
            }
            totals.update(counts)
            yield self.line(name, counts)
        yield self.line("ALL", totals)

    @staticmethod
    def line(name: str, counts: dict[str, int]) -> list[str]:
        """Write one line of the table."""
        recall = f"{counts['found'] / counts['planted']:.1%}" if counts["planted"] else "-"
        judged = counts["right"] + counts["alarms"]
        precision = f"{counts['right'] / judged:.1%}" if judged else "-"
        return [
            name,
            *(
                str(counts[key])
                for key in ("planted", "found", "other", "missed", "reported", "right", "echo", "alarms")
            ),
            recall,
            precision,
        ]

    def alarm(self, said: str, kind: str, count: int) -> str:
        """Write how often a class was reported of an ordinary happening, and how often that happened."""
        of = f" (happened {self.happened[kind]} times)" if kind in self.happened else ""
        return f"{count:7}  {said:24} {kind}{of}"

    def text(self) -> str:
        """Write the whole comparison."""
        head = [
            "class",
            "planted",
            "found",
            "otherwise",
            "missed",
            "reported",
            "right",
            "echo",
            "false",
            "recall",
            "precision",
        ]
        table = [head, *self.rows()]
        lines = ["  ".join([row[0].ljust(24), *(cell.rjust(9) for cell in row[1:])]) for row in table]
        lines += ["", "False alarms by class and ordinary happening"]
        for said, kinds in sorted(self.false.items()):
            lines += [self.alarm(said, kind, count) for kind, count in kinds.most_common(12) if kind[:4] != "(a p"]
        lines += ["", "Planted and missed, or found under another name"]
        others: Counter[tuple[str, str]] = Counter()
        for fault in self.faults.values():
            if fault["class"] not in self.seen[fault["id"]]:
                others[fault["class"], ", ".join(sorted(self.seen[fault["id"]])) or "nothing"] += 1
        lines += [f"{count:7}  {name:24} seen as {seen}" for (name, seen), count in sorted(others.items())]
        return "\n".join(lines) + "\n"


def read(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside_month.score", description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args(arguments)
    ordinary = read(given.truth.with_name("ordinary.json"))
    sys.stdout.write(Score(read(given.truth), ordinary, read(given.result)).text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
