"""Generated card numbers, by brand.

Issuer ranges and lengths, as published (looked up in November 2026):

- https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN)
- https://github.com/braintree/credit-card-type/blob/main/src/lib/card-types.ts (Elo, Hiper, Hipercard, Verve, UnionPay)
- https://github.com/Marjoel/credit-card-bins (Hipercard, Elo, as Brazilian acquirers have them)
- https://ldapwiki.com/wiki/Wiki.jsp?page=Issuer%20Identification%20Number (Solo, Switch, Laser, Dankort, UATP)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        (
            "401178-401179",
            "431274",
            "438935",
            "451416",
            "457393",
            "457631-457632",
            "504175",
            "506699-506778",
            "509000-509999",
            "627780",
            "636297",
            "636368",
            "650031-650033",
            "650405-650439",
            "651652-651679",
            "655000-655019",
        ),
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


def any_number(random: Random) -> str:
    """Return a number of any brand."""
    return random.choice(BRANDS).number(random)
