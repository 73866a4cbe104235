"""The payer's page: HTML without scripts, usable from 360 pixels on, by keyboard and with a screen reader."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.report import decimal_text
from local.sandbox_bank.tokens import Flow, token_of_payment
from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

MERCHANT = "payonce merchant"
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --paper: #fff; --ground: #eef1f4; --line: #c9d1d9;
  --go: #14532d; --on-go: #fff; --focus: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #a3adb8; --paper: #161b22; --ground: #0d1117;
  --line: #3d444d; --go: #7ee2a8; --on-go: #06210f; --focus: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; padding: 1.5rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: .75rem; }
.bank { margin: 0 0 1rem; color: var(--quiet); font-size: .875rem; }
h1 { margin: 0 0 1rem; font-size: 1.375rem; line-height: 1.25; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--quiet); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
dd.amount { font-weight: 700; font-variant-numeric: tabular-nums; }
form { display: grid; gap: .75rem; }
button { min-height: 3rem; padding: .5rem 1rem; font: inherit; font-weight: 600; color: var(--ink); cursor: pointer;
  background: transparent; border: 1px solid var(--quiet); border-radius: .5rem; }
button.go { background: var(--go); border-color: var(--go); color: var(--on-go); }
button.leave { border-color: transparent; text-decoration: underline; font-weight: 400; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
"""
_BUTTONS = {
    Flow.REDIRECT: (("approve", "Approve", "go"), ("decline", "Decline", "no"), ("leave", "Leave", "leave")),
    Flow.DISPLAY: (("pay", "Pay", "go"), ("leave", "Leave", "leave")),
}
_OUTCOMES = {
    "succeeded": "The payment is approved.",
    "declined": "The payment was declined. You have not been charged.",
    "canceled": "The merchant has cancelled the payment. You have not been charged.",
    "expired": "The time for this payment is over. You have not been charged.",
}
_SETUPS = {
    "succeeded": "The payment method is saved.",
    "declined": "The payment method was not saved.",
    "canceled": "The merchant has cancelled the request. The payment method was not saved.",
    "expired": "The time for this request is over. The payment method was not saved.",
}
ANSWERED = "Your answer is with the bank. You can go back to the merchant."


def payer_page(payment: Mapping[str, Any] | None, page_id: str) -> bytes:
    """Return the page of a payment: its question while it waits for this page's answer, else what became of it.

    ``None`` is a payment that the bank does not know.
    """
    if payment is None:
        return _document("Unknown payment", "", '<p role="status">The bank does not know this payment.</p>')
    saves = payment["kind"] == "setup"
    waits = payment["status"] == "requires_action" and payment["page_id"] == page_id and payment["answer"] is None
    if not waits:
        outcomes, title = (_SETUPS, "Your payment method") if saves else (_OUTCOMES, "Your payment")
        text = outcomes.get(payment["status"], ANSWERED)
        return _document(title, _summary(payment), f'<p role="status">{text}</p>')
    flow = token_of_payment(payment).flow
    title = "Pay with this voucher" if flow is Flow.DISPLAY else "Approve this payment?"
    if saves:
        title = "Save this payment method?"
    if payment["method_type"] == "bank_transfer":
        title = "Pay by bank transfer"
    buttons = "".join(
        f'<button class="{style}" name="answer" value="{value}">{text}</button>'
        for value, text, style in _BUTTONS[flow]
    )
    return _document(title, _summary(payment), f'<form method="post">{buttons}</form>')


def _summary(payment: Mapping[str, Any]) -> str:
    rows = [("Merchant", MERCHANT, "")]
    if payment["kind"] == "payment":
        rows.append(("Amount", _amount(payment), ' class="amount"'))
    if payment["description"]:
        rows.append(("For", str(payment["description"]), ""))
    rows.append(("Reference", payment["reference"], ""))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd{more}>{escape(text)}</dd>" for name, text, more in rows) + "</dl>"


def _amount(payment: Mapping[str, Any]) -> str:
    amount_minor, currency = payment["amount_minor"], payment["currency"]
    if currency not in MINOR_UNIT_EXPONENTS:
        return f"{amount_minor} {currency} (minor units)"
    return f"{decimal_text(amount_minor, currency)} {currency}"


def _document(title: str, summary: str, rest: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} – Sandbox bank</title><style>{_STYLE}</style></head><body><main>"
        f'<p class="bank">Sandbox bank: no real money moves</p><h1>{title}</h1>{summary}{rest}</main></body></html>\n'
    ).encode()
