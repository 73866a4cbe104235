"""The plan of a forwarded request: enough for a new owner to continue without the client.

It contains the downstream key, by which the upstream may know the request, and the request if the route keeps it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from payonce.idempotency.claim_recovery import CARRIED_ON_BY
from payonce.proxy.messages import ProxyRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, UpstreamTransport
    from payonce.proxy.config import Route, Upstream
    from payonce.proxy.overflow import Keeper

PROXY = "proxy"  # names the recovery that is responsible for these claims, in their plans


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A route together with everything that serves it."""

    route: Route
    upstream: Upstream
    transport: UpstreamTransport
    keeper: Keeper
    max_answer_bytes: int
    clock: Clock

    def url(self, target: str) -> str:
        """Return the upstream's URL for a request target."""
        return self._base + target

    @cached_property
    def _base(self) -> str:
        return self.upstream.url.rstrip("/")

    @cached_property
    def host(self) -> str:
        """The upstream's own Host header."""
        return self.upstream.url.split("://", 1)[1].split("/", 1)[0]

    @cached_property
    def remade(self) -> frozenset[str]:
        """The client's headers that do not go on with a keyed request, in lower case: others stand in their place."""
        ours = {"accept-encoding", self.route.downstream_key_header.lower(), *map(str.lower, self.upstream.headers)}
        theirs = set() if self.route.pass_client_key else {name.lower() for name in self.route.key_headers}
        return frozenset(ours | theirs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPlan:
    """What the claim stores: enough to ask, and with a kept request enough to send again."""

    route: str
    method: str
    target: str
    downstream_key: str
    kept: Mapping[str, Any] | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the stored form."""
        data: dict[str, Any] = {
            "kind": "forward",
            CARRIED_ON_BY: PROXY,
            "route": self.route,
            "method": self.method,
            "target": self.target,
            "downstream_key": self.downstream_key,
        }
        return data if self.kept is None else {**data, "kept": dict(self.kept)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ForwardPlan:
        """Return the plan in a stored claim."""
        return cls(
            route=data["route"],
            method=data["method"],
            target=data["target"],
            downstream_key=data["downstream_key"],
            kept=data.get("kept"),
        )


def plan_forward(lane: Lane, request: ProxyRequest, claim_id: str) -> ForwardPlan:
    """Return the plan of a request. The downstream key is derived from our claim: the client's is not unique."""
    keep, kept = lane.route.keep_request, None
    if keep is not None and len(request.body) <= keep.max_bytes:
        names = {name.lower() for name in keep.headers}
        kept = {
            "lines": [[name, value] for name, value in request.lines if name.lower() in names],
            "body": base64.b64encode(request.body).decode(),
        }
    return ForwardPlan(
        route=lane.route.name, method=request.method, target=request.target, downstream_key=claim_id, kept=kept
    )


def kept_request(plan: ForwardPlan) -> ProxyRequest | None:
    if plan.kept is None:
        return None
    return ProxyRequest(
        method=plan.method,
        target=plan.target,
        lines=tuple((name, value) for name, value in plan.kept["lines"]),
        body=base64.b64decode(plan.kept["body"]),
    )
