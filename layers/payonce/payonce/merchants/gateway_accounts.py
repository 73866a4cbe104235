"""A merchant's accounts at a gateway, and the sealed credentials of each: one item for each merchant and gateway.

::

    CREDENTIALS  id = mer_1#stripe
                 current   acct_B            where new payments go; the platform's account where it is empty
                 accounts  acct_A  retired   ┐ an account is never another one's successor: what was sent to acct_A is
                           acct_B  in use    ┘ asked about at acct_A, with the credentials that are kept for it
                 revision  7                 two operators can't overwrite each other's change

The identity of an account is in the clear, its secrets are sealed for exactly this place (``Cipher``). Only the
operator's command writes these items; the functions read them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import CredentialsUnavailable, SecretNotOpened
from payonce.domain.gateway_address import PLATFORM
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Cipher, Database, Item, Key

# A part of KMS's encryption context, by which a role opens secrets of one kind and no others (template.yaml): who sends
# payments opens keys, and who takes events opens what they are signed with.
KEY_PURPOSE, EVENTS_PURPOSE = "gateway_credentials", "gateway_events"
FINGERPRINT_CHARACTERS = 12  # of SHA-256: enough to tell two keys apart, and of no use to find one that is random


class AccountKind(StrEnum):
    """By whose key an account is used.

    ``OWN``: by its own, and its events are signed with its own secrets. ``CONNECTED``: by the platform's, whose
    requests name the account (Stripe Connect, a merchant account of the platform's Adyen company); the platform's
    secret signs its events, which name the account too.
    """

    OWN = "own"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class AccountSecrets:
    """The secrets of an account: its API key, and those that sign its events, more than one during a rotation."""

    api_key: str = field(repr=False)
    events_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """An account as it is stored. Times are epoch milliseconds; ``retired_at_ms`` is 0 while it is in use.

    ``version`` counts the changes of its secrets. ``sealed_key`` and ``sealed_events`` are ``None`` for a connected
    account, and once the secrets were forgotten. ``fingerprint`` is of the key: see ``fingerprint_of``.
    """

    account: str
    kind: AccountKind
    version: int
    created_at_ms: int
    changed_at_ms: int
    retired_at_ms: int = 0
    sealed_key: bytes | None = field(default=None, repr=False)
    sealed_events: bytes | None = field(default=None, repr=False)
    fingerprint: str = ""
    events_secret_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantAccounts:
    """All accounts that a merchant has had at a gateway. ``revision`` is 0 where nothing is stored."""

    merchant_id: str
    gateway: str
    current: str = PLATFORM
    accounts: Mapping[str, StoredAccount] = field(default_factory=dict)
    revision: int = 0

    def with_account(self, account: StoredAccount) -> MerchantAccounts:
        """Return these accounts with ``account`` added or replaced."""
        return replace(self, accounts={**self.accounts, account.account: account})


def fingerprint_of(secret: str) -> str:
    """Return a short digest by which people compare keys without seeing them."""
    return hashlib.sha256(secret.encode()).hexdigest()[:FINGERPRINT_CHARACTERS]


def accounts_key(merchant_id: str, gateway: str) -> Key:
    """Return the key of the item."""
    return {"id": f"{merchant_id}#{gateway}"}


def read_accounts(database: Database, merchant_id: str, gateway: str) -> MerchantAccounts:
    """Return the merchant's accounts at the gateway, none where nothing is stored. The read is strongly consistent."""
    item = database.get(Table.CREDENTIALS, accounts_key(merchant_id, gateway))
    if item is None:
        return MerchantAccounts(merchant_id=merchant_id, gateway=gateway)
    return MerchantAccounts(
        merchant_id=merchant_id,
        gateway=gateway,
        current=item["current"],
        accounts={name: _account_of(name, stored) for name, stored in item["accounts"].items()},
        revision=item["revision"],
    )


def to_item(accounts: MerchantAccounts) -> Item:
    """Return the stored form."""
    return {
        **accounts_key(accounts.merchant_id, accounts.gateway),
        "current": accounts.current,
        "accounts": {name: _to_data(account) for name, account in accounts.accounts.items()},
        "revision": accounts.revision,
    }


def with_key(cipher: Cipher, where: MerchantAccounts, account: StoredAccount, api_key: str) -> StoredAccount:
    """Return ``account`` with the key sealed for this merchant, gateway and account. Raises ``StoreUnavailable``."""
    sealed = cipher.seal(api_key.encode(), _context(where, account.account, KEY_PURPOSE))
    return replace(account, sealed_key=sealed, fingerprint=fingerprint_of(api_key))


def with_events(
    cipher: Cipher, where: MerchantAccounts, account: StoredAccount, secrets: tuple[str, ...]
) -> StoredAccount:
    """Return ``account`` with the secrets of its events sealed likewise. Raises ``StoreUnavailable``."""
    context = _context(where, account.account, EVENTS_PURPOSE)
    sealed = cipher.seal(json.dumps(secrets).encode(), context) if secrets else None
    return replace(account, sealed_events=sealed, events_secret_count=len(secrets))


def open_key(cipher: Cipher, where: MerchantAccounts, account: str) -> str:
    """Return the account's API key. Raises ``CredentialsUnavailable`` and ``StoreUnavailable``."""
    stored = where.accounts.get(account)
    return _opened(
        cipher, None if stored is None else stored.sealed_key, _context(where, account, KEY_PURPOSE)
    ).decode()


def open_events_secrets(cipher: Cipher, where: MerchantAccounts, account: str) -> list[str]:
    """Return the secrets of the account's events. Raises ``CredentialsUnavailable`` and ``StoreUnavailable``."""
    stored = where.accounts.get(account)
    sealed = None if stored is None else stored.sealed_events
    found: list[str] = json.loads(_opened(cipher, sealed, _context(where, account, EVENTS_PURPOSE)))
    return found


def _opened(cipher: Cipher, sealed: bytes | None, context: Mapping[str, str]) -> bytes:
    if sealed is None:
        raise CredentialsUnavailable("There are no credentials for this payment's account. Nothing was sent.")
    try:
        return cipher.open(sealed, context)
    except SecretNotOpened:
        raise CredentialsUnavailable("The credentials of this payment's account can't be opened.") from None


def _context(where: MerchantAccounts, account: str, purpose: str) -> dict[str, str]:
    return {"purpose": purpose, "merchant_id": where.merchant_id, "gateway": where.gateway, "account": account}


def _to_data(account: StoredAccount) -> dict[str, Any]:
    return {
        "kind": account.kind.value,
        "version": account.version,
        "created_at_ms": account.created_at_ms,
        "changed_at_ms": account.changed_at_ms,
        "retired_at_ms": account.retired_at_ms,
        "sealed_key": account.sealed_key,
        "sealed_events": account.sealed_events,
        "fingerprint": account.fingerprint,
        "events_secret_count": account.events_secret_count,
    }


def _account_of(name: str, stored: Mapping[str, Any]) -> StoredAccount:
    return StoredAccount(account=name, **{**stored, "kind": AccountKind(stored["kind"])})
