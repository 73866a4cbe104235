"""What each form of the console asks for: pages draw their forms from here, and a refused one is given back from here.

So a form that is refused keeps what was typed, whichever page it is of, and the two can't come to differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.form import Field, Form, Kind
from payonce.console.operators import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.form import Choices
    from payonce.wiring.application import Application


def _routed(services: Application) -> Choices:
    return [(name, name) for name in sorted(services.settings.routing.neutral)]


def _gateways(services: Application) -> Choices:
    return [("", "choose one"), *((name, name) for name in sorted(services.settings.gateways))]


def _replayed(_services: Application) -> Choices:
    return REPLAYED


REPLAYED: Final = (("undelivered", "what was not delivered"), ("all", "all, also what was delivered"))
LONGEST_MINUTES: Final = 7 * 24 * 60  # of an override
_VERSION = Field(name="version", kind=Kind.HIDDEN)
_SEEN = Field(name="seen", kind=Kind.HIDDEN)
_REASON = Field(name="reason", label="Reason", most=500)
_BREAK = "/breaks/{break_id}"
_ENDPOINT = "/webhooks/{endpoint_id}"

RELEASE_KEY = Form(
    title="Release the key",
    page="/keys",
    submit="Release",
    is_grave=True,
    fields=(
        *(Field(name=name, kind=Kind.HIDDEN) for name in ("record_id", "claim_id", "fence", "next")),
        Field(name="reason", label="Reason, for the audit trail", most=1_000),
        Field(
            name="finding",
            label="What you found at the gateway",
            most=1_000,
            required=False,
            hint="Needed where the request may have reached the gateway: what you looked at, and that it is not there.",
        ),
        Field(
            name="force",
            label=("By force: its owner is certainly gone, and the gateway has confirmed that it will not execute it"),
            kind=Kind.CHECK,
            required=False,
            role=Role.APPROVER,
        ),
    ),
)
REDELIVER = Form(title="Deliver again", page=f"{_ENDPOINT}/deliveries/{{delivery_id}}", submit="Deliver again")
REPLAY = Form(
    title="Replay a range of time",
    page=_ENDPOINT,
    submit="Replay",
    fields=(
        Field(name="from", label="From (UTC)", kind=Kind.MINUTE),
        Field(name="until", label="Until (UTC), that minute included", kind=Kind.MINUTE),
        Field(name="only", label="Which", kind=Kind.CHOICE, choices=_replayed),
    ),
)
CHANGE_STATUS = Form(
    title="Enable or disable the endpoint",
    page=_ENDPOINT,
    submit="Send",
    fields=(Field(name="status", kind=Kind.HIDDEN),),
)
RELEASE_OVERRIDE = Form(title="Release the override", page="/gateways", submit="Release", fields=(_SEEN, _REASON))
DRAIN = Form(
    title="Drain a gateway",
    page="/gateways",
    submit="Drain",
    is_grave=True,
    fields=(
        _SEEN,
        Field(name="gateway", label="Gateway", kind=Kind.CHOICE, choices=_routed),
        Field(name="percent", label="Part of its weight that it keeps, %", kind=Kind.NUMBER, most=100),
        Field(name="minutes", label="Minutes", kind=Kind.NUMBER, least=1, most=LONGEST_MINUTES),
        _REASON,
    ),
)
ASSIGN = Form(
    title="Assign the break",
    page=_BREAK,
    submit="Assign",
    other=("mine", "Take it"),
    fields=(_VERSION, Field(name="assignee", label="Assign to", most=100, required=False)),
)
COMMENT = Form(
    title="Comment on the break",
    page=_BREAK,
    submit="Comment",
    fields=(
        Field(name="text", label="Comment", kind=Kind.LONG, most=2_000),
        Field(name="for_merchant", label="The merchant reads it, too", kind=Kind.CHECK, required=False, platform=True),
    ),
)
PROPOSE = Form(
    title="Propose another amount",
    page=_BREAK,
    submit="Propose",
    fields=(_VERSION, Field(name="amount", label="Propose another amount", kind=Kind.DECIMAL)),
)
APPROVE = Form(title="Approve the correction", page=_BREAK, submit="Approve", fields=(_VERSION,))
REJECT = Form(title="Reject the correction", page=_BREAK, submit="Reject", fields=(_VERSION,))
DISMISS = Form(title="Dismiss the break", page=_BREAK, submit="Dismiss", is_grave=True, fields=(_REASON,))
MATCH = Form(
    title="Match rows by hand",
    page=_BREAK,
    submit="Match",
    fields=(
        Field(
            name="others",
            label="Other breaks (brk_…) or rows (ledger:…, gateway:…, bank:…), one a line",
            kind=Kind.LONG,
            required=False,
        ),
        _REASON,
        Field(
            name="accept_difference",
            label="What the amounts differ by is accepted",
            kind=Kind.CHECK,
            required=False,
        ),
    ),
)
UNMATCH = Form(
    title="Take a match back",
    page=_BREAK,
    submit="Take it back",
    fields=(
        Field(name="match_id", kind=Kind.HIDDEN),
        Field(name="reason", label="Why it is taken back", most=500),
    ),
)
UPLOAD = Form(
    title="Look at a file",
    page="/files",
    submit="Show what it says",
    fields=(Field(name="file", label="Report or statement", kind=Kind.FILE),),
)
ACCEPT = Form(
    title="Hand the file in",
    page="/files/{file_id}",
    submit="Accept this file",
    fields=(
        Field(
            name="gateway",
            label="The gateway whose report it is",
            kind=Kind.CHOICE,
            required=False,
            choices=_gateways,
            hint="Of a bank's statement: none.",
        ),
    ),
)

# For templates: forms.drain, and so on.
FORMS: Final[Mapping[str, Form]] = {
    "release_key": RELEASE_KEY, "replay": REPLAY, "release_override": RELEASE_OVERRIDE, "drain": DRAIN,
    "assign": ASSIGN, "comment": COMMENT, "propose": PROPOSE, "dismiss": DISMISS, "match": MATCH, "unmatch": UNMATCH,
    "upload": UPLOAD, "accept": ACCEPT,
}  # fmt: skip
