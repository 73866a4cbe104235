"""The console of a deployed stack, its operators, and browsers."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from local.cloud import LocalCloud
from local.degradation import ROUTING
from local.stack import Ports
from tests.e2e.conftest import bound, free_port, leaks_of, mark
from tests.e2e.console.person import PATIENCE_MS, Person
from tests.e2e.console.raw import Raw
from tests.e2e.console.world import Shop
from tests.support.chromium import launched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from local.stack import Stack

ROLES = ("viewer", "operator", "approver")
# What is run without PAYONCE_CONSOLE=full (`make console`): one test of each kind, for some minutes of CI.
SLICE = {
    "test_a_payment_in_doubt_is_found_understood_and_seen_to_resolve",
    "test_one_person_proposes_and_another_approves",
    "test_a_gateway_is_drained_with_a_reason_and_released",
    "test_a_key_is_released_with_a_reason",
    "test_a_webhook_is_redelivered",
    "test_a_payment_is_found_by_the_keyboard_alone",
    "test_what_a_bank_file_carries_stays_text",
    "test_the_last_gateway_is_not_drained",
    "test_a_bad_file_says_which_line_is_wrong",
    "test_signing_out_leaves_nothing_behind",
    "test_every_page_is_accessible",
    "test_assets_are_kept_for_ever_and_named_by_their_content",
    "test_a_page_is_painted_within_a_second_and_weighs_little",
    "test_what_payments_carry_stays_text",
    "test_without_the_token_nothing_is_done",
    "test_another_origin_is_refused_even_with_the_token",
    "test_the_id_changes_at_the_sign_in",
    "test_signing_out_ends_it_on_the_server",
    "test_a_viewer_does_nothing",
    "test_another_merchants_pages_are_not_there",
    "test_another_merchants_things_are_not_acted_on",
    "test_no_cell_of_an_export_is_a_formula",
    "test_every_page_carries_its_headers",
    "test_a_bomb_does_not_explode",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of this folder's tests what is not in the slice, unless all are asked for or one is named."""
    if os.environ.get("PAYONCE_CONSOLE") == "full" or any("::" in one or "test_" in one for one in config.args):
        return
    here = Path(__file__).parent
    left = [one for one in items if here in one.path.parents and one.name.partition("[")[0] not in SLICE]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [one for one in items if one not in left]


@dataclass(frozen=True)
class Console:
    """The console of a stack: its address, and keys for its operators."""

    stack: Stack

    @property
    def base(self) -> str:
        """Return the address, without a slash at its end."""
        return self.stack.console_url

    def add(self, name: str, role: str, *, merchant_id: str = "") -> str:
        """Make an operator with the command; return the key, which is said once."""
        return self.stack.add_operator(name, role, merchant_id)

    def raw(self, key: str = "") -> Raw:
        """Return a client, signed in if a key is given."""
        raw = Raw(self.base)
        if key:
            answer = raw.sign_in(key)
            assert answer.status in (302, 303), (answer.status, answer.text[:500])
        return raw


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A deployment of its own: routing obeys overrides, and other suites' merchants are not among these pages."""
    folder = tmp_path_factory.mktemp("console")
    cloud = LocalCloud(folder, Ports(free_port(), free_port(), free_port()), environments=20)
    try:
        cloud.start()
        stack = cloud.deploy(routing_mode="shadow", routing=ROUTING)
        bound(stack)
        mark(stack)
        yield stack
        assert list(leaks_of(stack)) == []
    finally:
        cloud.stop()


@pytest.fixture(scope="package")
def console(stack: Stack) -> Console:
    """The console."""
    return Console(stack)


@pytest.fixture(scope="package")
def keys(console: Console) -> dict[str, str]:
    """The keys of an operator of each role, of the whole platform."""
    return {role: console.add(f"{role} of all {uuid.uuid4().hex[:4]}", role) for role in ROLES}


@pytest.fixture(scope="package")
def shop(stack: Stack) -> Shop:
    """A merchant with some payments."""
    shop = Shop.opened(stack, "Harbour Books")
    shop.pay(1250, reference="order-paid", description="A book", customer="cus_ada", metadata={"till": "7"})
    shop.pay(9_900, "JPY", reference="order-yen")
    shop.pay(12_345, "KWD", reference="order-dinar")
    shop.pay(700, payment_method="pm_sandbox_declined", reference="order-declined")
    shop.pay(5_000, capture="manual", reference="order-held")
    refunded = shop.pay(3_300, reference="order-refunded")
    shop.ask("POST", f"/payments/{refunded['id']}/refunds", {"amount_minor": 1_100})
    return shop


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for the package: Playwright's loop must not outlive it, other suites have loops of their own."""
    expect.set_options(timeout=PATIENCE_MS)
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, console: Console) -> Iterator[Visits]:
    """Makes persons; at the end nobody may have seen a problem."""
    visits = Visits(browser, console.base)
    yield visits
    seen = visits.problems()
    visits.close()
    assert seen == []


@dataclass
class Visits:
    """Makes persons at browsers of their own, and gathers what was wrong with the pages that they saw."""

    browser: Browser
    base: str

    def __post_init__(self) -> None:
        self.people: list[Person] = []

    def __call__(self, key: str = "", **browser: object) -> Person:
        """Return somebody at a browser, signed in if a key is given."""
        person = Person(self.browser, self.base, **browser)  # type: ignore[arg-type]
        self.people.append(person)
        return person.sign_in(key) if key else person

    def problems(self) -> list[str]:
        """Return what was wrong with any page."""
        return [
            problem
            for person in self.people
            for problem in (*person.problems, *(f"the policy blocked: {one}" for one in person.violations()))
        ]

    def close(self) -> None:
        """End all browsers."""
        for person in self.people:
            person.close()
