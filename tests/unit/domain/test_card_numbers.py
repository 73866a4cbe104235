"""Which texts hold a card number, and which only look like it.

The numbers are those that gateways publish for tests (https://docs.stripe.com/testing,
https://docs.adyen.com/development-resources/test-cards-and-credentials/test-card-numbers).
"""

from __future__ import annotations

import itertools
import random
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.card_numbers import looks_like_card_number

PUBLISHED = {
    "visa": "4242424242424242",
    "visa_13": "4222222222222",
    "visa_19": "4988080000000000005",
    "mastercard": "5555555555554444",
    "mastercard_2_series": "2223003122003222",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "diners_14": "36227206271667",
    "diners": "3056930009020004",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
    "unionpay_19": "6205500000000000004",
    "maestro": "6759649826438453",
    "mir": "2200000000000004",
}
# Made of the issuers' ranges at https://en.wikipedia.org/wiki/Payment_card_number; nobody publishes numbers for tests.
RARE = {"switch_18": "493618724467008476", "ukrcard_18": "604004729900593244", "napas": "9704024422242081"}
PAN = PUBLISHED["visa"]
GROUPED = ("4242", "4242", "4242", "4242")


@pytest.mark.parametrize("number", [*PUBLISHED.values(), *RARE.values()], ids=[*PUBLISHED, *RARE])
def test_every_brand_is_recognized(number: str) -> None:
    """Fails when an issuer's prefix or length is not in the table."""
    assert looks_like_card_number(number)


@pytest.mark.parametrize(
    "text",
    [
        f"{PAN} 123",
        f"{PAN} 12/27",
        f"{PAN} 12/27 123",
        f"order 2 {PAN}",
        f"2 {PAN}",
        f"card{PAN}eur",
        f"card_{PAN}",
        f"{PAN};2712",
        "2026-11-28 4242 4242 4242 4242",
        "4242 4242 4242 4242 123",
        "DE89 3704 0044 0532 0130 00, 4242 4242 4242 4242",
        "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
        "42424242-42424242",
        "424242 4242424242",
        "3782 822463 10005",
        "4222 222 222 222",
        f"{PAN}D27122011234567890F",  # a chip's track 2, https://www.emvlab.org/emvtags/show/t57/
        "3782 822463 10005D27122011234567890F",
        f"0.5 {PAN}",
        f"113-3950113-7899540 {PAN}",
        "550e8400-e29b-41d4-a716-446655440000 4242424242424242",
    ],
)
def test_a_card_number_beside_other_numbers_is_found(text: str) -> None:
    """Fails when only the longest run of digits is looked at, and not the groups in it."""
    assert looks_like_card_number(text)


@pytest.mark.parametrize(
    "separator",
    [*"-./_–—‑·:,|+ \t\n\u00a0\u2009\u200b\u200d\ufeff\u00ad\u2060", "  ", " - ", " – ", ""],
    ids=ascii,
)
def test_any_separator_is_seen_through(separator: str) -> None:
    """Fails when a list of separators is kept: there is always one more. The last ones show nothing at all."""
    assert looks_like_card_number(separator.join(GROUPED))


@pytest.mark.parametrize("zero", ["٠", "۰", "०", "০", "０", "𝟎"])
def test_digits_of_any_script_are_digits(zero: str) -> None:
    """Fails when only ASCII's digits are compared."""
    assert looks_like_card_number(PAN.translate({ord("0") + digit: ord(zero) + digit for digit in range(10)}))


@pytest.mark.parametrize(
    "text",
    [
        "order-2026-11-28-000123456",
        "1764356096123",  # epoch, milliseconds
        "1764356096123456",  # microseconds
        "20261130120305123",
        "2026-11-30 12:03:05.123456",
        "30-12-00-00-123456",
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "BE68539007547034",
        "DK5000400440116243",
        "NO9386011117947",
        "4006381333931",  # EAN-13
        "4242424242424241",  # fails Luhn
        "9999999999999995",  # passes Luhn, nobody's prefix
        "490154203237518",  # an IMEI: 15 digits are no Visa card
        "550e8400-e29b-41d4-a716-446655440000",
        "pm_" + "a4242424242424242bcdef0123456789",
        "",
        "12345",
        "it37 x449 6716 1436 0874 8968 760",
        "IBANCH6218919360786912881",
        "RF30 4970 6593 9142 3836 4287 8",  # ISO 11649
        "RF39666340558470",
        "tok4cbd4242424242424242ef0123456789ab",
        "113-3950113-7899540",  # Amazon's orders
        "335-3950113-7899540",
        "1ZKIU4415893974697",  # UPS
        "9400 1521 3961 1607 8719 84",  # USPS
        "a130:28cf:6b61:4199:6308:7571:0ef8:37bb",
        "0.6489486521451847",
        "13.59146364119628, -10.4671255088886",
        "-0.23517519739613, -142.4565964386302",
        "4092299640797 535",  # an EAN-13 and a price
        "300011354469 9445",  # a UPC-A and a price
        "369021393 3529708174",  # a US bank's routing number and an account
    ],
)
def test_an_ordinary_reference_is_taken(text: str) -> None:
    """Fails when prefixes, lengths, check digits and known shapes are not looked at."""
    assert not looks_like_card_number(text)


@pytest.mark.parametrize(
    "text", ["411111******1111", "4242 42** **** 4242", "2201549•39468336836", "4242", "**** 4242"]
)
def test_a_masked_number_is_taken(text: str) -> None:
    """Fails when the mark for a digit that is not shown is taken for a separator: the rest can pass the Luhn check."""
    assert not looks_like_card_number(text)


def test_the_time_grows_with_the_length_only() -> None:
    """Fails when a run is searched anew from each of its digits: a body of 32 KB took a second.

    The ratio of processor times is asked, since a machine may be slow: twice the text takes twice the time, not four
    times.
    """
    for pattern in ("4242:", "4 ", "1.", "DE89 3704 ", "RF18 5390 ", "4a", "0000 ", "4242424242424241", "1Z", "a "):
        once, twice = (min(_processor_seconds(pattern * (size // len(pattern))) for _ in range(3)) for size in SIZES)
        assert twice < 3 * once + 0.002, pattern


SIZES = (8_192, 16_384)


def _processor_seconds(text: str) -> float:
    began = time.process_time()
    looks_like_card_number(text)
    return time.process_time() - began


def test_an_iban_hides_no_card_number() -> None:
    """Fails when what looks like an IBAN is left out without its check digits being right."""
    assert looks_like_card_number("DK00 4242 4242 4242 4242")
    assert looks_like_card_number("DE89 3704 0044 0532 0130 00 4242424242424242")
    assert looks_like_card_number("RF00 4242 4242 4242 4242")
    assert looks_like_card_number("RF18539007547034 4242424242424242")


def test_tokens_of_random_hexadecimal_digits_are_taken() -> None:
    """Fails when runs of decimal digits in a UUID are taken for numbers: 220 of 200,000 such tokens were refused."""
    source = random.Random(16)
    tokens = (uuid.UUID(int=source.getrandbits(128), version=4) for _ in range(20_000))
    refused = [text for token in tokens for text in (f"pm_{token.hex}", f"tok_{token}") if looks_like_card_number(text)]
    assert refused == []


@given(
    st.sampled_from(sorted(PUBLISHED.values())),
    st.text(alphabet=st.characters(categories=("L", "Z", "P"), exclude_characters="\u0130"), max_size=20),
    st.text(alphabet=st.characters(categories=("L", "Z", "P")), max_size=20),
)
def test_no_text_around_it_hides_a_card_number(pan: str, before: str, after: str) -> None:
    """Fails when a neighbour can make digits part of something else."""
    assert looks_like_card_number(f"{before} {pan} {after}")


@given(st.integers(0, 10**12 - 1), st.sampled_from("0123456789"))
def test_no_article_code_is_refused(body: int, first: str) -> None:
    """Fails when an EAN-13 is refused because a Visa card once had 13 digits: one in a hundred was."""
    digits = first + f"{body:012d}"[1:]
    check = -sum(int(digit) * weight for digit, weight in zip(digits, itertools.cycle((1, 3)), strict=False)) % 10
    assert not looks_like_card_number(digits + str(check))
