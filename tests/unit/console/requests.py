"""Requests as views and acts are given them, for tests that call one without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.operators import Operator, Role
from payonce.console.page import PageRequest
from payonce.ports import Deadline

if TYPE_CHECKING:
    from payonce.wiring.application import Application


def page_request(
    application: Application, query: dict[str, str] | None = None, merchant_id: str | None = None, **path: str
) -> PageRequest:
    """Return the request of an approver of the whole platform."""
    now_ms = application.clock.now_ms()
    operator = Operator(name="ann", role=Role.APPROVER, merchant_id=None, key_hash="", created_at_ms=0)
    return PageRequest(
        path_parameters=path,
        query=query or {},
        operator=operator,
        merchant_id=merchant_id,
        now_ms=now_ms,
        deadline=Deadline(now_ms + 29_000),
        ids=application.ids,
    )
