"""The claims that are due, in the order in which they are asked about: merchant by merchant, each one's oldest first.

A run reads the whole index, because only who has seen all merchants can take turns between them. It reads an entry of
about 290 bytes for each claim: 100,000 claims are 29 MB, 29 pages of 1 MB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html), and 3,600 read units.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.each import in_turn
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, WAITING_SHARDS
from payonce.idempotency.record_store import OPEN_LEASES_INDEX, PAGE_CLAIMS
from payonce.recovery.book import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.each import Each
    from payonce.idempotency.open_claims import OpenClaim, OpenClaims


MAX_CLAIMS_PER_SHARD = 10_000  # of 32 shards: 320,000 claims take some 100 MB here; the next run reads on
READING_THREADS = 8  # within the ten connections that the SDK keeps open
# A younger claim is a request that is being answered: it takes 25 s at most, and the lease's margin is 5 s.
DOUBT_AGE_MS = 60_000


@dataclass(slots=True)
class Backlog:
    """Due claims by lane and scope. ``in_doubt`` also counts those that are to be asked about later.

    ``doubts`` are those in doubt, as scope and time of creation.
    ``released``: the marks of claims that an earlier feeder has released since this was read.
    """

    in_doubt: int = 0
    oldest_created_at_ms: int = 0
    doubts: list[tuple[str, int]] = field(default_factory=list)
    released: frozenset[int] = frozenset()
    _waiting: dict[str, deque[deque[str]]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def put(self, claims: list[OpenClaim], now_ms: int, *, held: Sequence[OpenClaim] = ()) -> None:
        """Put in what was read: what is due waits for its turn, the rest is counted. Called once.

        ``held``: what gateways hold, and what is due to be asked about. It is in no doubt, and is not counted.
        """
        for claim in claims:
            if claim.created_at_ms <= now_ms - DOUBT_AGE_MS:
                self.in_doubt += 1
                self.doubts.append((_scope_of(claim), claim.created_at_ms))
                self.oldest_created_at_ms = min(self.oldest_created_at_ms or claim.created_at_ms, claim.created_at_ms)
        by_scope: defaultdict[str, dict[str, deque[str]]] = defaultdict(dict)
        for claim in sorted([*claims, *held], key=lambda claim: claim.due_at_ms):
            if claim.due_at_ms < now_ms:
                by_scope[claim.lane].setdefault(_scope_of(claim), deque()).append(claim.record_id)
        self._waiting = {lane: deque(scopes.values()) for lane, scopes in by_scope.items()}
        self._counts = {lane: sum(map(len, scopes)) for lane, scopes in self._waiting.items()}

    def lanes(self) -> list[str]:
        """Return the lanes for which claims wait."""
        return [lane for lane, count in self._counts.items() if count]

    def count(self, lane: str) -> int:
        """Return how many claims wait for the lane, one of ``lanes``."""
        return self._counts[lane]

    def take(self, lane: str, most: int) -> list[str]:
        """Return the next claims of the lane, at most so many: of each scope one, then again of each."""
        scopes = self._waiting.get(lane)
        taken: list[str] = []
        while scopes and len(taken) < most:
            ids = scopes.popleft()
            record_id = ids.popleft()
            self._counts[lane] -= 1
            if mark_of(record_id) not in self.released:
                taken.append(record_id)
            if ids:
                scopes.append(ids)
        return taken


def read_backlog(
    store: OpenClaims,
    now_ms: Callable[[], int],
    report_error: Callable[[str, Exception], None],
    each: Each = in_turn,
) -> tuple[Backlog, int]:
    """Return what is open, and how many shards could not be read: their claims wait for the next run."""
    open_claims: list[OpenClaim] = []
    held: list[OpenClaim] = []
    failed = 0
    due_by_ms = now_ms()

    def read(shard: int) -> tuple[list[OpenClaim], PayonceError | None]:
        return _shard_of(store, shard, due_by_ms if shard in WAITING_SHARDS else None)

    shards = [*range(OPEN_LEASE_SHARDS), *WAITING_SHARDS]
    for shard, (found, error) in zip(shards, each(read, shards), strict=True):
        (held if shard in WAITING_SHARDS else open_claims).extend(found)
        if error is not None:
            # A throttled shard must not delay the others, which are different partitions of the index.
            failed += 1
            report_error(f"{OPEN_LEASES_INDEX} shard {shard}", error)
    backlog = Backlog()
    backlog.put(open_claims, now_ms(), held=held)
    return backlog, failed


def _scope_of(claim: OpenClaim) -> str:
    return claim.record_id.rsplit("#", 2)[0]


def _shard_of(store: OpenClaims, shard: int, due_by_ms: int | None) -> tuple[list[OpenClaim], PayonceError | None]:
    claims: list[OpenClaim] = []
    start = None
    try:
        while len(claims) < MAX_CLAIMS_PER_SHARD:
            page = store.open_page(shard, limit=PAGE_CLAIMS, start=start, due_by_ms=due_by_ms)
            claims += page.claims
            start = page.next_key
            if start is None:
                break
    except PayonceError as error:
        return claims, error
    return claims, None
