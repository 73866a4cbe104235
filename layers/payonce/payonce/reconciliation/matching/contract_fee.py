"""The fee that the policy gives for a row of a gateway, in Python: the engine says only how far off it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.reconciliation.model import LedgerKind
from payonce.reconciliation.readers.values import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.reconciliation.model import FeeRule


@dataclass(frozen=True, slots=True)
class ContractFee:
    """The fee, and how it comes about."""

    minor: int
    text: str


def contract_fee(fields: Mapping[str, str | int | None], rules: Iterable[FeeRule]) -> ContractFee | None:
    """Return the fee by the first rule that applies to the row, ``None`` if none does. See ``settings_rows``."""
    lane = fields.get("gateway"), fields.get("currency")
    of_gateway = [rule for rule in rules if (rule.gateway, rule.currency) == lane]
    amount, kind = fields.get("amount_minor"), fields.get("kind")
    if not isinstance(amount, int):
        return None
    for rule in of_gateway:
        if rule.kind == kind and _applies(rule, fields, abs(amount)):
            minor = rule.fixed_minor + (abs(amount) * rule.basis_points + 5000) // 10_000
            of_what = f"{grouped(abs(amount), rule.currency)} {rule.currency}"
            return ContractFee(minor, f"By the policy: {rule_text(rule)} of {of_what}.")
    if of_gateway and kind == LedgerKind.REFUND:
        return ContractFee(0, "By the policy the gateway refunds for nothing.")
    return None


def rule_text(rule: FeeRule) -> str:
    """Return the rule's fee for people: ``0.25 EUR + 1.50 %``."""
    percent = f"{rule.basis_points // 100}.{rule.basis_points % 100:02d} %"
    return f"{grouped(rule.fixed_minor, rule.currency)} {rule.currency} + {percent}"


def _applies(rule: FeeRule, fields: Mapping[str, str | int | None], amount: int) -> bool:
    at_ms = fields.get("created_at_ms")
    within = (rule.from_minor or 0) <= amount and (rule.until_minor is None or amount < rule.until_minor)
    in_time = isinstance(at_ms, int) and (
        (rule.from_ms is None or at_ms >= rule.from_ms) and (rule.until_ms is None or at_ms < rule.until_ms)
    )
    of_method = rule.payment_method in (None, fields.get("payment_method"))
    of_country = not rule.card_countries or fields.get("card_country") in rule.card_countries
    return within and in_time and of_method and of_country
