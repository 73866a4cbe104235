"""What an account and its secrets look like at each kind of gateway, so that a slip is found before it is stored.

========= ====================== =================== ============================ =========================
kind      account                by the platform     API key                      secret of its events
========= ====================== =================== ============================ =========================
stripe    ``acct_…``             yes: Connect        ``sk_…`` or ``rk_…``         ``whsec_…``
adyen     a merchant account     yes: same company   any visible ASCII            HMAC key, 64 hex digits
mollie    ``pfl_…``, a profile   no                  ``live_…`` or ``test_…``     any visible ASCII
sandbox   the bank's name        no                  any visible ASCII            ``whsec_…``
========= ====================== =================== ============================ =========================

https://docs.stripe.com/keys, https://docs.stripe.com/connect/authentication,
https://docs.adyen.com/development-resources/api-credentials, https://docs.mollie.com/reference/authentication. Of
Mollie's organisation tokens (``access_…``) each request would have to name a profile, so they are not taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.errors import CredentialsRejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_SECRET_CHARACTERS, MAX_SECRET_CHARACTERS = 8, 1_000
MAX_EVENTS_SECRETS = 4  # two are enough for a rotation; all are tried for each event
_VISIBLE = re.compile(rf"[!-~]{{{MIN_SECRET_CHARACTERS},{MAX_SECRET_CHARACTERS}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccountForm:
    """The forms of one kind of gateway. ``connects``: whether the platform's key can be used for another account."""

    account: str
    account_is: str
    api_key: str
    api_key_is: str
    events_form: str
    connects: bool


FORMS: Mapping[str, AccountForm] = MappingProxyType(
    {
        "stripe": AccountForm(
            account=r"acct_[A-Za-z0-9]{1,70}",
            account_is="acct_…",
            api_key=r"(sk|rk)_(test|live)_\w+",
            api_key_is="a secret or restricted key",
            events_form=r"whsec_\w+",
            connects=True,
        ),
        "adyen": AccountForm(
            account=r"[A-Za-z0-9_]{2,80}",
            account_is="the name of a merchant account",
            api_key=r"[!-~]+",
            api_key_is="an API key",
            events_form=r"[0-9A-Fa-f]{64}|basic:[!-~]+",
            connects=True,
        ),
        "mollie": AccountForm(
            account=r"pfl_[A-Za-z0-9]{1,70}",
            account_is="pfl_…, a profile",
            api_key=r"(live|test)_\w+",
            api_key_is="a live or test key",
            events_form=r"[!-~]+",
            connects=False,
        ),
        "sandbox_bank": AccountForm(
            account=r"[a-z0-9_-]{1,40}",
            account_is="the bank's name",
            api_key=r"[!-~]+",
            api_key_is="a token",
            events_form=r"whsec_[A-Za-z0-9+/]+=*",
            connects=False,
        ),
    }
)


def check_account(kind: str, account: str, *, connected: bool) -> None:
    """Raise ``CredentialsRejected`` unless ``account`` can be one at this kind of gateway."""
    form = FORMS[kind]
    if not re.fullmatch(form.account, account):
        raise CredentialsRejected(f"At this gateway an account is {form.account_is}.")
    if connected and not form.connects:
        raise CredentialsRejected("At this gateway the platform's key is of no use for another account.")


def check_api_key(kind: str, api_key: str) -> None:
    """Raise ``CredentialsRejected``, which does not quote it, unless ``api_key`` can be one at this kind of gateway."""
    form = FORMS[kind]
    if not _VISIBLE.fullmatch(api_key) or not re.fullmatch(form.api_key, api_key, re.ASCII):
        raise CredentialsRejected(f"The api_key is not {form.api_key_is} of this gateway.")


def check_events_secrets(kind: str, secrets: Sequence[str]) -> None:
    """Raise ``CredentialsRejected``, which quotes none, unless these can be secrets of this kind's events."""
    if len(secrets) > MAX_EVENTS_SECRETS or len(set(secrets)) < len(secrets):
        raise CredentialsRejected(f"There are at most {MAX_EVENTS_SECRETS} events_secrets, no two alike.")
    pattern = FORMS[kind].events_form
    if not all(_VISIBLE.fullmatch(secret) and re.fullmatch(pattern, secret, re.ASCII) for secret in secrets):
        raise CredentialsRejected("An events_secret has not the form of this gateway's.")
