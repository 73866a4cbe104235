"""Money, ids, ledger, events, transitions and problem types."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain import errors
from payonce.domain.events import build_event
from payonce.domain.ids import (
    ID_PATTERN,
    UlidSource,
    content_id,
    event_id,
    event_place,
    gateway_reference,
    journal_entry_id,
    operation_of,
    time_of_id,
)
from payonce.domain.ledger import (
    JournalEntry,
    Movement,
    MovementKind,
    Posting,
    charge,
    charge_reversal,
    dispute_postings,
    gateway_receivable,
    hold,
    recognition,
    refund,
    refund_returned,
    release_hold,
    reversed_postings,
)
from payonce.domain.money import MAX_AMOUNT_MINOR, Money, Zero
from payonce.domain.payment import TRANSITIONS, Change, OperationStatus, PaymentStatus, TransitionError, next_status
from payonce.domain.problems import INTERNAL, PROBLEMS, problem_document, problem_of
from tests.support.aws import REPOSITORY


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT_MINOR])
def test_money_takes_its_bounds(amount: int) -> None:
    assert Money(amount, "EUR").amount_minor == amount


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_MINOR + 1, 1.0, True, "1", None])
def test_money_takes_nothing_else(amount: object) -> None:
    """Fails when the type is not checked exactly: True is an int, and 1.0 compares like one."""
    with pytest.raises(ValueError, match="amount_minor"):
        Money(amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["eur", "EUX", "XXX", "XAU", ""])
def test_money_takes_only_currencies_in_use(currency: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(1, currency)


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    times, randoms = itertools.count(1_800_000_000_000), itertools.count()
    source = UlidSource(lambda: next(times), lambda size: next(randoms).to_bytes(size, "big"))
    made = [source.new("pay") for _ in range(100)]
    assert made == sorted(made)
    assert len(set(made)) == 100
    assert all(len(identity) == len("pay_") + 26 for identity in made)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_says_when_it_was_made(now_ms: int, random: bytes) -> None:
    """Fails when a bit of the random part is taken for one of the time, or the other way round."""
    made = UlidSource(lambda: now_ms, lambda _size: random).new("pay")
    assert time_of_id(made) == now_ms
    assert re.fullmatch(ID_PATTERN, made.removeprefix("pay_"))
    with pytest.raises(ValueError, match="substring"):
        time_of_id(made.replace(made[-1], "u"))


def test_an_id_is_laid_out_as_a_ulid() -> None:
    """The vector of https://github.com/ulid/javascript (``ulid(1469918176385)``). Fails when ids of two releases differ
    in their layout: lists are ordered by them.
    """
    asked: list[int] = []

    def random_bytes(size: int) -> bytes:
        asked.append(size)
        return bytes.fromhex("d6764c61efb99302bd5b")[-size:]

    made = UlidSource(lambda: 1_469_918_176_385, random_bytes).new("pay")
    assert made == "pay_01ARYZ6S41TSV4RRFFQ69G5FAV"
    assert (time_of_id(made), asked) == (1_469_918_176_385, [10])
    assert time_of_id(made.replace("pay_", "a_longer_prefix_")) == 1_469_918_176_385
    far = UlidSource(lambda: 2**48 + 1, bytes).new("pay")  # in the year 10889 the time begins anew
    assert (far, time_of_id(far)) == ("pay_00000000010000000000000000", 1)


def test_what_is_derived_from_content_is_the_same_in_every_release() -> None:
    """Known vectors: an entry that is booked again has to be known by its id."""
    assert content_id("je", "a", "bc") == "je_b534ce16ac9c8b36823f39a395ce8e0e3c7ad9605b82b5444f18cadacd217a5d"
    entry_id = "je_2c79124eb44adc33588249da6434368cb530c5f666ad745fe3c00c483b8171e4"
    assert journal_entry_id("mer_1", "pay_1", 3) == entry_id
    entry = JournalEntry(
        merchant_id="mer_1",
        payment_id="pay_1",
        version=3,
        currency="EUR",
        description="d",
        booked_at_ms=1,
        postings=charge("bank", 5),
    )
    assert entry.entry_id == entry_id
    corrected = replace(entry, version=2, break_id="brk_1")
    assert corrected.entry_id == "je_00b452476c948d30d19b78edee8a0d5fa7c35ef98561aa2fc113366ac67f44fd"
    assert gateway_reference("pay_1", 2) == "pay_1-2"


@pytest.mark.parametrize(
    ("reference", "operation"),
    [
        ("pay_1-1", "pay_1"),
        ("correcti_" + "a" * 51 + "-999", "correcti_" + "a" * 51),
        ("correctio_1-1", None),
        ("pay_" + "a" * 52 + "-1", None),
        ("pay_1-0", None),
        ("pay_1-1000", None),
        ("pay_1", None),
        ("pay_-1", None),
        ("PAY_1-1", None),
        ("pay_1-1 ", None),
        ("päy_1-1", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_reference_of_ours_names_an_operation(reference: str | None, operation: str | None) -> None:
    """Fails when whatever stands at a charge is looked up as an operation, or one of ours is not."""
    assert operation_of(reference) == operation


def test_the_accounts_and_signs_of_what_is_booked() -> None:
    """Fails when debit and credit are changed over, or an account has another name than in what is stored already."""
    at_bank, payable = "gateway_receivable:bank", "merchant_payable"
    hold_account, commitment = "authorization_hold", "authorization_commitment"
    for postings, debit, credit in (
        (hold(5), hold_account, commitment),
        (release_hold(5), commitment, hold_account),
        (charge("bank", 5), at_bank, payable),
        (refund("bank", 5), payable, at_bank),
        (charge_reversal("bank", 5), payable, at_bank),
        (recognition("bank", 5), at_bank, "reconciliation_suspense"),
    ):
        assert postings == (Posting(debit, 5), Posting(credit, -5))
    assert refund_returned("bank", 5) == (Posting(payable, -5), Posting(at_bank, 5))
    assert reversed_postings(charge("bank", 5)) == (Posting(at_bank, -5), Posting(payable, 5))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0, False), (5, False), {"gateway_disputed:bank": 5, "gateway_receivable:bank": -5}),
        ((5, False), (5, True), {"gateway_disputed:bank": -5, "merchant_payable": 5}),
        ((5, False), (0, False), {"gateway_disputed:bank": -5, "gateway_receivable:bank": 5}),
        ((5, True), (7, False), {"gateway_disputed:bank": 7, "gateway_receivable:bank": -2, "merchant_payable": -5}),
        ((5, True), (5, True), {}),
    ],
)
def test_a_disputes_postings_are_the_difference_of_two_positions(
    before: tuple[int, bool], after: tuple[int, bool], expected: dict[str, int]
) -> None:
    """Fails when steps do not add up to the last position, or a posting moves nothing."""
    postings = dispute_postings(
        "bank", before_minor=before[0], was_lost=before[1], after_minor=after[0], is_lost=after[1]
    )
    assert postings == tuple(Posting(account, amount) for account, amount in expected.items())


def test_an_entry_says_what_it_moved_at_its_gateway() -> None:
    """Fails when an entry of another gateway, or of a hold, counts as a movement that a report has to show."""
    movement = Movement(
        kind=MovementKind.CHARGE, gateway="bank", gateway_reference="pay_1-1", gateway_payment_id=None, payer=None
    )
    entry = JournalEntry(
        merchant_id="mer_1",
        payment_id="pay_1",
        version=1,
        currency="EUR",
        description="d",
        booked_at_ms=1,
        postings=(*charge("bank", 5), *charge("bank", 2), *charge("another", 1)),
        movement=movement,
    )
    assert entry.moved_minor == 7
    assert entry.by_account() == {
        "gateway_receivable:bank": 7,
        "merchant_payable": -8,
        "gateway_receivable:another": 1,
    }
    assert replace(entry, movement=None).moved_minor == 0
    for pointless in ((), (*charge("bank", 5), Posting("merchant_payable", 0))):
        with pytest.raises(ValueError, match="needs postings, and none of zero"):
            replace(entry, movement=None, postings=pointless)
    for postings in (hold(5), charge("another", 5)):
        assert replace(entry, movement=None, postings=postings).moved_minor == 0
        with pytest.raises(ValueError, match="on its gateway's account"):
            replace(entry, postings=postings)


@pytest.mark.parametrize("amount", [1, -1, 0.0, False, None])
def test_zero_is_zero(amount: object) -> None:
    """Fails when a payment method is set up with an amount, or with what only compares like zero."""
    assert Zero(0, "EUR").amount_minor == 0
    with pytest.raises(ValueError, match="must be 0"):
        Zero(amount, "EUR")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ISO 4217"):
        Zero(0, "EUX")


def test_content_ids_do_not_collide_by_concatenation() -> None:
    """Fails when the parts are joined without their lengths."""
    assert content_id("evt", "ab", "c") != content_id("evt", "a", "bc")
    assert content_id("evt", "", "a") != content_id("evt", "a", "")


def test_an_event_id_never_changes() -> None:
    """A known vector: consumers hold these ids, so a change of the recipe would repeat every event to them."""
    assert event_id("pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", 1) == "evt_pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA_1"
    assert (
        len({event_id(resource, version) for resource in ("pay_1", "pay_11", "we_1") for version in (1, 11, 111)}) == 9
    )


@given(st.text("abcxyz_0123456789", min_size=1), st.integers(1, 9_999_999_999))
def test_an_event_id_says_which_change_it_is_of(resource_id: str, version: int) -> None:
    """Fails when the resource is taken to end at its first underscore."""
    assert event_place(event_id(resource_id, version)) == (resource_id, version)


@pytest.mark.parametrize(
    "text", ["", "evt_", "evt_1", "evt__1", "evt_pay_1_0", "evt_pay_1_01", "evt_pay_1_x", "pay_1_1"]
)
def test_what_names_no_change_is_no_event_id(text: str) -> None:
    with pytest.raises(ValueError, match="no id of an event"):
        event_place(text)


@given(st.lists(st.integers(-(10**15), 10**15).filter(bool), min_size=1, max_size=6))
def test_only_balanced_entries_exist(amounts: list[int]) -> None:
    """Fails when the sum is not checked, or when an entry may be empty or hold a posting of nothing."""

    def entry(postings: list[int]) -> JournalEntry:
        return JournalEntry(
            merchant_id="m",
            payment_id="p",
            version=1,
            currency="EUR",
            description="d",
            booked_at_ms=0,
            postings=tuple(Posting(f"a{number}", amount) for number, amount in enumerate(postings)),
        )

    if sum(amounts):
        with pytest.raises(ValueError, match="sum to zero"):
            entry(amounts)
        entry([*amounts, -sum(amounts)])
    else:
        entry(amounts)
    for pointless in ([], [*amounts, -sum(amounts), 0]):
        with pytest.raises(ValueError, match="needs postings"):
            entry(pointless)


@given(st.integers(1, MAX_AMOUNT_MINOR))
def test_a_payment_that_is_undone_leaves_nothing(amount: int) -> None:
    postings = (*hold(amount), *release_hold(amount), *charge("g", amount), *refund("g", amount))
    totals: dict[str, int] = {}
    for posting in postings:
        totals[posting.account] = totals.get(posting.account, 0) + posting.amount_minor
    assert set(totals.values()) == {0}
    assert gateway_receivable("g") in totals


def test_an_events_body_is_its_bytes() -> None:
    made = build_event(
        Change.CHARGED, merchant_id="m", resource_id="p", version=3, created_at_ms=5, data={"reference": "ö☃"}
    )
    body = json.loads(made.body)
    assert (body["id"], body["sequence"], body["type"]) == (made.event_id, 3, "payment.captured")
    assert "ö☃".encode() in made.body


def test_final_states_stay_final() -> None:
    """A void that was under way may still tell of its end, which changes nothing about the payment."""
    for status in (PaymentStatus.DECLINED, PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.EXPIRED):
        assert {after for (before, _), after in TRANSITIONS.items() if before is status} <= {status}
    with pytest.raises(TransitionError):
        next_status(PaymentStatus.DECLINED, Change.CHARGED)


def test_every_change_is_reachable_and_every_state_too() -> None:
    assert {change for _, change in TRANSITIONS} == set(Change)
    assert set(TRANSITIONS.values()) == set(PaymentStatus)


def test_what_happens_to_a_payment_has_the_name_that_is_published() -> None:
    """Fails when an event or a status is renamed: receivers subscribe to the names, and stored payments have them."""
    published = json.loads((REPOSITORY / "openapi.json").read_text())
    families = ("payment.", "capture.", "void.", "refund.", "dispute.")
    assert {change.value for change in Change} == {name for name in published["webhooks"] if name.startswith(families)}
    schemas = published["components"]["schemas"]
    for status in (PaymentStatus, OperationStatus):
        assert {each.value for each in status} == set(schemas[status.__name__]["enum"])


def test_every_error_of_the_tree_has_a_problem_type() -> None:
    """Fails when an error class is added without deciding what a client sees."""
    for _, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.PayonceError) and not cls.__subclasses__():
            assert cls in PROBLEMS, cls


def test_only_what_a_retry_can_change_is_retryable() -> None:
    """Or what a retry can find out: after an internal error nothing is known but that the same key executes once."""
    retryable = {cls for cls, problem in PROBLEMS.items() if problem.retryable and problem is not INTERNAL}
    assert retryable == {
        errors.KeyInProgress,
        errors.LeaseLost,
        errors.Throttled,
        errors.GatewayUnavailable,
        errors.GatewayRefused,
        errors.CredentialsUnavailable,
        errors.StoreUnavailable,
        errors.StoreThrottled,
        errors.UpstreamUnavailable,
        errors.UpstreamRefused,
        errors.Overloaded,
        errors.OutcomeUnknown,
        errors.WriteConflict,
    }
    document = json.loads(problem_document(problem_of(errors.KeyReused("x")), "why", resource="/p", nothing=None))
    assert document["type"] == "urn:payonce:problem:key-reused"
    assert "nothing" not in document
