"""A service with the ASGI middleware, as a worker: its orders go to the upstream, under the claim's reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from histories.upstream import ATTEMPT_HEADER
from histories.worker_kinds import CALL_SECONDS, UpstreamOrders
from payonce.idempotency.attempt import WasExecuted
from payonce.middlewares.answer import Answer
from payonce.middlewares.asgi import AsgiIdempotency
from payonce.middlewares.contract import Contract
from payonce.proxy.config_process import Store
from payonce.wiring.proxy import make_store

if TYPE_CHECKING:
    from starlette.requests import Request

    from payonce.idempotency.attempt import Attempt, Verdict


def serve(settings: dict[str, Any], port: int) -> None:
    """Serve until the process is ended."""
    orders = UpstreamOrders(settings["upstream_url"])

    async def create(request: Request) -> Response:
        order, attempt = json.loads(await request.body()), int(request.headers[ATTEMPT_HEADER])
        made = await run_in_threadpool(orders.create, order, attempt)
        return Response(json.dumps(made), 201, {"Content-Type": "application/json"})

    def find(attempt: Attempt) -> Verdict:
        verdict = orders.find(attempt)
        return WasExecuted(Answer.json(201, verdict.value)) if isinstance(verdict, WasExecuted) else verdict

    contract = Contract(
        store=make_store(Store(**settings["store"])),
        timeout_seconds=CALL_SECONDS,
        operation="order",
        required=True,
        resolve=find,
    )
    app = Starlette(routes=[Route("/orders", create, methods=["POST"])])
    guarded = AsgiIdempotency(app, contract=contract, scope=lambda _: "shop")
    uvicorn.run(guarded, host="127.0.0.1", port=port, log_level="critical")
