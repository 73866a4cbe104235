"""The policy for runs in the stack: the bucket's ``policy/run.toml``, else the last valid one, else the defaults.

An invalid policy is rejected with an alarm, and the previous one stays in force. Without it, either no run would take
place, so that a mistake in a fee would hide double charges, or the defaults would return, which an operator replaced on
purpose.
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
MAX_POLICY_BYTES = 64_000  # some hundreds of fees; the text is stored in an item, whose limit is 400 KB
IN_FORCE_KEY: Key = {"pk": "POLICY", "sk": "RUN"}


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy of a run. ``policy_id`` is the SHA-256 of its text, empty for the defaults.

    ``refused`` says why a newer policy was rejected, ``None`` if none was.
    """

    policy: RunPolicy
    policy_id: str
    refused: str | None = None


class StoredPolicy:
    """Reads the policy, for each run again. ``remembers``: whether a new one is stored as the last valid one.

    That is a run's affair. Whoever only looks at a file stores nothing.
    """

    def __init__(self, *, files: FileStore, database: Database, clock: Clock, remembers: bool = True) -> None:
        self._files = files
        self._database = database
        self._clock = clock
        self._remembers = remembers

    def in_force(self) -> PolicyInForce:
        """Return the policy in force, and store it if it is new. Raises ``StoreUnavailable``."""
        try:
            data = self._files.read(POLICY_FILE, max_bytes=MAX_POLICY_BYTES)
            if data is None:
                # Deleted on purpose: forget it, so that a later invalid policy does not bring it back.
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
            # It was valid for an earlier release. Runs go on with the defaults, and the refusal says so.
            return PolicyInForce(RunPolicy(), "", f"{refused}\nAnd the last good one, too: {error.detail}")
        return PolicyInForce(policy, str(item["policy_id"]), refused)

    def _remember(self, policy_id: str, text: str) -> None:
        if not self._remembers:
            return
        item = self._database.get(Table.RECONCILIATION, IN_FORCE_KEY)
        if (item["policy_id"] if item else "") != policy_id:
            values = {"policy_id": policy_id, "text": text, "accepted_at_ms": self._clock.now_ms()}
            self._database.write([Adjust(table=Table.RECONCILIATION, key=IN_FORCE_KEY, set=values, upsert=True)])
