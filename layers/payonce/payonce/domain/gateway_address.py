"""Where a payment is: at a gateway, and there in the platform's account or in an account of its merchant's.

::

    stripe                        the platform's own account
    stripe#mer_1#acct_1032D8      the account acct_1032D8, with the credentials that merchant mer_1 has for it

Whoever asks about a payment has to ask the account to which it was sent: another one answers "not found", and that
would look like a payment which was never executed. So the account is stored with the claim and with the payment, and an
address is a type of its own: a gateway's bare name is not taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

PLATFORM = ""  # the account of those who name none: the platform's, whose credentials are in the gateways' secret
# Stripe's acct_…, Mollie's pfl_…, the name of an Adyen merchant account. It is in every claim, which has to stay small.
ACCOUNT_FORM = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_SEPARATOR = "#"  # in no gateway's name, merchant's id or account's id

GatewayAddress = NewType("GatewayAddress", str)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The parts of an address. ``merchant_id`` and ``account`` are empty for the platform's account."""

    gateway: str
    merchant_id: str = ""
    account: str = PLATFORM


def address_of(gateway: str, merchant_id: str, account: str) -> GatewayAddress:
    """Return the address of ``account`` at ``gateway``. The platform's is the same for all merchants."""
    if account == PLATFORM:
        return GatewayAddress(gateway)
    return GatewayAddress(_SEPARATOR.join((gateway, merchant_id, account)))


def parts_of(address: GatewayAddress) -> Whereabouts:
    """Return the parts of an address."""
    gateway, _, rest = address.partition(_SEPARATOR)
    merchant_id, _, account = rest.partition(_SEPARATOR)
    return Whereabouts(gateway, merchant_id, account)
