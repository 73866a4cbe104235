"""What a page costs its reader: the first paint, its weight, its requests; and what it may not ask for."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.e2e.console.crawl import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person
    from tests.e2e.console.world import Shop

FIRST_PAINT_MS = 1_000
WEIGHT_BYTES = 200_000
LOADS = 5
# First paint by https://www.w3.org/TR/paint-timing/, bytes by https://www.w3.org/TR/resource-timing/.
PAINT = "() => performance.getEntriesByName('first-contentful-paint').map(one => one.startTime)[0] || null"
WEIGHT = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .map(one => [one.name, one.encodedBodySize])"""
PLOTS = "() => [...document.querySelectorAll('svg')].map(one => one.outerHTML.length).reduce((a, b) => a + b, 0)"


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_a_page_is_painted_within_a_second_and_weighs_little(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop, path: str
) -> None:
    """Median of several loads without a cache, on warm functions."""
    person = visit(keys["viewer"])
    query = {"merchant": shop.merchant_id}
    person.open(path, query)
    session = person.context.new_cdp_session(person.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    paints = []
    for _ in range(LOADS):
        person.open(path, query)
        person.page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        paints.append(person.page.evaluate(PAINT))
    sizes = dict(person.page.evaluate(WEIGHT))
    weight = sum(sizes.values()) - person.page.evaluate(PLOTS)
    print(f"{path}: first paint {median(paints):.0f} ms, {weight / 1000:.0f} kB without plots, {sizes}")  # noqa: T201
    assert weight < WEIGHT_BYTES, sizes
    assert median(paints) < FIRST_PAINT_MS, paints


def test_assets_are_kept_for_ever_and_named_by_their_content(console: Console, keys: dict[str, str]) -> None:
    """Another content has another name, so that no browser ever asks again (RFC 8246)."""
    raw = console.raw(keys["viewer"])
    page = raw.get("/payments").text
    assets = re.findall(r'(?:src|href)="([^"]+\.(?:css|js|svg|woff2|png|ico)[^"]*)"', page)
    assert any(".css" in one for one in assets)
    assert any(".js" in one for one in assets)
    for asset in assets:
        assert re.search(r"[0-9a-f]{8,}|[A-Za-z0-9_-]{8,}\.", asset.rsplit("/", 1)[1]), asset
        answer = raw.ask("GET", asset)
        assert answer.status == 200, asset
        kept = answer.header("cache-control")
        assert "immutable" in kept, (asset, kept)
        assert int(re.findall(r"max-age=(\d+)", kept)[0]) >= 31_536_000
        assert answer.header("x-content-type-options") == "nosniff"
        kind = answer.header("content-type")
        assert ("css" in kind) if ".css" in asset else ("javascript" in kind) if ".js" in asset else kind, asset
        assert raw.ask("GET", asset, cookies={}).status == 200, "an asset needs no session"


def test_a_changed_name_of_an_asset_is_none(console: Console, keys: dict[str, str]) -> None:
    raw = console.raw(keys["viewer"])
    (asset, *_) = re.findall(r'(?:src|href)="([^"]+\.css[^"]*)"', raw.get("/payments").text)
    wrong = re.sub(r"[0-9a-f]{8,}", lambda found: "0" * len(found[0]), asset)
    answer = raw.ask("GET", wrong)
    assert answer.status == 404
    assert "immutable" not in answer.header("cache-control")
