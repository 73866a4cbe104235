"""Finding a payment among the account's others: bounded, in the likely order, and never wrong about "not found"."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    NotFound,
    OperationKind,
    Overtaken,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, STRIPE_CAPABILITIES
from payonce.gateways.stripe_lookup import CLOCK_SKEW_SECONDS, MAX_PAGES, PAGE_SIZE, SUBMISSION_WINDOW_SECONDS
from payonce.idempotency import window as idempotency_settings
from payonce.payments import rules
from tests.unit.gateways.stripe_world import (
    CHARGE,
    FIRST_SECONDS,
    INTENT,
    REFERENCE,
    SOON,
    answer,
    gateway_on,
    instruction,
    intent,
    listing,
    refund,
)

if TYPE_CHECKING:
    from payonce.domain.exchange import Answered
    from payonce.domain.gateway import GatewayCapabilities
    from tests.unit.gateways.stripe_world import Asked

DONE = Succeeded(INTENT, CHARGE)


def account(*rows: dict[str, Any]) -> Any:
    """Return a Stripe that lists ``rows`` as Stripe does: filtered by creation, the newest first, in pages."""

    def respond(asked: Asked) -> Answered:
        if asked.path.endswith("/search"):
            return listing()
        low, high = int(asked.form["created[gte]"]), int(asked.form["created[lt]"])
        chosen = sorted((row for row in rows if low <= row["created"] < high), key=lambda row: -row["created"])
        ids = [row["id"] for row in chosen]
        start = ids.index(asked.form["starting_after"]) + 1 if "starting_after" in asked.form else 0
        page = chosen[start : start + int(asked.form["limit"])]
        return listing(*page, has_more=start + len(page) < len(chosen))

    return respond


def strangers(count: int, *, since_seconds: int = FIRST_SECONDS) -> list[dict[str, Any]]:
    """Return other payments of the account, one a tenth of a second."""
    return [
        intent(id=f"pi_other_{number}", created=since_seconds + number // 10, metadata={}) for number in range(count)
    ]


@pytest.mark.parametrize(
    "seconds", [-CLOCK_SKEW_SECONDS, -31, -30, 0, 59, 60, 599, SUBMISSION_WINDOW_SECONDS + CLOCK_SKEW_SECONDS - 1]
)
def test_it_is_found_whenever_it_can_have_been_created(seconds: int) -> None:
    """Fails when the slices leave a gap, at their edges or for a clock that is minutes off."""
    gateway, paper = gateway_on(account(intent(created=FIRST_SECONDS + seconds)))
    late = gateway._clock
    late.ms += (SUBMISSION_WINDOW_SECONDS + 2 * CLOCK_SKEW_SECONDS) * 1000  # type: ignore[attr-defined]
    assert gateway.find(instruction(), SOON) == DONE
    assert len(paper.asked) <= 3


def test_the_common_case_is_one_page_of_one_listing() -> None:
    """Fails when the likely time is not looked through first: every inquiry would read hours of payments."""
    later = strangers(2 * PAGE_SIZE, since_seconds=FIRST_SECONDS + 3600)
    gateway, paper = gateway_on(account(intent(), *later))
    assert gateway.find(instruction(), SOON) == DONE
    assert paper.lines == ["GET /v1/payment_intents"]
    assert paper.asked[0].form == {
        "created[gte]": str(FIRST_SECONDS - 30),
        "created[lt]": str(FIRST_SECONDS + 60),
        "limit": "100",
    }


def test_it_is_found_on_a_later_page() -> None:
    """Fails when only the first page is read, or the cursor is wrong."""
    gateway, _ = gateway_on(account(intent(created=FIRST_SECONDS), *strangers(3 * PAGE_SIZE)))
    assert gateway.find(instruction(), SOON) == DONE


def test_not_found_is_said_only_after_everything_was_read() -> None:
    """Fails when "not found" comes from a part of the time in which it can have been created."""
    gateway, paper = gateway_on(account(*strangers(5)))
    assert gateway.find(instruction(), SOON) == NotFound()
    read = sorted((int(a.form["created[gte]"]), int(a.form["created[lt]"])) for a in paper.asked)
    assert read[0][0] == FIRST_SECONDS - CLOCK_SKEW_SECONDS
    assert read[-1][1] == FIRST_SECONDS + SUBMISSION_WINDOW_SECONDS + CLOCK_SKEW_SECONDS
    assert all(left[1] == right[0] for left, right in itertools.pairwise(read))


def test_the_window_holds_every_moment_at_which_payonce_may_send() -> None:
    """Fails when payonce resubmits for longer than the lookup looks back: a charge would be overlooked."""
    lease_ms = 30_000 + idempotency_settings.LEASE_MARGIN_MS
    assert rules.MAX_RESUBMIT_AGE_MS + lease_ms < SUBMISSION_WINDOW_SECONDS * 1000


def test_more_than_can_be_read_is_unknown_and_never_not_found() -> None:
    """Fails when a lookup that gave up says "not found": the charge would be made again."""
    gateway, paper = gateway_on(account(*strangers(PAGE_SIZE * (MAX_PAGES + 1) // 2 * 2)))
    outcome = gateway.find(instruction(), SOON)
    assert isinstance(outcome, Unknown)
    assert paper.lines == ["GET /v1/payment_intents"] * MAX_PAGES + ["GET /v1/payment_intents/search"]
    assert paper.asked[-1].form == {"query": f"metadata['payonce_reference']:'{REFERENCE}'", "limit": "10"}


@pytest.mark.parametrize(
    ("stored", "capabilities", "expected"),
    [
        (intent(), STRIPE_CAPABILITIES, DONE),
        (intent(), KEYLESS_STRIPE_CAPABILITIES, DONE),
        (intent("canceled"), STRIPE_CAPABILITIES, Declined),
        (intent("canceled"), KEYLESS_STRIPE_CAPABILITIES, Unknown),
        (intent("processing"), STRIPE_CAPABILITIES, Pending),
    ],
)
def test_a_hit_of_the_search_is_read_anew_before_it_counts(
    stored: dict[str, Any], capabilities: GatewayCapabilities, expected: Any
) -> None:
    """Fails when the index's old copy is believed, or where a second intent may exist that the index lacks."""
    monkey = account(*strangers(PAGE_SIZE * MAX_PAGES + 1, since_seconds=FIRST_SECONDS - 30))

    def respond(asked: Asked) -> Answered:
        if asked.path.endswith("/search"):
            return listing(intent("requires_capture"))  # as it was a minute ago
        return answer(stored) if asked.path.endswith(INTENT) else monkey(asked)  # type: ignore[no-any-return]

    gateway, paper = gateway_on(respond, capabilities=capabilities)
    outcome = gateway.find(instruction(), SOON)
    assert outcome == expected if isinstance(expected, Succeeded) else isinstance(outcome, expected)
    assert paper.lines[-2:] == ["GET /v1/payment_intents/search", "GET /v1/payment_intents/pi_1"]


def test_of_several_charges_the_first_counts_and_the_log_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when duplicates pass in silence: nobody would give the money back."""
    second = intent(id="pi_2", created=FIRST_SECONDS + 5)
    outcome = gateway_on(account(second, intent()))[0].find(instruction(), SOON)
    assert outcome == DONE
    (loud,) = [vars(record) for record in caplog.records if record.message == "duplicate booking at gateway"]
    assert (loud["levelname"], loud["reference"], loud["ids"]) == ("ERROR", REFERENCE, ["pi_1", "pi_2"])
    assert loud["gateway"] == "stripe"


@pytest.mark.parametrize("seconds", [0, 600])
def test_of_two_intents_that_are_alike_the_earlier_one_counts(seconds: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whether Stripe lists them in one second or payonce reads them in two listings. Fails when it is the last read."""
    rows = [
        intent("processing", id="pi_2", created=FIRST_SECONDS + seconds),
        intent("processing", created=FIRST_SECONDS),
    ]
    found = gateway_on(account(*rows))[0].find(instruction(), SOON)
    assert isinstance(found, Pending)
    assert found.gateway_object_id == INTENT
    assert caplog.records == []  # nothing was booked twice


def test_one_charge_is_no_duplicate(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when every lookup of a payment that succeeded alarms the operator."""
    assert gateway_on(account(intent()))[0].find(instruction(), SOON) == DONE
    assert caplog.records == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("requires_confirmation", "succeeded", Succeeded),
        ("canceled", "succeeded", Succeeded),
        ("canceled", "processing", Pending),
        ("requires_confirmation", "processing", Pending),  # withdrawing one answers for that one alone
        ("requires_confirmation", "canceled", AwaitsPayer),
        ("requires_payment_method", "canceled", Declined),
        ("requires_payment_method", "requires_payment_method", NotFound),
    ],
)
def test_of_several_intents_the_one_that_may_move_money_counts(first: str, second: str, expected: type) -> None:
    """Fails when an unconfirmed or failed first try hides the second one, which took the money."""
    rows = [intent(first), intent(second, id="pi_2", created=FIRST_SECONDS + 40)]
    assert type(gateway_on(account(*rows))[0].find(instruction(), SOON)) is expected


def test_refunds_are_told_apart_and_bounded() -> None:
    """Fails when any refund of the payment counts as this one, or the listing has no end."""
    other = refund(id="re_0", metadata={"payonce_reference": "re_0-1"})
    asked = instruction(OperationKind.REFUND)
    gateway, paper = gateway_on(listing(other, has_more=True), listing(refund()))
    assert gateway.find(asked, SOON) == Succeeded(INTENT, "re_1")
    assert paper.asked[0].form == {"payment_intent": INTENT, "limit": "100"}
    assert paper.asked[1].form == {"payment_intent": INTENT, "limit": "100", "starting_after": "re_0"}
    assert gateway_on(listing(other, has_more=False), answer(intent(amount_received=2000)))[0].find(asked, SOON) == (
        NotFound()
    )
    endless, paper = gateway_on(listing(other, has_more=True))
    assert endless.find(asked, SOON) == Unknown("more than 8 pages of refunds")
    assert len(paper.asked) == MAX_PAGES


def test_of_a_payment_that_received_nothing_nothing_is_left() -> None:
    """Fails when its refund counts as not executed yet, or the lookup breaks."""
    cent = replace(instruction(OperationKind.REFUND), money=Money(1, "EUR"))
    gateway, _ = gateway_on(listing(), answer(intent("requires_capture", amount_received=None)))
    assert isinstance(gateway.find(cent, SOON), Overtaken)


@pytest.mark.parametrize(
    ("others", "amount", "received", "expected"),
    [
        ([("succeeded", 1)], 1000, 1000, Overtaken),
        ([("succeeded", 1000)], 1000, 1000, Overtaken),
        ([("pending", 600), ("requires_action", 500)], 2000, 2000, Overtaken),  # under way is as good as given back
        ([("failed", 1000), ("canceled", 1000)], 1000, 1000, NotFound),
        ([("succeeded", 1000)], 2000, 2000, NotFound),
        ([], 1000, 1000, NotFound),
        # What a partial capture frees is listed among the refunds.
        ([("succeeded", 900)], 2000, 1100, NotFound),
        ([("succeeded", 900), ("succeeded", 101)], 2000, 1100, Overtaken),
    ],
)
def test_a_refund_that_others_have_left_nothing_for_is_overtaken(
    others: list[tuple[str, int]], amount: int, received: int, expected: type
) -> None:
    """Refunded at the dashboard: charge_already_refunded, https://docs.stripe.com/error-codes. Fails (an hour in doubt,
    then "not executed") when the refund's own absence is all that is looked at.
    """
    rows = [
        refund(status, id=f"re_{number}", amount=minor, metadata={}) for number, (status, minor) in enumerate(others)
    ]
    gateway, paper = gateway_on(listing(*rows), answer(intent(amount=amount, amount_received=received)))
    assert type(gateway.find(instruction(OperationKind.REFUND), SOON)) is expected
    assert paper.lines == ["GET /v1/refunds", "GET /v1/payment_intents/pi_1"]


def test_a_refund_of_ours_is_looked_for_in_the_listing_that_is_summed_up() -> None:
    """Booked between two listings. Fails (a refund that was made is refused) when a later listing is counted.

    ::

        list: ours is missing ─ (ours is booked) ─ what is left: less than ours
    """
    late = [listing(), listing(refund())]

    def respond(asked: Asked) -> Answered:
        return answer(intent()) if asked.path.endswith(INTENT) else late.pop(0)

    assert gateway_on(respond)[0].find(instruction(OperationKind.REFUND), SOON) == NotFound()
