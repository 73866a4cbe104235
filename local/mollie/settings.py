"""How the fake Mollie behaves where the pages name two ways, or where accounts and methods differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ONCE_PAID, AT_ONCE = "once_paid", "at_once"
INVALID, PENDING = "invalid", "pending"
DAY_SECONDS = 86_400


@dataclass
class MollieSettings:
    """The settings, which a test changes as it likes.

    ``mandate_named``: a first payment names its mandate ``once_paid``, or ``at_once``, when the mandate is pending. The
    first is what a member of Mollie's staff told in 2023 (https://github.com/mollie/laravel-cashier-mollie/issues/178),
    the second what the examples of create-payment show.
    ``unpaid_mandate``: what becomes of a pending mandate whose payment was not paid, ``invalid`` or ``pending``
    for ever (https://github.com/mollie/api-documentation/issues/455).
    ``iban_seconds``: by first method, how long the mandate of a paid payment stays pending because the account number
    has not arrived yet (get-mandate, ``status``; of Belfius https://github.com/mollie/mollie-api-php/issues/66).
    ``gone_status``: what is answered for a revoked mandate and a deleted customer, 404 as in the OpenAPI document or
    410 as in https://docs.mollie.com/overview/handling-errors.
    ``any_customer``: each ``cst_…`` is a customer, though it was not made here.
    """

    mandate_named: str = ONCE_PAID
    unpaid_mandate: str = INVALID
    iban_seconds: Mapping[str, float] = field(default_factory=lambda: {"belfius": DAY_SECONDS})
    gone_status: int = 404
    any_customer: bool = True
