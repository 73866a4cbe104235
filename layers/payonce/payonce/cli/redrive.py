"""``redrive``: brings the messages of a dead-letter queue back to their queue."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from payonce.cli.output import Exit, tell
from payonce.domain.errors import BodyMalformed, MisconfiguredError, PayonceError
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

# The variables of the dead-letter queue and of its queue, which --stack finds among the stack's outputs.
QUEUES: Final = {
    "deliveries": ("PAYONCE_DELIVERY_FAILURES_URL", "PAYONCE_DELIVERY_QUEUE_URL"),
    "events": ("PAYONCE_EVENT_INBOX_FAILURES_URL", "PAYONCE_EVENT_INBOX_URL"),
    "gateway-events": ("PAYONCE_GATEWAY_EVENT_FAILURES_URL", "PAYONCE_GATEWAY_EVENT_QUEUE_URL"),
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``redrive``."""
    command = commands.add_parser("redrive")
    command.add_argument(
        "queue", nargs="?", choices=tuple(QUEUES), metavar="QUEUE", help=f"of the stack: {', '.join(QUEUES)}"
    )
    command.add_argument("--from", dest="source", metavar="URL", help="of a dead-letter queue, instead of QUEUE")
    command.add_argument("--to", dest="target", metavar="URL", help="of the queue, with --from")
    command.add_argument("--at-most", type=int, metavar="N", help="stop after so many (default: as many as are there)")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Redrive, and return the exit code. Raises ``PayonceError``; what was not moved is still where it was."""
    from payonce.aws.redrive import dead_letters, redrive

    source, target = _ends(options, environment)
    application = Application(load_settings(environment))

    def moved(count: int) -> None:
        sys.stderr.write(f"\r{count} of about {at_most}")
        sys.stderr.flush()

    try:
        client = application.sqs_client
        at_most = options.at_most if options.at_most is not None else dead_letters(client, source)
        count = redrive(client, source, target, at_most=at_most, moved=moved)
    except PayonceError:
        sys.stderr.write("\n")
        raise
    sys.stderr.write("\n" if count else "")
    tell(options, {"redriven": count}, f"{count} message{'' if count == 1 else 's'} redriven")
    return Exit.DONE


def _ends(options: argparse.Namespace, environment: Mapping[str, str]) -> tuple[str, str]:
    if options.queue is None:
        if not (options.source and options.target):
            raise BodyMalformed(f"Name a queue ({', '.join(QUEUES)}), or both ends with --from and --to.")
        return options.source, options.target
    if options.source or options.target:
        raise BodyMalformed("Name a queue, or both ends with --from and --to, not both.")
    failures, queue = (environment.get(variable, "") for variable in QUEUES[options.queue])
    if not (failures and queue):
        raise MisconfiguredError("Name the stack with --stack or PAYONCE_STACK, or both ends with --from and --to.")
    return failures, queue
