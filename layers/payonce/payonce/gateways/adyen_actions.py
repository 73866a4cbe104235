"""What the payer has to do for a payment that Adyen has not finished, read from the answer's ``action``.

::

    redirect by GET                        REDIRECT      an address to visit, from which the payer comes back
    voucher, bankTransfer, … with a page   DISPLAY       Adyen's page with the voucher or the data of the transfer
    await                                  None          the payer approves in an app of the bank's: nothing to show
    any other: threeDS2, qrCode, sdk,
    a voucher or transfer without a page   GATEWAY_SDK   the action as JSON, for Adyen's components

What comes back from a redirect is ``redirectResult``, and from a component (``createFromAction``) ``threeDSResult``:
both are handed in by a confirmation. https://docs.adyen.com/api-explorer/Checkout/72/post/payments, ``action``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import MAX_CLIENT_SECRET_CHARACTERS, MAX_URL_CHARACTERS, ActionType, NextAction

if TYPE_CHECKING:
    from collections.abc import Mapping

AWAIT = "await"
# Their ``url`` is where Adyen's components would go; the pages for payers are in these members.
_PAGES = ("downloadUrl", "instructionsUrl", "url")
_SHOWN = frozenset({"voucher", "bankTransfer"})


def next_action_of(action: Any) -> NextAction | None:
    """Return what the payer has to do, or ``None`` where nothing can be shown."""
    if not isinstance(action, dict) or action.get("type") == AWAIT:
        return None
    expires_at_ms = _epoch_ms(action.get("expiresAt"))
    if action.get("type") == "redirect" and str(action.get("method", "GET")).upper() == "GET":
        url = _url(action.get("url"))
        return None if url is None else NextAction(type=ActionType.REDIRECT, url=url, expires_at_ms=expires_at_ms)
    if action.get("type") in _SHOWN and (page := _page(action)) is not None:
        return NextAction(type=ActionType.DISPLAY, url=page, expires_at_ms=expires_at_ms)
    text = json.dumps(action, sort_keys=True, separators=(",", ":"))
    if len(text) > MAX_CLIENT_SECRET_CHARACTERS:
        return None
    return NextAction(type=ActionType.GATEWAY_SDK, client_secret=text, expires_at_ms=expires_at_ms)


def _page(action: Mapping[str, Any]) -> str | None:
    return next((url for name in _PAGES if (url := _url(action.get(name))) is not None), None)


def _url(value: Any) -> str | None:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or len(value) > MAX_URL_CHARACTERS:
        return None
    return value


def _epoch_ms(value: Any) -> int | None:
    """Return a time such as ``2026-12-01T12:00:00+01:00``; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
