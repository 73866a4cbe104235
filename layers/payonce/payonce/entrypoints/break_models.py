"""The bodies and queries of the breaks' routes."""

from __future__ import annotations

from typing import Annotated

from payonce.entrypoints.models import AmountMinor, Cursor, PageLimit, StrictModel, printable
from payonce.entrypoints.paths import PATTERNS
from payonce.extras import needs
from payonce.payments.payment_reads import DEFAULT_PAGE_SIZE
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.match_store import MAX_MATCH_BREAKS
from payonce.reconciliation.manual import MAX_REASON_CHARACTERS
from payonce.reconciliation.taxonomy import BreakClass

with needs("functions"):
    from pydantic import AfterValidator, Field

MAX_COMMENT_CHARACTERS = 1000  # a paragraph, like an operator's notes in the audit trail
MAX_ASSIGNEE_CHARACTERS = 100
MAX_PROPOSAL_VERSION = 1_000_000  # only a bound: a proposal is changed a few times

_FILTERS = "Filters within a bounded page: it may be short, or empty, and yet have a next_cursor."
ProposalVersion = Annotated[
    int, Field(ge=1, le=MAX_PROPOSAL_VERSION, description="proposal_version of the correction as you have read it.")
]


_Reason = Annotated[
    str,
    AfterValidator(printable),
    Field(min_length=1, max_length=MAX_REASON_CHARACTERS, description="It stands in every later run's report."),
]


class BreaksQuery(StrictModel):
    """Query of ``GET /breaks``."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    cursor: Cursor | None = None
    status: (
        Annotated[
            str,
            Field(pattern=f"^({'|'.join(CaseStatus)})$", description=_FILTERS),
        ]
        | None
    ) = None
    # ``class`` is a keyword of Python.
    break_class: Annotated[str, Field(pattern=f"^({'|'.join(BreakClass)})$", description=_FILTERS)] | None = Field(
        default=None, alias="class"
    )


class CommentBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/comments``."""

    text: Annotated[
        str,
        AfterValidator(printable),
        Field(min_length=1, max_length=MAX_COMMENT_CHARACTERS, description="The operator reads it too."),
    ]


class AssignmentBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/assignments``."""

    assignee: Annotated[
        Annotated[str, AfterValidator(printable), Field(min_length=1, max_length=MAX_ASSIGNEE_CHARACTERS)] | None,
        Field(description="Who of yours looks at it; null for nobody."),
    ]


class ProposalBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/correction/proposals``."""

    amount_minor: AmountMinor
    proposal_version: ProposalVersion


class MatchBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/matches``."""

    break_ids: Annotated[
        list[Annotated[str, Field(pattern=f"^{PATTERNS['break_id']}$")]],
        Field(max_length=MAX_MATCH_BREAKS - 1, description="The other breaks whose rows belong to those of this one."),
    ] = Field(default_factory=list)
    reason: _Reason
    accept_difference: Annotated[
        bool, Field(description="Whether what the amounts differ by is accepted; else it is a break of its own.")
    ] = False


class ReversalBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/matches/{match_id}/reversals``."""

    reason: _Reason


class DecisionBody(StrictModel):
    """Body of ``POST /breaks/{break_id}/correction/approvals`` and ``/rejections``."""

    proposal_version: ProposalVersion
