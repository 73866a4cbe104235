"""Every reason for which the transport gives no answer, once, side by side."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from payonce.domain.delivery import NoAnswer, NoAnswerReason
from tests.contract.webhooks.courier import (
    BUDGET_SECONDS,
    HOST,
    PATIENCE_SECONDS,
    Courier,
    answering,
    resetting,
    silent,
)
from tests.support.tcp_faults import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.delivery import Exchanged
    from tests.contract.webhooks.courier import Handler


def receiver(
    handle: Handler, scheme: str = "http", *, seconds: float = PATIENCE_SECONDS
) -> Callable[[Courier], Exchanged]:
    """Return a post to a receiver that does ``handle``."""

    def post(courier: Courier) -> Exchanged:
        with serving(handle) as port:
            return courier.post(f"{scheme}://127.0.0.1:{port}/", seconds=seconds)

    return post


def nobody(courier: Courier) -> Exchanged:
    """Post to where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return courier.post(f"http://127.0.0.1:{port}/")


POSTS: dict[NoAnswerReason, Callable[[Courier], Exchanged]] = {
    NoAnswerReason.URL_REFUSED: lambda courier: courier.post("ftp://hooks.example/"),
    NoAnswerReason.NAME_NOT_RESOLVED: lambda courier: courier.post(f"https://{HOST}/", resolve=lambda _host: []),
    NoAnswerReason.ADDRESS_REFUSED: lambda courier: courier.post(f"https://{HOST}/", allow_local=False),
    NoAnswerReason.CONNECTION_FAILED: nobody,
    NoAnswerReason.TLS_FAILED: receiver(lambda client: client.sendall(b"no TLS here"), "https"),
    NoAnswerReason.TIMED_OUT: receiver(silent, seconds=BUDGET_SECONDS),
    NoAnswerReason.CONNECTION_LOST: receiver(resetting()),
    NoAnswerReason.ANSWER_MALFORMED: receiver(answering(b"garbage\r\n\r\n")),
}
OF_OTHERS = {NoAnswerReason.SIGNING_FAILED}  # said before the transport is asked


@pytest.mark.parametrize("reason", list(NoAnswerReason))
def test_every_reason_has_its_situation(courier: Courier, reason: NoAnswerReason) -> None:
    """Fails when a reason is never given, given for something else, or new and without a test."""
    if reason in OF_OTHERS:
        assert reason not in POSTS
        return
    outcome = POSTS[reason](courier)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is reason
    assert outcome.detail.endswith(".")
