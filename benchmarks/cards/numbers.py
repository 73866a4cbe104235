"""Generated card numbers, and the ways in which people and programs write them.

Issuer ranges and lengths, as published (looked up in November 2026):

- https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN)
- https://github.com/braintree/credit-card-type/blob/main/src/lib/card-types.ts (Elo, Hiper, Hipercard, Verve, UnionPay)
- https://github.com/Marjoel/credit-card-bins (Hipercard, Elo, as Brazilian acquirers have them)
- https://ldapwiki.com/wiki/Wiki.jsp?page=Issuer%20Identification%20Number (Solo, Switch, Laser, Dankort, UATP)
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


@dataclass(frozen=True)
class Brand:
    """A card brand: ``prefixes`` as ``"34"`` or ``"2221-2720"``, and how many digits its numbers have."""

    name: str
    prefixes: tuple[str, ...]
    lengths: tuple[int, ...]

    def number(self, random: Random, length: int = 0) -> str:
        """Return a number of this brand whose check digit is right."""
        first, _, last = random.choice(self.prefixes).partition("-")
        prefix = str(random.randint(int(first), int(last or first)))
        return with_check_digit(prefix, length or random.choice(self.lengths), random)


BRANDS = (
    Brand("Visa", ("4",), (13, 16, 16, 16, 19)),
    Brand("Mastercard", ("51-55",), (16,)),
    Brand("Mastercard, 2 series", ("2221-2720",), (16,)),
    Brand("American Express", ("34", "37"), (15,)),
    Brand("Diners Club", ("300-305", "3095", "36", "38-39"), (14, 16, 19)),
    Brand("Discover", ("6011", "644-649", "65", "622126-622925"), (16, 19)),
    Brand("JCB", ("3528-3589",), (16, 17, 18, 19)),
    Brand("UnionPay", ("62",), (16, 17, 18, 19)),
    Brand("Maestro", ("5018", "5020", "5038", "5893", "6304", "6759", "6761-6763"), (13, 14, 15, 16, 17, 18, 19)),
    Brand("Switch, Solo, Laser", ("4936", "564182", "633110", "6333", "6334", "6767", "6706", "6771"), (16, 18, 19)),
    Brand("Mir", ("2200-2204",), (16, 17, 18, 19)),
    Brand("BORICA", ("2205",), (16,)),
    Brand("RuPay", ("60", "65", "81", "82", "508", "353", "356"), (16,)),
    Brand(
        "Elo",
        ("401178-401179", "431274", "438935", "451416", "457393", "457631-457632", "504175", "506699-506778")
        + ("509000-509999", "627780", "636297", "636368", "650031-650033", "650405-650439", "651652-651679", "655000-655019"),
        (16,),
    ),
    Brand("Hipercard, Hiper", ("606282", "637095", "637568", "637599", "637609", "637612"), (16,)),
    Brand("Troy", ("9792",), (16,)),
    Brand("Verve", ("506099-506198", "507865-507964", "650002-650027"), (16, 18, 19)),
    Brand("Dankort", ("5019", "4571"), (16,)),
    Brand("InterPayment, InstaPayment", ("636-639",), (16,)),
    Brand("UkrCard", ("604001-604200",), (16, 18, 19)),
)
# Not what the promise is about: short, of one industry, or of one country without a published check digit.
RARE_BRANDS = (
    Brand("Maestro of 12 digits", ("5018", "5020", "5038", "5893", "6304", "6759", "6761-6763"), (12,)),
    Brand("UATP (air travel)", ("1",), (15,)),
    Brand("China T-Union (transit)", ("31",), (19,)),
    Brand("UzCard, Humo, Napas", ("8600", "9860", "9704"), (16,)),
)

SEPARATORS = {
    "space": " ", "two spaces": "  ", "tab": "\t", "-": "-", "' - '": " - ", ".": ".", "/": "/", "_": "_", ",": ",", "', '": ", ",
    ":": ":", ";": ";", "|": "|", "\\": "\\", "+": "+", "newline": "\n", "CR LF": "\r\n", "en dash": "–", "em dash": "—",  # noqa: RUF001
    "no-break hyphen": "\u2011", "minus sign": "\u2212", "fullwidth hyphen": "\uff0d", "soft hyphen": "\u00ad",
    "middle dot": "\u00b7", "no-break space": "\u00a0", "thin space": "\u2009", "narrow no-break space": "\u202f",
    "ideographic space": "\u3000",
}  # fmt: skip
INVISIBLE = {
    "zero-width space": "\u200b", "zero-width joiner": "\u200d", "zero-width non-joiner": "\u200c", "word joiner": "\u2060",
    "byte order mark": "\ufeff", "left-to-right mark": "\u200e", "variation selector": "\ufe0f",
}  # fmt: skip
SCRIPTS = {
    "Arabic-Indic": "\u0660", "Persian": "\u06f0", "Devanagari": "\u0966", "Bengali": "\u09e6", "Thai": "\u0e50",
    "fullwidth": "\uff10", "mathematical bold": "\U0001d7ce",
}  # fmt: skip
# N is the number, M a number in groups with single spaces.
CONTEXTS = (
    "N 123", "N 12/27", "N 1227", "N 12/2027", "N exp 12/27 cvc 123", "12/27 N", "1227 N", "order 2 N", "2 N", "12 N", "123 N",
    "1234 N", "2 x N", "#N", "card:N", "card=N", "N,EUR", "N.", "(N)", "<N>", "'N'", "N/12/27", "N-123", "N|12|27|123", "N;12;27;123",
    "N:12:27:123", "N,12,27,123", "N=27122011234567890", "%BN^DOE/JANE^2712201123456789?", ";N=2712201?", "visaN", "NEUR", "xNy",
    "pan_N", "pan-N", "card N please", '{"card":"N","cvc":"123"}', '{"pan": "N", "amount": 1999}', "https://shop.example/pay?pan=N&cvc=123",
    "2026-11-28 N", "2026-11-28T12:00:00Z N", "N 2026-11-28", "19.99 N", "N 19.99", "+49 170 1234567 N", "N +49 170 1234567",
    "tel 0170 1234567, card N", "PL 00-950, N", "N 10115 Berlin", "1. N", "No. 7: N", "a\nN\nb", "1\nN\n2", "RE-2026/11/000123 N",
    "N RE-2026/11/000123", "M 123", "M 12/27", "2 M", "order 17 M", "M 1227 123", "M, M", "N N", "N,N", "12 M 34",
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Return whether the check digit is right."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(value - 9 * (value > 9) for value in doubled)) % 10 == 0


def some_digits(random: Random, count: int) -> str:
    """Return ``count`` random digits."""
    return "".join(random.choices("0123456789", k=count))


def with_check_digit(prefix: str, length: int, random: Random) -> str:
    """Return ``length`` digits beginning with ``prefix``, the last of which is the check digit."""
    body = prefix + some_digits(random, length - 1 - len(prefix))
    return next(body + digit for digit in "0123456789" if luhn(body + digit))


def groups(number: str) -> list[str]:
    """Return the number in the groups that are printed on such a card."""
    sizes = {13: (4, 3, 3, 3), 14: (4, 6, 4), 15: (4, 6, 5)}.get(len(number), (4,) * 5)
    cut = [number[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))]
    return [group for group in cut if group]


def in_script(number: str, script: str) -> str:
    """Return the number in the digits of another script."""
    zero = ord(SCRIPTS[script])
    assert unicodedata.digit(chr(zero)) == 0
    return "".join(chr(zero + int(digit)) for digit in number)


def in_context(number: str, context: str) -> str:
    """Return the text with the number in it."""
    return context.replace("N", number).replace("M", " ".join(groups(number)))


def any_number(random: Random) -> str:
    """Return a number of any brand."""
    return random.choice(BRANDS).number(random)


def writings() -> dict[str, Callable[[str, Random], str]]:
    """Return the ways to write a number, by name. A row of the table each."""
    ways: dict[str, Callable[[str, Random], str]] = {}
    for name, separator in SEPARATORS.items():
        ways[f"groups, {name}"] = lambda number, _, separator=separator: separator.join(groups(number))  # type: ignore[misc]
    for name, character in INVISIBLE.items():
        ways[f"{name} between digits"] = lambda number, _, character=character: character.join(number)  # type: ignore[misc]
    for script in SCRIPTS:
        ways[f"{script} digits"] = lambda number, _, script=script: in_script(number, script)  # type: ignore[misc]
        ways[f"{script} digits, groups"] = lambda number, _, script=script: " ".join(  # type: ignore[misc]
            in_script(group, script) for group in groups(number)
        )
    ways["every digit apart"] = lambda number, _: " ".join(number)
    ways["pairs"] = lambda number, _: " ".join(number[at : at + 2] for at in range(0, len(number), 2))
    ways["halves"] = lambda number, _: f"{number[:8]} {number[8:]}"
    ways["6 and the rest"] = lambda number, _: f"{number[:6]} {number[6:]}"
    ways["groups, mixed separators"] = lambda number, random: mixed(number, random)
    for context in CONTEXTS:
        ways[repr(context)] = lambda number, _, context=context: in_context(number, context)  # type: ignore[misc]
    ways["any separator, any context"] = lambda number, random: in_context(
        random.choice([*SEPARATORS.values()]).join(groups(number)), random.choice(CONTEXTS[:-9])
    )
    return ways


def mixed(number: str, random: Random) -> str:
    """Return the groups with another separator after each."""
    first, *rest = groups(number)
    return first + "".join(random.choice([" ", "-", ".", "/", "\u00a0", "_"]) + group for group in rest)


def masked() -> dict[str, Callable[[str, Random], str]]:
    """Return the ways to show less than the number, which must pass."""
    return {
        "first six and last four": lambda number, _: number[:6] + "*" * (len(number) - 10) + number[-4:],
        "first six and last four, x": lambda number, _: number[:6] + "x" * (len(number) - 10) + number[-4:],
        "first eight and last four": lambda number, _: number[:8] + "•" * (len(number) - 12) + number[-4:],
        "groups masked": lambda number, _: f"{number[:4]} {number[4:6]}** **** {number[-4:]}",
        "last four": lambda number, _: f"**** **** **** {number[-4:]}",
        "last four, in words": lambda number, _: f"card ending in {number[-4:]}, 12/27",
        "one digit masked": lambda number, random: one_masked(number, random),
    }


def one_masked(number: str, random: Random) -> str:
    """Return the number with one digit in the middle replaced."""
    at = random.randrange(6, len(number) - 4)
    return number[:at] + random.choice("*xX•#") + number[at + 1 :]
