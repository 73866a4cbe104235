"""The results with which a payer comes back to the merchant: signed, so that a payer can't make one."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from local.sandbox_bank.movements import Refused

if TYPE_CHECKING:
    import sqlite3


def issue(connection: sqlite3.Connection, charge_id: str, page_id: str, answer: str) -> str:
    """Return the ``payment_result`` of an answer on a page; the same answer has the same result."""
    return f"{page_id}.{answer}.{_signature(connection, charge_id, page_id, answer)}"


def opened(connection: sqlite3.Connection, charge_id: str, payment_result: str) -> tuple[str, str]:
    """Return the page and the answer of a result. Raises ``Refused`` unless it was issued for this charge."""
    page_id, _, rest = payment_result.partition(".")
    answer, _, signature = rest.partition(".")
    expected = _signature(connection, charge_id, page_id, answer)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise Refused(400, "forged_result", "this payment_result was not issued for this charge")
    return page_id, answer


def _signature(connection: sqlite3.Connection, charge_id: str, page_id: str, answer: str) -> str:
    key = connection.execute("SELECT value FROM secrets WHERE name='payment_result'").fetchone()["value"]
    signed = "\n".join((charge_id, page_id, answer))
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
