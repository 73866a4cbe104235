"""One account has one name, however a file writes it: an IBAN in capitals where that can be known, else its own number.

Banks write the currency behind the number (Rabobank), a BIC before it (Raiffeisen), blanks within it, and the national
number instead of the IBAN: German ones as bank code and number, Dutch ones as ten digits under a header that names the
bank. Sources: SWIFT, IBAN Registry (structure of DE, NL); ISO 13616 (check digits).
"""

from __future__ import annotations

import re
from functools import lru_cache

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_BIC = re.compile(r"[A-Z]{4}([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3,4})?", re.ASCII)
_GERMAN = re.compile(r"([0-9]{8})/([0-9]{1,10})", re.ASCII)
_DUTCH_BBAN = re.compile(r"[A-Z]{4}[0-9]{10}", re.ASCII)  # of that length in no other country
_DUTCH = re.compile(r"[0-9]{5,10}", re.ASCII)
_QUOTES = str.maketrans("", "", " \t\r\n\"'\u00a0")


@lru_cache(maxsize=4096)
def canonical_account(written: str, currency: str, *, bank_code: str | None = None) -> str:
    """Return the account's one name. ``bank_code`` is the BIC of the bank that keeps it, where the file states it."""
    plain = written.translate(_QUOTES).upper().removeprefix("IBAN:").removeprefix("IBAN")
    if not plain:
        return ""
    parts = [_without_currency(part, currency) for part in plain.split("/")]
    numbers = [part for part in parts if part and not _BIC.fullmatch(part)] or [part for part in parts if part]
    for part in numbers:
        if _IBAN.fullmatch(part):
            return part
    whole = "/".join(numbers) or plain
    if (german := _GERMAN.fullmatch(whole)) is not None:
        return _iban("DE", german[1] + german[2].rjust(10, "0"))
    if _DUTCH_BBAN.fullmatch(whole):
        return _iban("NL", whole)
    bank = _BIC.fullmatch((bank_code or "").strip().upper())
    digits = whole.replace(".", "")
    if bank is not None and bank[1] == "NL" and _DUTCH.fullmatch(digits):
        return _iban("NL", bank[0][:4] + digits.rjust(10, "0"))
    return digits if digits.isdigit() else whole


def _without_currency(part: str, currency: str) -> str:
    """Return the number without the currency behind it; a part that is nothing else says nothing."""
    shorter = part.removesuffix(currency)
    return shorter if not shorter or shorter[-1].isdigit() else part


def _iban(country: str, number: str) -> str:
    """Return the IBAN of a national number, with its check digits (ISO 7064, MOD 97-10)."""
    rearranged = "".join(str(int(letter, 36)) for letter in f"{number}{country}00")
    return f"{country}{98 - int(rearranged) % 97:02d}{number}"
