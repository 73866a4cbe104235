"""Reconciliation as people do it: a bad file, breaks as a work list, a correction that takes two of them."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.console.hostile import bad_file
from tests.e2e.console.world import BANK, Shop, cases, report, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person

BAD_LINE = 5


@pytest.fixture(scope="module")
def charged_twice(stack: Stack) -> tuple[Shop, str, str]:
    """A shop, its payment that the bank charged twice, and the break whose correction waits for an approval."""
    shop = Shop.opened(stack, "Twice Charged")
    payment_id = shop.charged_twice(4_321)
    report(stack)
    break_id = shop.break_of(payment_id)
    wait_for(lambda: shop.correction(break_id).get("status") == "awaiting_approval", "the workflow waits")
    return shop, payment_id, break_id


def upload(person: Person, name: str, body: bytes) -> None:
    """Let the console read a file by its form: what it says is shown, and nothing of it is taken yet."""
    person.open("/files")
    person.page.locator("input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": body}
    )
    person.main().get_by_role("button", name=re.compile("what it says", re.I)).first.click()
    # The function that reads starts for seconds, and a reload meanwhile would take the form back.
    expect(person.heading()).not_to_have_text("Files", timeout=60_000)


def accept(person: Person) -> bool:
    """Hand in the file that is shown, as the bank's, if it can be; return whether it was."""
    button = person.main().get_by_role("button", name="Accept this file")
    if button.count():
        gateway = person.main().get_by_label("gateway")
        if gateway.count():
            gateway.select_option("sandbox_bank")
        button.click()
        expect(button).to_have_count(0, timeout=60_000)
        return True
    return False


def test_a_bad_file_says_which_line_is_wrong(visit: Callable[..., Person], keys: dict[str, str], stack: Stack) -> None:
    """The line, the field and what was read there; and nothing of the file is loaded."""
    person = visit(keys["operator"])
    name = f"march {uuid.uuid4().hex[:6]}.csv"
    with person.expecting_refusals():
        upload(person, name, bad_file(BAD_LINE))
        told = person.main().get_by_text(re.compile(rf"line\s*{BAD_LINE}\b", re.I)).first
        person.reload_until(told)
    assert re.search("amount", person.text(), re.I)
    assert "12,50x" in person.text()
    expect(person.main().get_by_text(name).first).to_be_visible()
    expect(person.main().get_by_text(re.compile("can't be accepted", re.I)).first).to_be_visible()


def test_a_good_file_says_what_was_read_and_starts_a_run(
    visit: Callable[..., Person], keys: dict[str, str], stack: Stack
) -> None:
    shop = Shop.opened(stack, "Uploads")
    shop.pay(1_111)
    person = visit(keys["operator"])
    name = f"good {uuid.uuid4().hex[:6]}.csv"
    upload(person, name, stack.bank.report(BANK))
    expect(person.main().get_by_text(name).first).to_be_visible()
    accept(person)
    person.reload_until(person.main().get_by_text(re.compile("was accepted", re.I)))
    person.open("/runs")
    person.reload_until(person.main().get_by_role("row").nth(1))


def test_one_person_proposes_and_another_approves(
    visit: Callable[..., Person], console: Console, stack: Stack, charged_twice: tuple[Shop, str, str]
) -> None:
    """Who proposed is refused as approver, in words and without a refund; a second person's approval gives it back."""
    shop, payment_id, break_id = charged_twice
    ann_name, ben_name = f"ann {uuid.uuid4().hex[:4]}", f"ben {uuid.uuid4().hex[:4]}"
    ann, ben = (
        visit(console.add(ann_name, "approver")),
        visit(console.add(ben_name, "approver")),
    )
    query = {"merchant": shop.merchant_id}
    ann.open(f"/breaks/{break_id}", query)
    expect(ann.main().get_by_text(payment_id).first).to_be_visible()
    propose = ann.main().locator("form").filter(has=ann.page.get_by_role("button", name=re.compile("propose", re.I)))
    amount = propose.get_by_label(re.compile("amount", re.I)).first
    if not amount.input_value():
        amount.fill("43.21")
    propose.get_by_role("button", name=re.compile("propose", re.I)).click()
    expect(ann.page.get_by_role("status").first).to_contain_text(re.compile("propos", re.I))
    with ann.expecting_refusals():
        approve = ann.main().get_by_role("button", name=re.compile("approve", re.I))
        if approve.count() and approve.first.is_enabled():
            approve.first.click()
            said = ann.page.get_by_role("alert").first
        else:  # the page says beforehand that it takes a second person
            said = ann.main()
        expect(said).to_contain_text(re.compile("second person|another person|proposed (it|by)|same person", re.I))
    assert not [row for row in stack.bank.books(kind="refund") if row["amount_minor"] == 4_321]
    ben.open(f"/breaks/{break_id}", query)
    expect(ben.main().get_by_text(re.compile(ann_name)).first).to_be_visible()
    ben.main().get_by_role("button", name=re.compile("approve", re.I)).first.click()
    expect(ben.page.get_by_role("status").first).to_contain_text(re.compile("approv", re.I))
    wait_for(lambda: shop.correction(break_id).get("status") == "corrected", "the refund")
    ben.reload_until(ben.main().get_by_text(re.compile("corrected", re.I)))
    refunds = [row for row in stack.bank.books(kind="refund") if row["amount_minor"] == 4_321]
    assert len(refunds) == 1
    ann.open("/audit", query)
    ann.reload_until(ann.main().get_by_text(re.compile(ben_name)))
    expect(ann.main().get_by_text(re.compile(ann_name)).first).to_be_visible()


def test_a_break_is_assigned_commented_and_rejected(
    visit: Callable[..., Person], console: Console, stack: Stack
) -> None:
    """The work list: to whom, what was said, and a rejection by somebody who may."""
    shop = Shop.opened(stack, "Work List")
    payment_id = shop.charged_twice(5_678)
    report(stack)
    break_id = shop.break_of(payment_id)
    wait_for(lambda: shop.correction(break_id).get("status") == "awaiting_approval", "the workflow waits")
    person = visit(console.add(f"cleo {uuid.uuid4().hex[:4]}", "approver"))
    person.open("/breaks", {"merchant": shop.merchant_id})
    person.main().locator(f"a[href*='{break_id}']").first.click()
    comment = f"The customer rang us <i>twice</i> {uuid.uuid4().hex[:6]}"
    form = person.main().locator("form").filter(has=person.page.get_by_role("button", name=re.compile("comment", re.I)))
    form.get_by_role("textbox").first.fill(comment)
    form.get_by_role("button").first.click()
    expect(person.main().get_by_text(comment).first).to_be_visible()
    form = person.main().locator("form").filter(has=person.page.get_by_role("button", name=re.compile("assign", re.I)))
    form.get_by_role("textbox").first.fill("dora")
    form.get_by_role("button", name=re.compile("assign", re.I)).first.click()
    wait_for(lambda: cases(stack).get(break_id).assignee == "dora", "the assignment", seconds=20)
    person.open(f"/breaks/{break_id}", {"merchant": shop.merchant_id})
    form = person.main().locator("form").filter(has=person.page.get_by_role("button", name=re.compile("reject", re.I)))
    for field in form.get_by_role("textbox").all():
        field.fill("It was a gift.")
    form.get_by_role("button", name=re.compile("reject", re.I)).click()
    wait_for(lambda: shop.correction(break_id).get("status") == "rejected", "the rejection", seconds=60)
    person.open("/breaks", {"merchant": shop.merchant_id})
    expect(person.main().get_by_text("dora").first).to_be_visible()


def test_balances_are_shown_by_account_and_currency(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop
) -> None:
    person = visit(keys["viewer"])
    person.open("/balances", {"merchant": shop.merchant_id})
    listed = shop.ask("GET", "/balances").json()["data"]
    assert listed
    text = person.text()
    for line in listed:
        assert line["currency"] in text
    expect(person.main().get_by_role("table").first).to_be_visible()
