"""What each kind of gateway can be paid by. Apart from the adapters, because new payments are refused by it, and the
adapters' SDKs take long to import.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import PaymentMethodType

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_METHOD_TYPE = frozenset(PaymentMethodType)
METHOD_TYPES: Mapping[str, frozenset[PaymentMethodType]] = MappingProxyType(
    {
        "adyen": EVERY_METHOD_TYPE,
        # Mollie's pay-later methods need order lines or an address, which payonce does not have:
        # https://docs.mollie.com/reference/create-payment
        "mollie": EVERY_METHOD_TYPE - {PaymentMethodType.PAY_LATER},
        "sandbox_bank": EVERY_METHOD_TYPE,
        "stripe": EVERY_METHOD_TYPE,
    }
)
