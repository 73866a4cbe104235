"""The response schemas of the breaks' routes, for openapi.json."""

from __future__ import annotations

from typing import Any

from payonce.corrections.actions import Action
from payonce.corrections.outlook import NextStep
from payonce.corrections.record import CorrectionStatus
from payonce.entrypoints.schemas import INTEGER, NULLABLE_INTEGER, NULLABLE_TEXT, SCHEMAS, TEXT, closed_object
from payonce.reconciliation.cases.case import CaseChange, CaseStatus
from payonce.reconciliation.cases.case_evidence import SHOWN_FIELDS
from payonce.reconciliation.taxonomy import BreakClass, Family, Severity

CASE_STATUS: dict[str, Any] = {"enum": [status.value for status in CaseStatus]}
WHY_FIELDS: dict[str, dict[str, Any]] = {"reason": NULLABLE_TEXT, "text": TEXT}
LINK_FIELDS: dict[str, dict[str, Any]] = {"self": TEXT, "history": TEXT, "correction": TEXT, "payment": TEXT}
BREAK_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"const": "break"},
    "class": {"enum": [each.value for each in BreakClass]},
    "family": {"enum": [each.value for each in Family]},
    "severity": {"enum": [each.value for each in Severity]},
    "meaning": TEXT,
    "status": CASE_STATUS,
    "amount_minor": {"type": "integer", "description": "The money at stake, as it was found."},
    "corrected_minor": {"type": "integer", "description": "What corrections have given back of it."},
    "open_minor": {"type": "integer", "description": "What is left of it."},
    "currency": TEXT,
    "gateway": NULLABLE_TEXT,
    "payment_id": TEXT,
    "subject": {"type": "array", "items": TEXT},
    "why": {"anyOf": [{"$ref": SCHEMAS + "BreakWhy"}, {"type": "null"}]},
    "assignee": NULLABLE_TEXT,
    "occurred_at_ms": INTEGER,
    "opened_at_ms": INTEGER,
    "due_at_ms": INTEGER,
    "overdue": {"type": "boolean"},
    "updated_at_ms": INTEGER,
    "version": INTEGER,
    "links": {"$ref": SCHEMAS + "BreakLinks"},
}
HISTORY_ENTRIES = ("BreakChange", "CorrectionStep", "CorrectionAttempt", "BreakComment")
NULLABLE_VALUE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}
EVIDENCE_FIELDS: dict[str, dict[str, Any]] = {
    "source": {"enum": [source.value for source in SHOWN_FIELDS]},
    "row_key": TEXT,
    "fields": {"type": "object", "additionalProperties": NULLABLE_VALUE},
}
COMMENT_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "comment"},
    "id": TEXT,
    "text": TEXT,
    "by": {"type": "string", "description": "The id of your API key, or operator."},
    "at_ms": INTEGER,
}
CORRECTION_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "correction"},
    "break_id": TEXT,
    "payment_id": TEXT,
    "status": {"enum": [status.value for status in CorrectionStatus]},
    "action": {"enum": [action.value for action in Action]},
    "kind": NULLABLE_TEXT,
    "amount_minor": {"type": "integer", "description": "The amount of this attempt."},
    "ceiling_minor": {"type": "integer", "description": "The most that may be proposed."},
    "corrected_minor": {"type": "integer", "description": "The sum of what all attempts have given back."},
    "rest_minor": {"type": "integer", "description": "What is left of a surplus that was given back in part."},
    "currency": TEXT,
    "attempt": {
        "type": "integer",
        "description": "How often it was begun: anew when nobody had decided in time, or for the rest of a surplus.",
    },
    "proposal_version": {"type": "integer", "description": "What a proposal or a decision has to name."},
    "proposed_by": TEXT,
    "decided_by": NULLABLE_TEXT,
    "expires_at_ms": NULLABLE_INTEGER,
    "outcome": NULLABLE_TEXT,
    "next": {"$ref": SCHEMAS + "CorrectionNext"},
    "created_at_ms": INTEGER,
    "updated_at_ms": INTEGER,
    "links": {"$ref": SCHEMAS + "CorrectionLinks"},
}
NEXT_FIELDS: dict[str, dict[str, Any]] = {
    "step": {"enum": [step.value for step in NextStep]},
    "text": TEXT,
    "held_by": {"enum": ["kill_switch", "policy_unreadable", None], "description": "Why it is not executed now."},
}
STEP_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "correction_step"},
    "status": {"enum": [status.value for status in CorrectionStatus]},
    "attempt": INTEGER,
    "proposal_version": INTEGER,
    "amount_minor": INTEGER,
    "by": {"type": "string", "description": "The id of your API key, reconciliation, policy, or operator."},
    "outcome": NULLABLE_TEXT,
    "at_ms": INTEGER,
}
ATTEMPT_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "correction_attempt"},
    "command": {"enum": ["propose", "approve", "reject", "resume"]},
    "refused": {"type": "boolean"},
    "by": {"type": "string", "description": "The id of your API key, or operator."},
    "text": {"type": "string", "description": "Why it was refused, or what it began."},
    "at_ms": INTEGER,
}
CHANGE_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "change"},
    "change": {"enum": [change.value for change in CaseChange]},
    "status": CASE_STATUS,
    "by": {"type": "string", "description": "The id of your API key, reconciliation, policy, or operator."},
    "note": NULLABLE_TEXT,
    "at_ms": INTEGER,
}


def break_schemas() -> dict[str, Any]:
    """Return the schemas by name, in a stable order."""
    correction = {"anyOf": [{"$ref": SCHEMAS + "Correction"}, {"type": "null"}]}
    evidence = {"type": "array", "items": {"$ref": SCHEMAS + "BreakEvidence"}}
    return {
        "BreakWhy": closed_object(WHY_FIELDS),
        "BreakLinks": closed_object(LINK_FIELDS),
        "BreakEvidence": closed_object(EVIDENCE_FIELDS),
        "BreakSummary": closed_object(BREAK_FIELDS),
        "Break": closed_object({**BREAK_FIELDS, "evidence": evidence, "correction": correction}),
        "CorrectionNext": closed_object(NEXT_FIELDS),
        "CorrectionLinks": closed_object({"self": TEXT, "break": TEXT}),
        "Correction": closed_object(CORRECTION_FIELDS),
        "BreakComment": closed_object(COMMENT_FIELDS),
        "BreakChange": closed_object(CHANGE_FIELDS),
        "CorrectionStep": closed_object(STEP_FIELDS),
        "CorrectionAttempt": closed_object(ATTEMPT_FIELDS),
        "BreakList": closed_object(
            {
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": SCHEMAS + "BreakSummary"}},
                "next_cursor": NULLABLE_TEXT,
            }
        ),
        "BreakHistory": closed_object(
            {
                "object": {"const": "list"},
                "data": {
                    "type": "array",
                    "items": {"anyOf": [{"$ref": SCHEMAS + name} for name in HISTORY_ENTRIES]},
                },
            }
        ),
    }
