"""The report of a month in Chromium: seconds until it can be used, and pictures of it.

``python -m benchmarks.report_page OUT`` makes two months (tests/outside_month), one with about 1,000 breaks and one
with about 50,000, because its ledger lacks rows and its policy has one price for all cards. It reconciles them with
``payonce reconcile``, opens each report, uses it as a reader would and checks what it shows, and leaves pictures, light
and dark, 1280 and 360 pixels wide.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from benchmarks.chromium import Chromium
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.report.html import as_html
from tests.outside_month.__main__ import main as make_month
from tests.outside_month.planted import PLANTS
from tests.unit.reconciliation.test_report import HOSTILE, with_texts

GOAL_SECONDS = 2.0
OPENED = 5  # times; the median counts
READY = "performance.getEntriesByName('payonce-ready')[0].startTime"
MONTHS = {
    # payments, planted faults of each class, and of how many ledger rows one is lost
    "1000": (12_000, 66, 0),
    "50000": (72_000, 40, 2),
}
# JavaScript to find what a reader would click.
STATUS = "document.querySelector('#breaks-table [data-status]').textContent"
ROWS = "[...document.querySelectorAll('#breaks-table tbody tr')]"
CELLS = ROWS + ".map(row => row.cells[{}].textContent)"
CHANGED = "(() => {{ const e = document.querySelector('{}'); e.value = '{}'; e.dispatchEvent(new Event('{}')); }})()"
SEARCH = "#breaks-table [data-search]"


def month(folder: Path, payments: int, faults: int, lost: int) -> Path:
    """Make the month and its report, and return the report."""
    report = folder / "report.html"
    if report.exists():
        return report
    planted = [part for name in PLANTS for part in ("--faults", f"{name}={faults}")]
    make_month([str(folder), "--seed", "1", "--payments", str(payments), *planted])
    if lost:
        without_some_rows(folder / "ledger.csv", lost)
    words = shlex.split((folder / "command.sh").read_text().replace('"$@"', ""))[1:]
    policy = ["--policy", "policy.toml"] if lost else []
    command = [sys.executable, "-m", "payonce.cli", *words, *policy, "--report", "report.html", "--json", "report.json"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=os.environ, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1, done.stdout[-2000:]
    print(f"reconciled in {time.monotonic() - began:.0f} s")
    return report


def without_some_rows(ledger: Path, every: int) -> None:
    """Take every so many rows out of the ledger, and out of its totals."""
    with ledger.open(newline="") as opened:
        head, *rows = csv.reader(opened)
    kind, amount, currency = (head.index(name) for name in ("kind", "amount_minor", "currency"))
    kept = [row for number, row in enumerate(rows) if row[kind] != "total" and number % every]
    for row in rows:
        if row[kind] == "total":
            own = [int(one[amount]) for one in kept if one[currency] == row[currency]]
            kept.append([str(len(own)), *row[1:amount], str(sum(own)), *row[amount + 1 :]])
    with ledger.open("w", newline="") as opened:
        csv.writer(opened).writerows([head, *kept])


def measured(browser: Chromium, report: Path) -> list[float]:
    """Open it several times and return the seconds until its tables could be used."""
    seconds = []
    for _ in range(OPENED):
        browser.open(report)
        seconds.append(browser.ask(READY) / 1000)
    return seconds


def used(browser: Chromium, found: list[dict[str, object]]) -> dict[str, float]:
    """Use the page as a reader would, check what it shows, and return the milliseconds of sorting and searching."""
    count = f"{len(found):,}"
    assert browser.ask(STATUS) == f"1–50 of {count}", browser.ask(STATUS)
    browser.ask("document.querySelector('#breaks-table [data-next]').click()")
    assert browser.ask(STATUS).startswith("51–100 of ")
    head = "document.querySelector('#breaks-table th[data-key=stake] button')"
    browser.ask(f"{head}.focus()")
    took = {}
    browser.press("Enter")
    sort = "(() => {{ const t = performance.now(); {}.click(); return performance.now() - t; }})()"
    took["sort"] = browser.ask(sort.format(head))
    assert browser.ask(f"{head}.parentElement.getAttribute('aria-sort')") == "descending"
    shown = [re.sub(r"[,.]", "", text).split(" ") for text in browser.ask(CELLS.format(5))]
    stakes = [(code, int(digits)) for digits, code in shown]
    assert stakes == sorted(stakes, reverse=True), stakes
    # A break is found by the id of one of its rows, which is in no column.
    wanted = next(one for one in found if one["evidence"])
    needle = wanted["evidence"][0]["row_key"].split("|")[-1]  # type: ignore[index]
    took["first search"] = searched(browser, needle)
    assert browser.ask(ROWS + ".length") >= 1
    browser.ask(ROWS + "[0].querySelector('button').focus()")
    browser.press("Enter")
    assert needle in browser.ask("document.querySelector('#breaks-table tr.detail').textContent")
    took["search"] = searched(browser, "no such words")
    assert "Nothing fits" in browser.ask(ROWS + "[0].textContent")
    searched(browser, "")
    browser.ask(CHANGED.format("#breaks-table [data-filter=severity]", "1", "change"))
    high = sum(one["severity"] == "high" for one in found)
    assert browser.ask(STATUS).endswith(f"of {high:,} found among {count}"), (browser.ask(STATUS), high)
    browser.ask(CHANGED.format("#breaks-table [data-filter=severity]", "", "change"))
    return took


def searched(browser: Chromium, text: str) -> float:
    """Type into the search and return the milliseconds from the end of typing to the result, without the pause."""
    browser.ask(CHANGED.format(SEARCH, text, "input"))
    return (
        browser.ask(
            "new Promise(done => { const t = performance.now(); setTimeout(() => done(performance.now() - t), 125); })"
        )
        - 125
    )  # type: ignore[no-any-return]


def pictures(browser: Chromium, report: Path, out: Path, name: str) -> None:
    """Save pictures of the top, an opened break, ageing, accounts and open items."""
    for width, dark in product((1280, 360), (False, True)):
        browser.show(width, dark=dark)
        browser.open(report)
        title = f"{name}-{width}-{'dark' if dark else 'light'}"
        browser.picture(out / f"{title}-top.png")
        searched(browser, "amount mismatch")
        browser.ask(ROWS + "[1].querySelector('button').click()")
        wide = browser.ask("document.documentElement.scrollWidth")
        assert wide <= width, f"the page is {wide} wide at {width}"
        for place in ("every-break", "ageing", "accounts", "every-item", "plots"):
            browser.ask(f"document.getElementById('{place}')?.scrollIntoView()")
            browser.picture(out / f"{title}-{place}.png")


def hostile(browser: Chromium, out: Path) -> None:
    """Show that texts which would be scripts are texts, and that no other script runs, whoever adds it."""
    page = out / "hostile.html"
    page.write_text(as_html(with_texts(HOSTILE)), encoding="utf-8")
    browser.open(page)
    browser.ask(ROWS + "[0].querySelector('button').click()")
    shown = browser.ask("document.querySelector('#breaks-table tr.detail').textContent")
    assert plain(HOSTILE) in shown, shown
    assert browser.ask("document.querySelectorAll('script:not([type])').length") == 1
    assert not browser.problems, browser.problems
    added = "const s = document.createElement('script'); s.append('window.ran = 1'); document.body.append(s)"
    assert browser.ask(f"(() => {{ try {{ {added} }} catch {{}} return window.ran === undefined; }})()")
    assert browser.problems, "the policy did not refuse the script"
    browser.problems.clear()


def without_scripts(browser: Chromium, report: Path, out: Path) -> None:
    """Show that the page says the most urgent without scripts."""
    browser.show(1280, dark=False)
    browser.scripts(on=False)
    browser.open(report)
    browser.scripts(on=True)
    assert browser.ask("document.querySelectorAll('article').length") > 0
    browser.ask("document.querySelector('article').scrollIntoView()")
    browser.picture(out / "no-scripts.png")


def main() -> int:
    """Print the figures; fail if the page does not do what it says, or needs longer than the goal."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ".local/report-pages")
    late = []
    for name, size in MONTHS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        report = month(folder, *size)
        found = json.loads((folder / "report.json").read_text())["breaks"]
        with Chromium() as browser:
            browser.show(1280, dark=False)
            seconds = measured(browser, report)
            took = used(browser, found)
            pictures(browser, report, out, name)
            without_scripts(browser, report, out)
            hostile(browser, out)
            assert not browser.problems, browser.problems
        median = statistics.median(seconds)
        others = ", ".join(f"{what} {value:.0f} ms" for what, value in took.items())
        size_mb = report.stat().st_size / 1e6
        print(
            f"{len(found):,} breaks, {size_mb:.1f} MB: usable after {median:.2f} s (slowest {max(seconds):.2f} s); "
            f"{others}"
        )
        late += [name] if median > GOAL_SECONDS else []
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
