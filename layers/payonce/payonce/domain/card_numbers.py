"""Recognizes card numbers (PANs, ISO/IEC 7812-1) in text, so that payonce never stores or logs one.

It looks for what a person or a form could enter by mistake: digits of any script, in one piece or in groups, beside
other numbers such as a security code or an expiry date. A card number has an issuer's prefix, one of that issuer's
lengths, and passes the Luhn check.

Text with a structure of its own is not taken for a card number: UUIDs and other hexadecimal identifiers, decimals,
tracking numbers, and numbers with valid check digits of another standard (IBANs, creditor references, article codes,
routing numbers). About 4 % of sequential or random numbers of 16 digits look like a card number; no rule can tell them
apart. ``benchmarks/card_numbers.py`` measures both kinds of error: see docs/card-numbers.md.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import cycle
from operator import mul

MIN_PAN_DIGITS = 13  # ISO/IEC 7812-1 allows fewer, but no shorter card number can pay online
_LONG, _ANY = frozenset(range(16, 20)), frozenset(range(13, 20))
# First and last prefix of each range, and the lengths issued in it. Sources: the "Payment card number" article's table
# of issuers (https://en.wikipedia.org/wiki/Payment_card_number), Braintree's credit-card-type
# (https://github.com/braintree/credit-card-type), Mastercard's 2-series (2221-2720, since 2017).
_ISSUERS: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("4903", "4903", frozenset({18})),  # Switch; its numbers of 16 and 19 digits already match Visa's range
    ("4905", "4905", frozenset({18})),
    ("4911", "4911", frozenset({18})),
    ("4936", "4936", frozenset({18})),
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset({14, 16, 19})),  # Diners Club
    ("3095", "3095", frozenset({14, 16, 19})),
    ("36", "36", frozenset({14, 16, 19})),
    ("38", "39", frozenset({14, 16, 19})),
    ("3528", "3589", _LONG),  # JCB
    ("6011", "6011", _LONG),  # Discover
    ("644", "649", _LONG),
    ("65", "65", _LONG),
    ("62", "62", _LONG),  # UnionPay
    ("81", "81", _LONG),
    ("5018", "5018", _ANY),  # Maestro; its older numbers are shorter
    ("5020", "5020", _ANY),
    ("5038", "5038", _ANY),
    ("5893", "5893", _ANY),
    ("6304", "6304", _ANY),
    ("6759", "6759", _ANY),
    ("6761", "6763", _ANY),
    ("50", "50", _LONG),
    ("56", "58", _LONG),
    ("63", "63", _LONG),
    ("67", "67", _LONG),
    ("2200", "2205", _LONG),  # Mir, Borica
    ("60", "60", frozenset({16})),  # RuPay, Hipercard
    ("6040", "6042", frozenset({18, 19})),  # UkrCard
    ("82", "82", frozenset({16})),
    ("8600", "8600", frozenset({16})),  # UzCard, Humo, Troy
    ("9860", "9860", frozenset({16})),
    ("9792", "9792", frozenset({16})),
    ("9704", "9704", frozenset({16, 19})),  # Napas
)
PREFIX_DIGITS = 4  # length of the longest prefix in the table

# The groups of a written card number are separated by at most three characters, such as a dash between two spaces.
# Characters that mask a digit (*, •, ●) are not separators.
_GROUPS = re.compile(r"[0-9]+(?:[^0-9A-Za-z*•●]{1,3}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+|[^0-9]+")
MIN_PLAIN_GROUP_DIGITS = 4  # cards show groups of four or more; the groups of dates and times are shorter

# Shapes that no card number has. Decimal digits inside them form a card number only by chance.
_OTHER_SHAPES = re.compile(
    # A UUID; 24 hexadecimal digits are an ObjectId, 32 a UUID or MD5, 40 a SHA-1, 64 a SHA-256, each with or without a
    # prefix. A chip's track 2 must not match: number, "D", expiry date, "F" as padding (EMV Book 3, annex A, tag 57).
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?:[a-z]{0,3}[g-z])?(?![0-9]{0,19}[dD][0-9]{7,}[fF]?(?![0-9A-Za-z]))(?=[0-9]*[a-fA-F])[0-9a-fA-F]{24,}"
    r"|(?=[0-9:]{0,38}[a-fA-F])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"  # IPv6
    r"|1Z(?=[0-9]{0,5}[A-Z])[0-9A-Z]{16}"  # UPS
    r"|[0-9]{3}-[0-9]{7}-[0-9]{7}"  # Amazon's orders
    r"|9[1-5][0-9]{2}(?: [0-9]{4}){4} [0-9]{2}(?! ?[0-9])"  # USPS; its last 18 digits could pass for a Maestro number
    r")(?![0-9A-Za-z])"
    # A share, a probability, a pair of coordinates: decimals, not groups.
    r"|(?<![0-9A-Za-z.,/-])-?(?:[0-9]{1,3}\.[0-9]{5,}(?:[,;] ?| )-?[0-9]{1,3}\.[0-9]{5,}|0\.[0-9]{13,})(?![0-9A-Za-z.])"
)
# The beginning of an IBAN or a creditor reference. Forms often put "IBAN" in front of it without a space.
_CHECKED_START = re.compile(r"(?<![0-9A-Za-z])(?:IBAN)?([A-Za-z]{2}[0-9]{2})")
MAX_CREDITOR_REFERENCE = 25  # ISO 11649: "RF", two check digits, and up to 21 characters
# ISO 13616, SWIFT's IBAN registry: the countries by the length of their IBANs.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH CR HR LI LV",
    22: "BG BH DE GB GE IE IQ ME RS VA",
    23: "AE GI IL OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


def looks_like_card_number(text: str) -> bool:
    """Return whether ``text`` contains a card number, in digits of any script, in one piece or in groups."""
    if sum(map(str.isdigit, text)) < MIN_PAN_DIGITS:
        return False
    plain = _without_checked(_OTHER_SHAPES.sub("|||||", _plain(text)))
    return any(_holds_one(_GROUP.findall(run)) for run in _GROUPS.findall(plain))


def _plain(text: str) -> str:
    """Return the text in compatibility form (NFKC), decimal digits in ASCII, without invisible characters."""
    return "".join(
        str(unicodedata.decimal(character, character))
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) not in {"Cf", "Mn"}  # zero-width spaces, soft hyphens, variation selectors
    )


def _without_checked(text: str) -> str:
    """Return the text without the IBANs and creditor references whose check digits are valid."""
    kept, at = [], 0
    for start in _CHECKED_START.finditer(text):
        end = _end_of_checked(text, start.start(1))
        if start.start() >= at and end:
            kept.append(text[at : start.start()] + "|||||")
            at = end
    return "".join(kept) + text[at:]


def _end_of_checked(text: str, start: int) -> int:
    """Return the end of the IBAN or creditor reference that begins at ``start``, or 0 when there is none there.

    Spaces between groups are allowed. A creditor reference may have any length: the longest valid one is taken.
    """
    country = text[start : start + 2].upper()
    length = MAX_CREDITOR_REFERENCE if country == "RF" else _IBAN_LENGTHS.get(country, 0)
    checked, at, end = "", start, 0
    while at < len(text) and len(checked) < length:
        if text[at].isascii() and text[at].isalnum():
            checked += text[at]
        elif text[at] != " ":
            break
        at += 1
        whole = len(checked) == length if country != "RF" else not text[at : at + 1].isalnum()
        if whole and len(checked) > 4 and _passes_mod_97(checked):
            end = at
    return end


def _passes_mod_97(checked: str) -> bool:
    return int("".join(str(int(character, 36)) for character in checked[4:] + checked[:4])) % 97 == 1


def _holds_one(parts: list[str]) -> bool:
    """Return whether neighbouring groups form a card number. ``parts`` alternates between digits and separators."""
    groups, separators = parts[::2], parts[1::2]
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += groups[last]
            if len(digits) > max(_ANY):
                break
            if _is_card_number(digits) and _is_written_so(groups[first : last + 1], separators[first:last]):
                return True
            if first == last and _is_checked_otherwise(digits):
                break
    return False


def _is_written_so(groups: list[str], separators: list[str]) -> bool:
    """Return whether a card number may be grouped like this: in long groups, or in equal ones with one separator."""
    sizes = [len(group) for group in groups]
    if len(sizes) == 1:
        return not _is_checked_otherwise(groups[0])
    if all(size >= MIN_PLAIN_GROUP_DIGITS for size in sizes[:-1]) or sizes == [4, 3, 3, 3]:  # old Visa cards
        return True
    return len(set(separators)) == 1 and len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]


def _is_card_number(digits: str) -> bool:
    return len(digits) in _issued_lengths(digits[:PREFIX_DIGITS]) and _passes_luhn(digits)


@lru_cache(maxsize=1024)
def _issued_lengths(prefix: str) -> frozenset[int]:
    return frozenset().union(*(lengths for first, last, lengths in _ISSUERS if first <= prefix[: len(first)] <= last))


def _passes_luhn(digits: str) -> bool:
    values = list(map(int, reversed(digits)))
    return (sum(values[::2]) + sum((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[value] for value in values[1::2])) % 10 == 0


def _is_checked_otherwise(digits: str) -> bool:
    """Return whether a group is a valid article code (EAN-13, UPC-A) or US bank routing number, by its check digit.

    Such a group is complete, and not part of a number that continues in the next group.
    """
    weights = {13: (1, 3), 12: (3, 1), 9: (3, 7, 1)}.get(len(digits))
    return weights is not None and sum(map(mul, map(int, digits), cycle(weights))) % 10 == 0
