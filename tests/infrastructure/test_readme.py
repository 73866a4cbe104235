"""What README says in short is what the pages say that it is taken from."""

from __future__ import annotations

import re

from tests.support.aws import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
DOCS = REPOSITORY / "docs"


def rows_below(text: str, header: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins so, without that line."""
    lines = text[text.index(header) :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:] if line.startswith("|")]


def test_the_alternatives_are_those_of_their_page() -> None:
    """Fails when an alternative is added to the page, or is said to do something else, and README is not."""
    page = rows_below((DOCS / "alternatives.md").read_text(), "| | a client's retry |")
    assert len(page) > 5
    shown = [[name, dies, ignored, run] for name, _, dies, ignored, _, run in page]
    assert rows_below(README, "| | the process dies in mid-charge |") == shown


def test_the_costs_are_the_generated_ones() -> None:
    """Fails when docs/capacity.md is generated anew with other dollars: write those into README's "What it costs"."""
    page = rows_below((DOCS / "capacity.md").read_text(), "| stack | payments/s |")
    at_one_a_second = {row[0]: row[-2] for row in page if row[1] == "1"}
    said = README[README.index("**What it costs**") :].partition("\n\n")[0]
    wanted = [at_one_a_second[name] for name in ("payonce", "payonce, one webhook", "stock")]
    assert re.findall(r"\$([\d.]+\d)", said) == wanted


def test_readme_names_who_it_is_not_for_its_status_and_its_licence() -> None:
    """Fails when README promises more than there is: no release, no vendor's server, no measurement on AWS."""
    status = README[README.index("## Status and licence") :]
    assert "Nothing has been released" in status
    assert "Nothing has been released" in (REPOSITORY / "CHANGELOG.md").read_text()
    assert "figure was measured on AWS" in (DOCS / "capacity.md").read_text().replace("\n", " ")
    assert "was not tried: there is no account" in (DOCS / "stripe.md").read_text().replace("\n", " ")
    assert "Apache License 2.0" in status
    assert "It is not for you if" in README
