"""The balances of one merchant, by currency and account.

Allowed: dynamodb:Query on LedgerTable with the leading keys BALANCE#*.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from payonce.console.exports import Amount, Sheet, export_form, exported
from payonce.console.page import Download, Rendered
from payonce.domain.ledger import (
    AUTHORIZATION_COMMITMENT,
    AUTHORIZATION_HOLD,
    MERCHANT_PAYABLE,
    RECONCILIATION_SUSPENSE,
)
from payonce.payments.payment_reads import get_balances

if TYPE_CHECKING:
    from payonce.console.page import PageRequest, Services

COLUMNS: Final = (("currency", 8), ("account", 34), ("meaning", 50), ("balance", 18))
_MEANINGS: Final = {
    MERCHANT_PAYABLE: "What is owed to the merchant (negative: owed).",
    RECONCILIATION_SUSPENSE: "Charges that nobody has claimed, until they are given back.",
    AUTHORIZATION_HOLD: "Amounts that issuers have promised; no money has moved.",
    AUTHORIZATION_COMMITMENT: "The other side of those promises.",
    "gateway_receivable": "What the gateway owes.",
    "gateway_disputed": "What the gateway has withdrawn for disputes that are not lost.",
}


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account and what it holds, in minor units. Debits are positive."""

    account: str
    meaning: str
    balance_minor: int


@dataclass(frozen=True, slots=True)
class CurrencyBalances:
    """All accounts in one currency. ``sum_minor`` is zero, or the journal is broken."""

    currency: str
    lines: tuple[AccountLine, ...]
    sum_minor: int


def balances_of(services: Services, merchant_id: str) -> tuple[CurrencyBalances, ...]:
    """Return the merchant's balances. Four queries, one for each partition of counters. Raises ``StoreUnavailable``."""
    rows = get_balances(services.services, merchant_id)["data"]
    found = []
    for currency, group in groupby(rows, key=lambda row: str(row["currency"])):
        lines = tuple(AccountLine(row["account"], _meaning(row["account"]), int(row["balance_minor"])) for row in group)
        found.append(CurrencyBalances(currency, lines, sum(line.balance_minor for line in lines)))
    return tuple(found)


def balances(services: Services, request: PageRequest) -> Rendered | Download:
    """Return the page of the chosen merchant's balances, or the file of it. Raises ``MerchantNotChosen``."""
    found = balances_of(services, request.require_merchant())
    form = export_form(request.query)
    if form is None:
        return Rendered("balances.html", {"currencies": found})
    rows = [
        (one.currency, line.account, line.meaning, Amount(line.balance_minor, one.currency))
        for one in found
        for line in one.lines
    ]
    file = exported(form, Sheet("balances", COLUMNS, rows))
    return Download(file.name, file.media_type, file.body)


def _meaning(account: str) -> str:
    return _MEANINGS.get(account) or _MEANINGS.get(account.partition(":")[0], "")
