"""The local cloud's documentation: every type of problem has a section there, and no link of a page leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local import pages
from payonce.domain.problems import PROBLEMS, documentation_link

EVERY_PAGE = sorted(path.stem for path in pages.DOCS.glob("*.md"))


def rendered(name: str) -> str:
    page = pages.page(pages.PREFIX + name)
    assert page is not None
    return page.decode()


@pytest.mark.parametrize("slug", sorted({kind.slug for kind in PROBLEMS.values()}))
def test_the_link_of_every_problem_leads_to_its_section(slug: str) -> None:
    """Fails when a type has no section, or the page does not name it as the link does."""
    kind = next(kind for kind in PROBLEMS.values() if kind.slug == slug)
    path, _, fragment = documentation_link(pages.PROBLEMS, kind).partition("#")
    assert f'<h2 id="{fragment}">' in rendered(path.removeprefix(pages.PREFIX))


@pytest.mark.parametrize("name", ["problems", "operations", "payments", "webhooks"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    """Where a page links to another page of docs/, that one has the section. Fails when an anchor is made otherwise."""
    links = re.findall(r'href="([a-z0-9-]*)#([^"]+)"', rendered(name))
    assert links or name != "problems"
    for other, fragment in links:
        assert f'id="{fragment}"' in rendered(other or name), (other, fragment)


@pytest.mark.parametrize("path", ["../../README", "nothing", "problems.md", "adr/0001", "", "problems/../problems"])
def test_nothing_but_pages_is_shown(path: str) -> None:
    assert pages.page(pages.PREFIX + path) is None
    assert Path(pages.DOCS).is_dir()


def test_what_is_written_is_shown_and_no_markup_gets_in() -> None:
    page = rendered("problems")
    assert "<code>Retry-After</code>" in page
    assert "<API key>" not in page
    assert "&lt;API key&gt;" in page
    assert len(EVERY_PAGE) > 20
