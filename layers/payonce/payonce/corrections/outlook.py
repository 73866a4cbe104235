"""Says what happens to a correction next, and what holds it up. Pure.

The kill switch stops executions, not decisions: an approved correction waits. One claimed before the switch was set may
have reached the gateway already; the payments' recovery asks there and concludes it regardless of the switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from payonce.corrections.actions import Action
from payonce.corrections.record import MAX_ATTEMPTS_OF_RUNS, CorrectionStatus
from payonce.payments.corrective_plan import ALREADY_GIVEN_BACK

if TYPE_CHECKING:
    from payonce.corrections.record import Correction

_S = CorrectionStatus


class Switch(StrEnum):
    """The policy's switch. ``OFF``: the kill switch is set. ``UNKNOWN``: this process can't read the policy."""

    ON = "on"
    OFF = "off"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"


HeldBy = Literal["kill_switch", "policy_unreadable"]


class NextStep(StrEnum):
    """Who or what moves a correction next."""

    CHECK = "check"
    APPROVAL = "approval"
    EXECUTION = "execution"
    RESOLUTION = "resolution"
    PROOF = "proof"
    RUN = "run"
    RESUME = "resume"
    PERSON = "person"


HELD = {
    Switch.OFF: "The kill switch is set: nothing is executed until the policy says enabled = true.",
    Switch.UNREADABLE: "The policy can't be read: nothing is decided or executed until it is mended.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``step`` is who or what moves the correction next; ``text`` says it in words.

    ``held_by`` is what prevents the execution now, ``kill_switch`` or ``policy_unreadable``, or ``None``.
    ``looked`` says whether the kill switch was read for this answer.
    """

    step: NextStep
    text: str
    held_by: HeldBy | None = None
    looked: bool = True


def outlook_of(correction: Correction, switch: Switch, *, claimed: bool, now_ms: int) -> Outlook:
    """Return what happens next. ``claimed`` says that this attempt's effect may have reached the gateway already."""
    if correction.status not in {_S.OPEN, _S.CHECKED, _S.AWAITING_APPROVAL, _S.APPROVED}:
        return _after(correction)
    step, text = _before(correction, claimed=claimed, now_ms=now_ms)
    if switch is Switch.UNKNOWN and correction.held_since_ms:
        switch = Switch.OFF
    if switch not in HELD or step is NextStep.RUN:
        return Outlook(step=step, text=text, looked=switch is not Switch.UNKNOWN)
    held_by: HeldBy = "kill_switch" if switch is Switch.OFF else "policy_unreadable"
    return Outlook(step=step, text=f"{text} {HELD[switch]}", held_by=held_by)


def _before(correction: Correction, *, claimed: bool, now_ms: int) -> tuple[NextStep, str]:
    match correction.status:
        case _S.AWAITING_APPROVAL if correction.expires_at_ms < now_ms:
            return NextStep.RUN, "Nobody decided in time: it expires, and a run proposes it again."
        case _S.AWAITING_APPROVAL:
            return NextStep.APPROVAL, "Somebody else than who proposed it approves or rejects it."
        case _S.APPROVED if claimed:
            return NextStep.RESOLUTION, "Its money may have moved: the gateway is asked, and what it says is booked."
        case _S.APPROVED:
            return NextStep.EXECUTION, "It is approved: the workflow goes on by itself and executes it."
        case _:
            return NextStep.CHECK, "The workflow reads the gateway, and then the policy or a person decides."


def _after(correction: Correction) -> Outlook:
    match correction.status:
        case _S.CORRECTED if correction.rest_minor:
            return _anew(
                correction,
                f"{correction.corrected_minor} of {correction.surplus_minor} {correction.currency} are given back, and "
                f"{correction.rest_minor} are not: the break stays open.",
            )
        case _S.CORRECTED if correction.outcome == ALREADY_GIVEN_BACK and _books_lack_it(correction):
            text = "Nothing to give back; the break stays open, for the books lack this charge and its refund."
            return Outlook(step=NextStep.PERSON, text=text)
        case _S.CORRECTED:
            return Outlook(step=NextStep.PROOF, text="The run that sees it in the gateway's report closes the break.")
        case _S.EXPIRED:
            return _anew(correction, "Nobody decided in time.")
        case _S.REJECTED:
            return Outlook(step=NextStep.RESUME, text="It was rejected; only people begin it anew.")
        case _S.FAILED:
            return Outlook(
                step=NextStep.RESUME, text="Nothing was executed; a person looks why, and may begin it anew."
            )
        case _:
            return Outlook(step=NextStep.PERSON, text="A program can't correct this: a person has to.")


def _anew(correction: Correction, text: str) -> Outlook:
    if correction.attempt < MAX_ATTEMPTS_OF_RUNS:
        return Outlook(step=NextStep.RUN, text=f"{text} The next run begins it anew, for somebody to approve.")
    return Outlook(step=NextStep.RESUME, text=f"{text} Only people begin it anew after so many attempts.")


def _books_lack_it(correction: Correction) -> bool:
    return correction.action is Action.GIVE_BACK_SURPLUS and not correction.given_back
