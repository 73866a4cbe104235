"""The process that is killed while it accepts or applies a gateway's event: a kill point around each port's call."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.entrypoints.gateway_events import accept_event
from payonce.ports import Deadline
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.settings import load_settings
from tests.crash_matrix.child import Ports, ports
from tests.support.notices import posted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import QueueMessage
    from tests.crash_matrix.child import Point

GATEWAYS = json.dumps([{"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9"}])
EXECUTION_MS = 40_000


class FileQueue:
    """``MessageQueue`` in a file that outlives the process: a line for each message, with the point around ``send``."""

    def __init__(self, file: Path, now_ms: int, point: Point) -> None:
        self._file, self._now_ms, self._point = file, now_ms, point

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        self._point.around("send", lambda: self._append(messages))

    def _append(self, messages: Sequence[QueueMessage]) -> None:
        lines = [
            json.dumps({"body": message.body, "due_ms": self._now_ms + 1000 * message.delay_seconds})
            for message in messages
        ]
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a") as file:
            file.write("".join(line + "\n" for line in lines))


def application(task: dict[str, Any]) -> NoticeApplication:
    """Return the real application, with the striking ports around its adapters."""
    given: Ports = ports(task)
    app = NoticeApplication(
        load_settings({"PAYONCE_GATEWAYS": GATEWAYS}),
        clock=given.clock,
        database=given.database,
        gateways={"bank": given.gateway},
    )
    app.notice_queue = FileQueue(Path(task["queue_file"]), given.clock.now_ms(), given.point)  # type: ignore[misc]
    app.read_event_secrets = lambda: {"bank_events_secret": task["secret"]}  # type: ignore[method-assign]
    return app


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Accept an event or apply a message; return the status, or what has become of the event."""
    app = application(task)
    if task["do"] == "accept":
        event = posted(base64.b64decode(task["event"]), task["headers"], "bank")
        return {"status": accept_event(app, event)["statusCode"]}
    return {"outcome": app.applier.handle(task["message"], Deadline(app.clock.now_ms() + EXECUTION_MS))}
