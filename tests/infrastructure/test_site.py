"""The documentation's site: no link leads nowhere, no page is forgotten, and it is built as its reader gets it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY
from tools.site.__main__ import NavigationError, collected, sections_of, toml_of
from tools.site.pages import BrokenLinkError, Site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in {
        "README.md": "See [`pay`](docs/pay.md#how), [the code](src/pay.py) and [all](docs). `[no](link.md)`\n",
        "docs/pay.md": "# Pay\n\n![how](images/how.svg) [home](../README.md) [outside](https://example.com/)\n\n```\n[no](x)\n```\n",
        "docs/images/how.svg": "<svg/>",
        "src/pay.py": 'print("```")\n',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_link_leads_to_a_page_of_the_site(repository: Path) -> None:
    site = Site(repository)
    site.add("README.md")
    assert (
        site.pages["index.md"] == "See [`pay`](pay.md#how), [the code](source/src/pay.py.md) and all. `[no](link.md)`\n"
    )
    assert "![how](images/how.svg) [home](index.md) [outside](https://example.com/)" in site.pages["pay.md"]
    assert "[no](x)" in site.pages["pay.md"]
    assert site.files == {"images/how.svg": repository / "docs/images/how.svg"}
    assert '````python\nprint("```")\n````' in site.pages["source/src/pay.py.md"]


@pytest.mark.parametrize("target", ["docs/gone.md", "../outside.md", "src/gone.py"])
def test_a_link_that_leads_nowhere_ends_the_build(repository: Path, target: str) -> None:
    (repository.parent / "outside.md").write_text("a file that is not ours")
    (repository / "docs/pay.md").write_text(f"[gone](../{target})\n")
    with pytest.raises(BrokenLinkError, match=r"docs/pay\.md links to"):
        Site(repository).add("README.md")


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ([["README.md"]], "no section has docs/pay.md"),
        ([["README.md", "docs/*.md"], ["docs/pay.md"]], "two sections have docs/pay.md"),
        ([["README.md", "docs/*.md", "docs/gone.md"]], "names docs/gone.md"),
    ],
)
def test_a_page_that_can_not_be_found_ends_the_build(repository: Path, sections: list[list[str]], problem: str) -> None:
    settings = {"section": [{"name": str(number), "pages": pages} for number, pages in enumerate(sections)]}
    with pytest.raises(NavigationError, match=problem):
        sections_of(settings, {"README.md", "docs/pay.md"}, repository)


def test_the_configuration_is_toml() -> None:
    table = {"project": {"a": ["ü", {"b": {"c": True}}], "d": {"e.f": 1}}}
    assert tomllib.loads(toml_of(table)) == table


def test_the_site_of_this_repository_is_built_and_can_be_searched() -> None:
    """Fails when a page has a broken link, is in no section, or is not rendered."""
    site, _ = collected()
    command = [sys.executable, "-m", "tools.site"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    html = REPOSITORY / ".local" / "site" / "html"
    rendered = [page.replace("README.md", "index.md").removesuffix(".md") for page in site.pages]
    missing = [page for page in rendered if not (html / f"{page}.html").is_file()]
    assert missing == []
    found = json.loads((html / "search.json").read_text())
    assert any("lost-at-gateway" in item["location"] for item in found["items"])
