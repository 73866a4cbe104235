"""What an operator does with a merchant's accounts at a gateway: set, rotate, retire, forget. Only this writes them.

::

    set      the account becomes the one in use; one in use before is retired, and keeps its secrets
    rotate   another key of the same account, or other secrets of its events
    retire   new payments go to the platform's account again
    forget   a retired account's secrets are deleted: what was sent to it can no longer be asked about or refunded

No function of this API can do any of it, and nothing here returns a secret.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import CredentialsRejected, NotFound, WriteConflict
from payonce.domain.gateway_address import ACCOUNT_FORM, PLATFORM
from payonce.merchants.gateway_accounts import (
    StoredAccount,
    accounts_key,
    read_accounts,
    to_item,
    with_events,
    with_key,
)
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets, MerchantAccounts
    from payonce.ports import Cipher, Clock, Database, Write

MAX_ACCOUNTS = 20  # of a merchant at a gateway, retired ones included: some 1 KB each in one item


class CredentialsDesk:
    """Changes the accounts of merchants at gateways. ``cipher`` returns what seals their secrets.

    ``beside``: writes of the same transaction, such as an entry of the audit trail.
    """

    def __init__(self, *, database: Database, cipher: Callable[[], Cipher], clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._clock = clock

    def accounts(self, merchant_id: str, gateway: str) -> MerchantAccounts:
        """Return what is stored. Its secrets stay sealed."""
        return read_accounts(self._database, merchant_id, gateway)

    def set(
        self,
        merchant_id: str,
        gateway: str,
        account: str,
        kind: AccountKind,
        secrets: AccountSecrets | None,
        *,
        beside: Sequence[Write] = (),
    ) -> StoredAccount:
        """Put ``account`` into use for new payments, and return it. An account that was retired comes back.

        ``secrets`` is ``None`` for a connected account. Raises ``NotFound`` for a merchant that does not exist, and
        ``CredentialsRejected``.
        """
        if self._database.get(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT"}) is None:
            raise NotFound(f"There is no merchant {merchant_id}.")
        if not ACCOUNT_FORM.fullmatch(account):
            raise CredentialsRejected("An account's id has 1 to 80 characters of A-Z, a-z, 0-9, _, . and -.")
        before = self.accounts(merchant_id, gateway)
        known = before.accounts.get(account)
        if known is None and len(before.accounts) >= MAX_ACCOUNTS:
            raise CredentialsRejected(f"A merchant has at most {MAX_ACCOUNTS} accounts at a gateway.")
        now_ms = self._clock.now_ms()
        base = StoredAccount(account=account, kind=kind, version=0, created_at_ms=now_ms, changed_at_ms=now_ms)
        base = base if known is None else replace(known, kind=kind, retired_at_ms=0)
        stored = self._without_secrets(base)
        if secrets is not None:
            stored = with_key(self._cipher(), before, stored, secrets.api_key)
            stored = with_events(self._cipher(), before, stored, secrets.events_secrets)
        after = before.with_account(stored)
        in_use = before.accounts.get(before.current)
        if in_use is not None and in_use.account != account:
            after = after.with_account(replace(in_use, retired_at_ms=now_ms))
        self._write(before, replace(after, current=account), beside)
        return stored

    def rotate(
        self,
        merchant_id: str,
        gateway: str,
        account: str,
        *,
        api_key: str | None,
        events_secrets: tuple[str, ...] | None,
        beside: Sequence[Write] = (),
    ) -> StoredAccount:
        """Replace secrets of ``account`` ("" for the one in use), and return it. What is ``None`` stays as it was.

        Raises ``CredentialsRejected`` where there is no such account with secrets of its own.
        """
        before = self.accounts(merchant_id, gateway)
        known = before.accounts.get(account or before.current)
        if known is None or known.sealed_key is None:
            raise CredentialsRejected("There is no account here that has secrets of its own.")
        stored = self._changed(known)
        if api_key is not None:
            stored = with_key(self._cipher(), before, stored, api_key)
        if events_secrets is not None:
            stored = with_events(self._cipher(), before, stored, events_secrets)
        self._write(before, before.with_account(stored), beside)
        return stored

    def retire(self, merchant_id: str, gateway: str, *, beside: Sequence[Write] = ()) -> StoredAccount:
        """Let new payments go to the platform's account again. Raises ``CredentialsRejected`` where they do already."""
        before = self.accounts(merchant_id, gateway)
        known = before.accounts.get(before.current)
        if known is None:
            raise CredentialsRejected("The merchant has no account of its own in use here.")
        stored = replace(known, retired_at_ms=self._clock.now_ms())
        self._write(before, replace(before.with_account(stored), current=PLATFORM), beside)
        return stored

    def forget(self, merchant_id: str, gateway: str, account: str, *, beside: Sequence[Write] = ()) -> StoredAccount:
        """Delete a retired account's secrets for good. That it was the merchant's stays known.

        Raises ``CredentialsRejected`` for the account in use, and for an unknown one.
        """
        before = self.accounts(merchant_id, gateway)
        known = before.accounts.get(account)
        if known is None or account == before.current:
            raise CredentialsRejected("Only an account that was retired can be forgotten.")
        # It is a new version, so that no process goes on with what it has opened.
        stored = self._without_secrets(known)
        self._write(before, before.with_account(stored), beside)
        return stored

    def _changed(self, account: StoredAccount) -> StoredAccount:
        return replace(account, version=account.version + 1, changed_at_ms=self._clock.now_ms())

    def _without_secrets(self, account: StoredAccount) -> StoredAccount:
        bare = replace(account, sealed_key=None, sealed_events=None, fingerprint="", events_secret_count=0)
        return self._changed(bare)

    def _write(self, before: MerchantAccounts, after: MerchantAccounts, beside: Sequence[Write]) -> None:
        key = accounts_key(before.merchant_id, before.gateway)
        item = to_item(replace(after, revision=before.revision + 1))
        write = (
            Insert(Table.CREDENTIALS, item)
            if before.revision == 0
            else Adjust(
                table=Table.CREDENTIALS,
                key=key,
                require={"revision": before.revision},
                set={name: value for name, value in item.items() if name not in key},
            )
        )
        try:
            self._database.write([write, *beside])
        except WriteConflict:
            raise CredentialsRejected("Another operator has changed these accounts. Look, and repeat.") from None
