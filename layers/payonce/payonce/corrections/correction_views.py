"""Corrections as their merchants see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from payonce.corrections.actions import Action
from payonce.corrections.outlook import HeldBy, NextStep
from payonce.corrections.record import CorrectionStatus, steps_of
from payonce.reconciliation.cases.merchant import break_path, shown_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.corrections.outlook import Outlook
    from payonce.corrections.record import Correction


class CorrectionNextView(TypedDict):
    """Who or what moves a correction next."""

    step: NextStep
    text: str
    held_by: Annotated[HeldBy | None, "Why it is not executed now."]


# "break" is no name in Python.
CorrectionLinksView = TypedDict("CorrectionLinksView", {"self": str, "break": str})


class CorrectionView(TypedDict):
    """A correction as its merchant sees it."""

    object: Literal["correction"]
    break_id: str
    payment_id: str
    status: CorrectionStatus
    action: Action
    kind: str | None
    amount_minor: Annotated[int, "The amount of this attempt."]
    ceiling_minor: Annotated[int, "The most that may be proposed."]
    corrected_minor: Annotated[int, "The sum of what all attempts have given back."]
    rest_minor: Annotated[int, "What is left of a surplus that was given back in part."]
    currency: str
    attempt: Annotated[
        int, "How often it was begun: anew when nobody had decided in time, or for the rest of a surplus."
    ]
    proposal_version: Annotated[int, "What a proposal or a decision has to name."]
    proposed_by: str
    decided_by: str | None
    expires_at_ms: int | None
    outcome: str | None
    next: CorrectionNextView
    created_at_ms: int
    updated_at_ms: int
    links: CorrectionLinksView


class CorrectionStepView(TypedDict):
    """What happened to a correction, as its merchant sees it."""

    object: Literal["correction_step"]
    status: CorrectionStatus
    attempt: int
    proposal_version: int
    amount_minor: int
    by: Annotated[str, "The id of your API key, reconciliation, policy, or operator."]
    outcome: str | None
    at_ms: int


class CorrectionAttemptView(TypedDict):
    """What somebody tried to do with a correction, as its merchant sees it."""

    object: Literal["correction_attempt"]
    command: Literal["propose", "approve", "reject", "resume"]
    refused: bool
    by: Annotated[str, "The id of your API key, or operator."]
    text: Annotated[str, "Why it was refused, or what it began."]
    at_ms: int


def correction_path(break_id: str) -> str:
    """Return the path of a break's correction."""
    return f"{break_path(break_id)}/correction"


def correction_steps(correction: Correction) -> list[CorrectionStepView]:
    """Return the steps of a correction as its merchant sees them, oldest first."""
    return [_step(entry) for entry in steps_of(correction)]


def attempts_view(trail: list[dict[str, Any]]) -> list[CorrectionAttemptView]:
    """Return people's attempts to change a correction as its merchant sees them, oldest first."""
    return [
        {
            "object": "correction_attempt",
            "command": entry["what"],
            "refused": entry["refused"],
            "by": shown_by(entry["by"]),
            "text": entry["text"],
            "at_ms": entry["at_ms"],
        }
        for entry in trail
    ]


def _step(entry: Mapping[str, Any]) -> CorrectionStepView:
    return {
        "object": "correction_step",
        "status": entry["status"],
        "attempt": entry["attempt"],
        "proposal_version": entry["proposal_version"],
        "amount_minor": entry["amount_minor"],
        "by": shown_by(entry["by"]),
        "outcome": entry["outcome"] or None,
        "at_ms": entry["at_ms"],
    }


def correction_view(correction: Correction, outlook: Outlook) -> CorrectionView:
    """Return a correction as its merchant sees it: the proposal, the proposer, the outcome and the next step.

    ``amount_minor`` is the amount of this attempt, at most ``ceiling_minor``; ``corrected_minor`` is the sum given back
    so far, ``rest_minor`` the rest of a surplus that was given back in part.
    """
    return {
        "object": "correction",
        "break_id": correction.break_id,
        "payment_id": correction.payment_id,
        "status": correction.status,
        "action": correction.action,
        "kind": correction.kind or None,
        "amount_minor": correction.amount_minor,
        "ceiling_minor": max(correction.ceiling_minor, correction.amount_minor),
        "corrected_minor": correction.corrected_minor,
        "rest_minor": correction.rest_minor,
        "currency": correction.currency,
        "attempt": correction.attempt,
        "proposal_version": correction.proposal_version,
        "proposed_by": shown_by(correction.proposed_by),
        "decided_by": shown_by(correction.decided_by) if correction.decided_by else None,
        "expires_at_ms": correction.expires_at_ms or None,
        "outcome": correction.outcome or None,
        "next": {"step": outlook.step, "text": outlook.text, "held_by": outlook.held_by},
        "created_at_ms": correction.created_at_ms,
        "updated_at_ms": correction.updated_at_ms,
        "links": {"self": correction_path(correction.break_id), "break": break_path(correction.break_id)},
    }
