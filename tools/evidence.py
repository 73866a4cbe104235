"""Writes docs/evidence.md from results: ``make evidence``, after ``make test`` has left them in .local/results.

For each promise of the design: what has tried to break it, how often and when. The page has no figure that was typed:
those of suites come from their JUnit files, those of longer runs from the generated parts of their pages.
"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.evidence_list import PROMISES, Page, Suite

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PAGE: Final = REPOSITORY / "docs/evidence.md"
RESULTS: Final = REPOSITORY / ".local/results"
HEAD: Final = """# Evidence

What has tried to break each promise, how often, when, and what came of it. `make evidence` writes this page: figures of
suites come from the last `make test`, those of longer runs from the generated parts of their pages. None is typed. What
each promise does not cover is in README's guarantee; what each tool does not look at, at the end of its own page.
"""


@dataclass(slots=True)
class Ran:
    """The tests of some paths in one run: how many passed, and what else became of any."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    days: set[str] = field(default_factory=set)

    def text(self) -> str:
        """Return the figures as a phrase."""
        if not self.passed + self.failed + self.skipped:
            return "not run"
        bad = f", **{self.failed} failed**" if self.failed else ""
        left = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed:,} passed{bad}{left} in {self.seconds:,.0f} s ({', '.join(sorted(self.days))})"


def ran(paths: tuple[str, ...], results: Path = RESULTS) -> Ran:
    """Return what became of the tests below ``paths``, by the JUnit files in ``results``."""
    prefixes = tuple(path.removesuffix(".py").replace("/", ".") for path in paths)
    found = Ran()
    for file in sorted(results.glob("*.xml")):
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):  # noqa: S314 - see the import
            for case in suite.iter("testcase"):
                name = case.get("classname", "")
                if not any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
                    continue
                found.days.add(suite.get("timestamp", "")[:10])
                found.seconds += float(case.get("time", 0))
                if case.find("failure") is not None or case.find("error") is not None:
                    found.failed += 1
                elif case.find("skipped") is not None:
                    found.skipped += 1
                else:
                    found.passed += 1
    return found


def block(page: Page) -> list[str]:
    """Return the lines that ``page.pattern`` finds in the page. Raises ``LookupError`` if there are none."""
    text = (REPOSITORY / page.path).read_text("utf-8")
    found = [match.strip() for match in re.findall(page.pattern, text, re.MULTILINE)]
    if not found:
        raise LookupError(f"{page.path} has nothing like {page.pattern!r}: run {page.command}.")
    return found[: page.at_most]


def said(page: Page) -> str:
    """Return what the page says, for a cell of the table."""
    found = block(page)
    return f"{len(found)} {page.counted}" if page.counted else "; ".join(map(quoted, found))


def quoted(line: str) -> str:
    """Return the line as it stands in a cell of a table."""
    return ", ".join(part.strip() for part in line.rstrip(".").split("|"))


def render(results: Path = RESULTS) -> str:
    """Return the page."""
    parts = [HEAD]
    for promise in PROMISES:
        parts += [f"\n## {promise.name}\n\n{promise.text}\n\n| tried by | command | what came of it |\n|---|---|---|"]
        for tried in promise.tried:
            if isinstance(tried, Suite):
                parts.append(f"| {tried.what} | `make {tried.suite}` | {ran(tried.paths, results).text()} |")
            else:
                name = Path(tried.path).name
                parts.append(f"| {tried.what} | `{tried.command}` | {said(tried)} ([{name}]({name})) |")
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write the page; return 1 if a suite has no results or a failure."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    text = render()
    PAGE.write_text(text + f"\nWritten at commit `{commit}`.\n", "utf-8")
    bad = [line for line in text.splitlines() if "not run" in line or "failed**" in line]
    for line in bad:
        print(line, file=sys.stderr)
    print(
        f"{PAGE.relative_to(REPOSITORY)} written"
        + (f"; {len(bad)} lines without a pass: run make test first" if bad else "")
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
