"""Faults planted by hand in the production code of a worker, each by the function that plants it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Plant:
    """A fault: what it is, in which world it is looked for, and the function here that plants it, "" for none."""

    what: str
    world: tuple[str, str]
    function: str = ""
    is_durable: bool = True
    faults: str = ""  # the only ones that bring it to light

    @property
    def before(self) -> str:
        """The worker's option that plants it."""
        return f"{__name__}:{self.function}" if self.function else ""


PLANTS = (
    Plant("the claim's write has no condition", ("in_process", "dynamodb"), "claims_without_condition"),
    Plant("the claim's script does not look whether there is a record", ("in_process", "valkey"), "claims_in_any_case"),
    Plant("a lease ends when it begins", ("in_process", "valkey"), "leases_nothing"),
    Plant("a replay is rendered anew", ("sidecar", "valkey"), "renders_replays_anew"),
    Plant("the fingerprint is not compared", ("gateway", "dynamodb"), "compares_no_fingerprint"),
    Plant("a new owner sends again without asking", ("sidecar", "valkey"), "asks_nobody", faults="killed a"),
    Plant("a new owner charges again without asking", ("api", "dynamodb"), "asks_no_bank", faults="killed a"),
    Plant(
        "a lost answer to a write counts as refused", ("sidecar", "valkey"), "takes_lost_for_refused", faults="froze"
    ),
    Plant("a result is told before it is stored, and not stored", ("api", "dynamodb"), "stores_no_result"),
    Plant("a new owner executes again without asking", ("middleware", "valkey"), "asks_no_program", faults="killed a"),
    Plant(
        "the store keeps nothing on its disk, and is allowed to",
        ("in_process", "valkey"),
        is_durable=False,
        faults="killed the store",
    ),
)


def asks_no_program() -> None:
    """A guarded work executes after a takeover as it does after a claim."""
    from payonce.idempotency import in_process

    _put(in_process.GuardedWork, "resume", in_process.GuardedWork.start)


def claims_without_condition() -> None:
    """DynamoDB's put of a new item overwrites what is there."""
    from payonce.ports import Insert
    from payonce.stores import dynamodb

    def planted(original: Callable[..., Any], write: object, name: str) -> Any:
        action, request = original(write, name)
        if isinstance(write, Insert):
            request["ConditionExpression"] = "attribute_exists(#k) OR attribute_not_exists(#k)"
        return action, request

    _around(dynamodb, "write_request", planted)


def claims_in_any_case() -> None:
    """Valkey's script stores a claim over what is there."""
    from payonce.stores import redis_idempotency, redis_scripts, redis_transitions

    planted = redis_scripts.Script(redis_scripts.CLAIM.source.replace("== 1 then", "== 2 then", 1))
    _put(redis_idempotency, "CLAIM", planted)
    _put(redis_transitions, "CLAIM", planted)
    _put(redis_transitions, "EXECUTING", frozenset({planted, redis_scripts.TAKE_OVER}))


def leases_nothing() -> None:
    """Whoever comes next takes over, and nobody is held to have sent anything later."""
    from payonce.idempotency.engine import IdempotencyEngine

    _around(
        IdempotencyEngine,
        "_new_record",
        lambda original, *given: replace(original(*given), lease_expires_at_ms=original(*given).created_at_ms - 1),
    )


def renders_replays_anew() -> None:
    """A replay has the first answer's JSON, in other bytes."""
    from payonce.idempotency.engine import IdempotencyEngine

    def replay(original: Callable[..., Any], *given: Any) -> Any:
        kept = original(*given)
        body = json.dumps(json.loads(kept.response.body), indent=1).encode()
        return replace(kept, response=replace(kept.response, body=body))

    _around(IdempotencyEngine, "_replay", replay)


def compares_no_fingerprint() -> None:
    """Every request of a key is held to be the same."""
    from payonce.idempotency.engine import IdempotencyEngine

    _around(
        IdempotencyEngine, "_new_record", lambda original, *given: replace(original(*given), fingerprint="the same")
    )


def asks_nobody() -> None:
    """The upstream is never asked what became of a request: it counts as missing."""
    from payonce.proxy import forward
    from payonce.proxy.ask import Missing

    _around(forward, "ask", lambda _original, *_given: Missing())


def asks_no_bank() -> None:
    """The bank is never asked what became of a payment: it counts as not found."""
    from payonce.domain.gateway import NotFound
    from payonce.payments.payment_work import GatewayWork

    _around(GatewayWork, "_find", lambda _original, *_given, **_named: NotFound())


def takes_lost_for_refused() -> None:
    """A write without an answer counts as not written."""
    from payonce.domain.errors import StoreUnavailable
    from payonce.stores import redis_calls

    _around(redis_calls, "_write_error", lambda _original, _error: StoreUnavailable("nothing was written"))


def stores_no_result() -> None:
    """An execution is answered as if its result had been stored, and its claim is given back."""
    from payonce.idempotency.conclude import Concluder
    from payonce.idempotency.records import Completed, KeyedResponse

    def write(original: Callable[..., Any], concluder: Any, claim: Any, conclusion: Any) -> Any:
        if not isinstance(conclusion, Completed):
            return original(concluder, claim, conclusion)
        draft: Any = conclusion.draft()
        concluder._store.release(claim.record)
        return KeyedResponse(draft.response, replayed=False, expires_at_ms=claim.record.expires_at_ms)

    _around(Concluder, "write", write)


def _around(owner: Any, name: str, planted: Callable[..., Any]) -> None:
    """Replace a function by ``planted``, which is given the original first."""
    original = getattr(owner, name)
    _put(owner, name, lambda *given, **named: planted(original, *given, **named))


def _put(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)
