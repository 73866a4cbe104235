"""The command behind ``make site``: collects the pages and builds the site into .local/site/html.

``site.toml`` has the sections. A link that leads nowhere, and a page that no section has, end the build.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tools.site.pages import BrokenLinkError, Site

ROOT = Path(__file__).parents[2]
SETTINGS = Path(__file__).parent / "site.toml"
FOLDER = ROOT / ".local" / "site"


class NavigationError(Exception):
    """The sections and the pages do not fit together. The argument says where."""


def repository_pages(root: Path = ROOT) -> set[str]:
    """Return the pages that a section has to have."""
    found = {path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md")}
    return found | {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}


def sections_of(settings: dict[str, Any], pages: set[str], root: Path = ROOT) -> dict[str, list[str]]:
    """Return each section's pages in order. Raises ``NavigationError``."""
    sections: dict[str, list[str]] = {}
    taken: list[str] = []
    for section in settings["section"]:
        listed: list[str] = []
        for pattern in section["pages"]:
            found = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
            if not found:
                raise NavigationError(f"{section['name']} names {pattern}, which is not there")
            listed += [page for page in found if page not in listed]
        sections[section["name"]] = listed
        taken += listed
    if missing := sorted(pages - set(taken)):
        raise NavigationError(f"no section has {', '.join(missing)}")
    if twice := sorted({page for page in taken if taken.count(page) > 1}):
        raise NavigationError(f"two sections have {', '.join(twice)}")
    return sections


def configured(settings: dict[str, Any], site: Site, sections: dict[str, list[str]]) -> dict[str, Any]:
    """Return the generator's configuration, with the paths of this build."""
    navigation = [{name: [site.place_of(page) for page in pages]} for name, pages in sections.items()]
    folders = {"docs_dir": "pages", "site_dir": "html"}
    return {"project": {**settings["project"], **folders, "nav": navigation}}


def write(site: Site, folder: Path) -> None:
    """Write all pages and files of the site, and nothing else, into ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, text in site.pages.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    for place, file in site.files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / place)


def collected(root: Path = ROOT) -> tuple[Site, dict[str, Any]]:
    """Return the whole site and its configuration. Raises ``BrokenLinkError`` and ``NavigationError``."""
    settings, pages = tomllib.loads(SETTINGS.read_text()), repository_pages(root)
    sections = sections_of(settings, pages, root)
    site = Site(root)
    for listed in sections.values():
        for page in listed:
            site.add(page)
    return site, configured(settings, site, sections)


def main() -> int:
    """Build the site; return 0 when every link and every page of the navigation is there."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("--check", action="store_true", help="check links and navigation only")
    chosen = parser.parse_args()
    try:
        site, configuration = collected()
    except (BrokenLinkError, NavigationError) as error:
        print(error, file=sys.stderr)
        return 1
    if chosen.check:
        return 0
    write(site, FOLDER / "pages")
    (FOLDER / "zensical.toml").write_text(toml_of(configuration))
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=FOLDER, check=False)  # noqa: S603 - our own arguments
    if done.returncode == 0:
        print(f"{len(site.pages)} pages: open {FOLDER / 'html' / 'index.html'}")
    return done.returncode


def toml_of(configuration: dict[str, Any]) -> str:
    """Return a table of tables as TOML. A value of JSON is a value of TOML, but for the tables in it."""
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in table.items())
        for name, table in configuration.items()
    )


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
