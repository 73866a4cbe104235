"""How many card numbers are detected, and how many ordinary references are taken for one: ``make bench-card-numbers``.

Everything is generated, from one seed. Beside each rate stands that of the rule which many programs have: a run of 13
to 19 digits, with single spaces or hyphens in it, that begins with 2 to 6 and whose check digit is right.
``--write`` puts the output between the markers of docs/card-numbers.md.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchmarks.cards.numbers import (
    BRANDS,
    RARE_BRANDS,
    any_number,
    luhn,
    some_digits,
)
from benchmarks.cards.references import DECIMAL_LENGTHS, REFERENCES
from benchmarks.cards.writings import masked, writings
from payonce.domain.card_numbers import looks_like_card_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEED = 20_261_128
EACH = 500  # card numbers of each brand and each way to write them
DECIMALS = 10_000
WRITTEN = "By how they are written"
DOCUMENT = Path(__file__).parent.parent / "docs" / "card-numbers.md"
BEGIN, END = "<!-- figures: written by make bench-card-numbers -->", "<!-- end of figures -->"
LONGEST_TEXT = 32 * 1024
_OLD_RULE = re.compile(r"(?<![0-9])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])(?![ -][0-9])")


def old_rule(text: str) -> bool:
    """Return what the baseline says of a text."""
    return any(luhn(re.sub("[ -]", "", found)) for found in _OLD_RULE.findall(text))


@dataclass(frozen=True)
class Row:
    """How many of ``texts`` are flagged, by the detector and by the baseline."""

    kind: str
    texts: int
    flagged: int
    baseline: int
    example: str = ""

    def line(self) -> str:
        """Return the row in Markdown."""
        rates = f"{_percent(self.flagged, self.texts)} | {_percent(self.baseline, self.texts)}"
        return f"| {self.kind} | {self.texts:,} | {self.flagged:,} | {rates} |"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f} %"


def measure(kind: str, texts: Iterable[str], wanted: bool) -> Row:
    """Ask both about every text; the example is the first on which the detector is wrong."""
    count = flagged = baseline = 0
    example = ""
    for text in texts:
        found = looks_like_card_number(text)
        count, flagged, baseline = count + 1, flagged + found, baseline + old_rule(text)
        if found != wanted and not example:
            example = text
    return Row(kind, count, flagged, baseline, example)


def detected() -> dict[str, list[Row]]:
    """Return the rows of card numbers: by brand, by how they are written, and of the brands that are not promised."""
    random = Random(SEED)
    return {
        "By brand, plain": [_of_brand(brand.name, brand.number, random) for brand in BRANDS],
        WRITTEN: [
            measure(_cell(name), (write(any_number(random), random) for _ in range(EACH)), wanted=True)
            for name, write in writings().items()
        ],
        "Not promised": [_of_brand(brand.name, brand.number, random) for brand in RARE_BRANDS],
    }


def _of_brand(name: str, number: Callable[[Random], str], random: Random) -> Row:
    return measure(name, (number(random) for _ in range(EACH)), wanted=True)


def alarms() -> dict[str, list[Row]]:
    """Return the rows of what is no card number: masked ones, references, and numbers that nothing can tell apart."""
    random = Random(SEED + 1)
    return {
        "Masked": [
            measure(name, (write(any_number(random), random) for _ in range(EACH)), wanted=False)
            for name, write in masked().items()
        ],
        "References": [
            measure(_cell(name), (make(random) for _ in range(count)), wanted=False)
            for name, (count, make) in REFERENCES.items()
        ],
        "Random digits": [
            measure(f"{length} digits", (some_digits(random, length) for _ in range(DECIMALS)), wanted=False)
            for length in DECIMAL_LENGTHS
        ],
    }


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def total(kind: str, rows: list[Row]) -> Row:
    """Return the sum of rows."""
    return Row(kind, sum(r.texts for r in rows), sum(r.flagged for r in rows), sum(r.baseline for r in rows))


def adversarial() -> dict[str, str]:
    """Return texts of 32 KB that are meant to take long."""
    patterns = {
        "digits": "4",
        "digits of a failing number": "4111111111111112",
        "digit, space": "4 ",
        "digit, two spaces": "4  ",
        "groups of 4": "4000 ",
        "groups, hyphens": "4000-",
        "separators": " ",
        "digits and zero-width spaces": "4\u200b",
        "hexadecimal": "4a",
        "groups of 1 to 4": "4 40 400 4000 ",
        "one digit, many separators": "4" + " " * 40,
        "Arabic-Indic digits": "\u0664",
        "group, then letters": "4000 0000 0000 000x ",
        "masked": "411111******1111 ",
        "IBANs cut short": "DE89 3704 0044 ",
        "IBAN, many spaces": "DE89" + " " * 60,
        "creditor references": "RF18 5390 0754 ",
        "a long decimal": "1." + "5" * LONGEST_TEXT,
        "decimals": "0.55555 1.55555 ",
        "colons": "4242:",
        "tracking numbers": "9100 0000 ",
        "track 2": "4242424242424242D2712",
        "letters": "aaag",
        "compatibility forms": "\ufdfa",
    }
    return {name: (pattern * (LONGEST_TEXT // len(pattern) + 1))[:LONGEST_TEXT] for name, pattern in patterns.items()}


def seconds(text: str, rounds: int = 3) -> float:
    """Return the shortest of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        looks_like_card_number(text)
        times.append(time.process_time() - began)
    return min(times)


def timings() -> list[str]:
    """Return the table of times: an ordinary text of 500 characters, and the worst 32 KB."""
    random = Random(SEED + 2)
    makers = [make for _, make in REFERENCES.values()]
    ordinary = [" ".join(random.choice(makers)(random) for _ in range(40))[:500] for _ in range(200)]
    prose = ("The customer asked for an invoice of the second of three deliveries, see order 2026-000123. " * 6)[:500]
    lines = ["| text | time | time of twice the length |", "|---|---|---|"]
    references = sum(seconds(text) for text in ordinary) / len(ordinary)
    lines.append(f"| 500 characters of prose | {seconds(prose, 50) * 1e6:.0f} µs | |")
    lines.append(f"| 500 characters of references | {references * 1e6:.0f} µs | |")
    for name, text in adversarial().items():
        once, twice = seconds(text), seconds(text + text)
        lines.append(f"| 32 KB: {name} | {once * 1e3:.1f} ms | {twice / once:.1f} times |")
    return lines


def report() -> str:
    """Return the whole of the figures in Markdown."""
    found, alarmed = detected(), alarms()
    head = "| kind | texts | flagged | rate | the usual rule |\n|---|---|---|---|---|"
    tokens, *references = alarmed["References"]
    parts = [
        "### The two rates",
        "",
        head,
        total("card numbers, all rows of the first two tables", found["By brand, plain"] + found[WRITTEN]).line(),
        total("ordinary references, all rows but tokens", references).line(),
        tokens.line(),
        "",
        "### Card numbers",
        "",
    ]
    for title, rows in {**found, **alarmed}.items():
        if title == "Masked":
            parts += ["### What is no card number", ""]
        parts += [f"**{title}**", "", head, *(row.line() for row in rows), ""]
    return "\n".join([*parts, "### Time", "", *timings()])


def main() -> None:
    """Print the figures, or write them into the document; ``--examples`` prints what the detector got wrong."""
    if "--examples" in sys.argv:
        for rows in {**detected(), **alarms()}.values():
            for row in rows:
                if row.example:
                    print(f"{row.kind:40} {row.flagged:7} of {row.texts:7}  {row.example!r}")
        return
    figures = report()
    if "--write" not in sys.argv:
        print(figures)
        return
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{figures}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
