"""What every change of the books is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.adyen.behaviour import Settings
    from local.adyen.books import Ledger


@dataclass(frozen=True, slots=True)
class Desk:
    """The context of a change: the open books, the account's settings, and the time at which it happens."""

    ledger: Ledger
    settings: Settings
    now_ms: int
