"""``events tail``: prints a merchant's events as they are written, by ``GET /events?after=``."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from payonce.cli.http_api import add_api_option, api_of, client_of, needs_stack
from payonce.cli.output import Exit, json_text, wants_json
from payonce.cli.support import shown
from payonce.domain.durations import SECOND_MS
from payonce.domain.errors import BodyMalformed, Forbidden, UpstreamUnavailable
from payonce.outbox import SETTLING_MS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from payonce.client import Client
    from payonce.client.api.models import Event

__all__ = ["add_commands", "needs_stack", "run"]

PAGE_SIZE: Final = 100
DEFAULT_LAST: Final = 10
DEFAULT_EVERY_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 60.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``events tail``."""
    events = commands.add_parser("events").add_subparsers(dest="action", required=True, metavar="COMMAND")
    tail = events.add_parser(
        "tail",
        help="print the last events, and then each new one",
        description=f"Print the last events, and then each new one, {SETTLING_MS // SECOND_MS} s after it was written: "
        "then no earlier one can appear any more.",
    )
    tail.add_argument(
        "--after", metavar="CURSOR", help="begin after this one, which an earlier tail printed at its end"
    )
    tail.add_argument(
        "--last",
        type=int,
        default=DEFAULT_LAST,
        metavar="N",
        help=f"so many of the events that there are (default {DEFAULT_LAST}); the list is read to its end first",
    )
    tail.add_argument("--type", metavar="TYPE", help="only these, such as payment.captured")
    tail.add_argument("--no-follow", action="store_true", help="end after the events that there are")
    tail.add_argument(
        "--every",
        type=float,
        default=DEFAULT_EVERY_SECONDS,
        metavar="SECONDS",
        help=f"ask so often (default {DEFAULT_EVERY_SECONDS:g})",
    )
    add_api_option(tail)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print events until interrupted. Raises ``PayonceError``."""
    api = api_of(options, environment)
    with client_of(api, PATIENCE_SECONDS) as client:
        _follow(_Tail(client, options), options)
    return Exit.DONE


def _follow(tail: _Tail, options: argparse.Namespace) -> None:
    try:
        for event in tail.existing():
            _write(options, event)
        while not options.no_follow:
            for event in tail.page():
                _write(options, event)
            if not tail.has_more:
                time.sleep(options.every)
    except KeyboardInterrupt:
        pass
    finally:
        if tail.after:
            sys.stderr.write(f"next: payonce events tail --after {tail.after}\n")


class _Tail:
    """A place in the list of events."""

    def __init__(self, client: Client, options: argparse.Namespace) -> None:
        self._client = client
        self._type = options.type
        self._last = options.last
        self.after: str | None = options.after
        self.has_more = True

    def existing(self) -> Iterator[Event]:
        """Yield the last of the events that there are, or after ``--after`` all."""
        if self.after is not None:
            while self.has_more:
                yield from self.page()
            return
        kept: deque[Event] = deque(maxlen=max(0, self._last))
        while self.has_more:
            kept.extend(self.page())
        yield from kept

    def page(self) -> list[Event]:
        """Return the next events, and go on behind them."""
        from payonce.client.errors import ReadFailed, Refused

        try:
            page = self._client.list_events(limit=PAGE_SIZE, after=self.after, type=self._type)
        except Refused as refused:
            if refused.problem.get("status") in {401, 403}:
                raise Forbidden("The API key is refused: it needs the scope events:read.") from refused
            raise BodyMalformed(refused.reason) from refused
        except ReadFailed as failed:
            later = f" Go on later with --after {self.after}." if self.after else ""
            raise UpstreamUnavailable(f"{failed.reason}.{later}") from failed
        self.after, self.has_more = page["next_after"], page["has_more"]
        return list(page["data"])


def _write(options: argparse.Namespace, event: Event) -> None:
    if wants_json(options):
        sys.stdout.write(json_text(event, sys.stdout) + "\n")
    else:
        data = event.get("data") or {}
        about = data.get("id") or (data.get("object") if isinstance(data.get("object"), str) else "") or ""
        at = shown(event.get("created_at_ms"))
        sys.stdout.write(f"{at}  {event.get('type', '-'):<28}  {event.get('id', '-')}  {about}\n")
    sys.stdout.flush()
