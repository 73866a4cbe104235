"""The policy that runs in the stack judge by: ``policy/run.toml`` of the bucket, else the last good one, else defaults.

A policy with a mistake in it is refused and said, loudly, and the one before stays in force: no run at all would leave
charges made twice unseen because of a slip in a fee, and the defaults are what an operator has replaced on purpose.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected, MisconfiguredError
from payonce.ports import Adjust, Table
from payonce.reconciliation.runs.run_policy import RunPolicy, parse_policy

if TYPE_CHECKING:
    from payonce.ports import Clock, Database, FileStore, Key

POLICY_FOLDER = "policy/"
POLICY_FILE = f"{POLICY_FOLDER}run.toml"
MAX_POLICY_BYTES = 64_000  # some hundreds of fees; it is kept in an item of the table, which holds 400 KB
IN_FORCE_KEY: Key = {"pk": "POLICY", "sk": "RUN"}


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """``policy_id`` is the SHA-256 of its text, empty for the defaults; ``refused`` why a newer one is not in force."""

    policy: RunPolicy
    policy_id: str
    refused: str | None = None


class StoredPolicy:
    """Reads the policy anew for each run."""

    def __init__(self, *, files: FileStore, database: Database, clock: Clock) -> None:
        self._files = files
        self._database = database
        self._clock = clock

    def in_force(self) -> PolicyInForce:
        """Return the policy to judge by, and remember it when it is a new one. Raises ``StoreUnavailable``."""
        try:
            data = self._files.read(POLICY_FILE, max_bytes=MAX_POLICY_BYTES)
            if data is None:
                # Deleted on purpose: then a later one with a mistake does not bring the deleted one back.
                self._remember("", "")
                return PolicyInForce(RunPolicy(), "")
            policy, policy_id = parse_policy(data, POLICY_FILE), hashlib.sha256(data).hexdigest()
        except (MisconfiguredError, FileRejected) as error:
            return self._last_good(error.detail)
        self._remember(policy_id, data.decode())
        return PolicyInForce(policy, policy_id)

    def _last_good(self, refused: str) -> PolicyInForce:
        item = self._database.get(Table.RECONCILIATION, IN_FORCE_KEY)
        if item is None or not item["policy_id"]:
            return PolicyInForce(RunPolicy(), "", refused)
        try:
            policy = parse_policy(str(item["text"]).encode(), f"the policy {item['policy_id'][:12]}")
        except MisconfiguredError as error:
            # It was good for an earlier release. Without it runs go on, and say so.
            return PolicyInForce(RunPolicy(), "", f"{refused}\nAnd the last good one, too: {error.detail}")
        return PolicyInForce(policy, str(item["policy_id"]), refused)

    def _remember(self, policy_id: str, text: str) -> None:
        item = self._database.get(Table.RECONCILIATION, IN_FORCE_KEY)
        if (item["policy_id"] if item else "") != policy_id:
            values = {"policy_id": policy_id, "text": text, "accepted_at_ms": self._clock.now_ms()}
            self._database.write([Adjust(table=Table.RECONCILIATION, key=IN_FORCE_KEY, set=values, upsert=True)])
