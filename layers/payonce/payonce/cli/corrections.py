"""The operator's commands for corrections: list, show, propose, approve, reject, resume.

``--operator`` names the actor: a proposer can't approve. Each command prints the next step.
"""

from __future__ import annotations

import getpass
from itertools import islice
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, as_json, listed, tell
from payonce.cli.support import add_table_options, application_of, shown
from payonce.corrections.correction_lists import corrections_with_status
from payonce.corrections.outlook import NextStep
from payonce.corrections.record import Correction, CorrectionStatus, steps_of
from payonce.corrections.workflow import MAX_ATTEMPTS, Identity, may_begin_anew
from payonce.domain.errors import CorrectionStateConflict, NotFound
from payonce.domain.principals import operator_of
from payonce.ports import Table
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.wiring.adapters import BUCKET_VARIABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.wiring.application import Application

TABLES = (Table.RECONCILIATION, Table.PAYMENTS)
ACTING_TABLES = (*TABLES, Table.AUDIT)  # each act is audited in its own transaction
READING_COMMANDS = frozenset({"list", "show"})
DEFAULT_LIMIT = 50
_S = CorrectionStatus


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``corrections``."""
    corrections = commands.add_parser("corrections")
    actions = corrections.add_subparsers(dest="corrections_command", required=True, metavar="COMMAND")
    listing = actions.add_parser("list", help="list corrections, what expires first ahead")
    listing.add_argument(
        "--status",
        choices=[each.value for each in _S],
        default=_S.AWAITING_APPROVAL.value,
        help=f"default: {_S.AWAITING_APPROVAL.value}",
    )
    listing.add_argument("--limit", type=int, default=DEFAULT_LIMIT, help=f"at most so many (default {DEFAULT_LIMIT})")
    show = actions.add_parser("show", help="show one, what happened to it, and what comes next")
    propose = actions.add_parser("propose", help="propose another amount; whoever does can't decide about it")
    approve = actions.add_parser("approve", help="approve the proposal that you have seen")
    reject = actions.add_parser("reject", help="reject the proposal that you have seen")
    resume = actions.add_parser(
        "resume", help="begin a rejected, failed or expired one anew, or the rest of one in part; or start its workflow"
    )
    for action in (show, propose, approve, reject, resume):
        action.add_argument("break_id", metavar="BREAK", help="brk_..., as listed")
    propose.add_argument("--amount", type=int, required=True, metavar="MINOR", help="in minor units")
    for action in (propose, approve, reject):
        action.add_argument("--version", type=int, required=True, help="of the proposal that you have seen")
        action.add_argument("--operator", required=True, help="who you are: who proposed can't approve")
    resume.add_argument("--workflow", help="ARN of the state machine (default: $PAYONCE_CORRECTIONS_ARN)")
    resume.add_argument("--operator", default=None, help="who you are (default: the user of this machine)")
    for action in (listing, show):
        add_table_options(action, TABLES)
    for action in (propose, approve, reject, resume):
        add_table_options(action, ACTING_TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    workflow = getattr(options, "workflow", None)
    if workflow:
        environment = {**environment, "PAYONCE_CORRECTIONS_ARN": workflow}
    reads = options.corrections_command in READING_COMMANDS
    application = application_of(options, environment, TABLES if reads else ACTING_TABLES)
    if options.corrections_command == "list":
        return _list(application, options)
    identity = _identity(application, options.break_id)
    match options.corrections_command:
        case "show":
            return _show(application, _found(application, identity), options)
        case "resume":
            return _resume(application, identity, options)
        case _:
            return _act(application, identity, options)


def _identity(application: Application, break_id: str) -> Identity:
    case = CaseStore(application.database).get(break_id)
    return Identity(case.merchant_id or "", case.payment_id or "", break_id)


def _found(application: Application, identity: Identity) -> Correction:
    found = application.corrections.find(identity)
    if found is None:
        raise NotFound(f"There is no correction of {identity.break_id}. A run starts it, for classes that have one.")
    return found


def _list(application: Application, options: argparse.Namespace) -> int:
    found = list(islice(corrections_with_status(application.database, _S(options.status)), options.limit + 1))
    corrections, more = found[: options.limit], len(found) > options.limit
    text = "".join(f"{line_of(correction)}\n" for correction in corrections)
    text += f"there are more: --limit {2 * options.limit}\n" if more else ""
    if corrections and options.status == _S.AWAITING_APPROVAL.value:
        text += "next: payonce corrections show BREAK\n"
    tell(options, listed(corrections, has_more=more), text or f"no correction is {options.status}")
    return Exit.DONE


def line_of(correction: Correction) -> str:
    """Return the line of a correction in the list."""
    amount = f"{correction.amount_minor} {correction.currency}"
    until = f"until {shown(correction.expires_at_ms)}" if correction.expires_at_ms else shown(correction.updated_at_ms)
    return (
        f"{correction.break_id}  {correction.break_class.value:<18}  {correction.kind or '-':<8}  {amount:>16}  "
        f"version {correction.proposal_version}  by {correction.proposed_by}  {until}"
    )


def _show(application: Application, correction: Correction, options: argparse.Namespace) -> int:
    identity = Identity(correction.merchant_id, correction.payment_id, correction.break_id)
    steps, trail = list(steps_of(correction)), list(application.corrections.trail(identity))
    following = next_of(application, correction)
    given_back = f"{correction.corrected_minor} of {correction.surplus_minor or correction.amount_minor}"
    lines = [
        f"break      {correction.break_id}",
        f"class      {correction.break_class.value}",
        f"status     {correction.status.value}{f': {correction.outcome}' if correction.outcome else ''}",
        f"what       {correction.kind or correction.action.value} of {correction.amount_minor} {correction.currency}"
        " (minor units)",
        f"at most    {max(correction.ceiling_minor, correction.amount_minor)}",
        f"given back {given_back}{f', {correction.rest_minor} left' if correction.rest_minor else ''}",
        f"charge     {correction.gateway_charge_id or '-'} at {correction.gateway or '-'}",
        f"entry      {correction.entry_id or '-'}",
        f"merchant   {correction.merchant_id}",
        f"payment    {correction.payment_id}",
        f"proposal   version {correction.proposal_version} by {correction.proposed_by}",
        f"decided    {correction.decided_by or '-'}",
        f"expires    {shown(correction.expires_at_ms)}",
        f"attempt    {correction.attempt} of {MAX_ATTEMPTS}",
        "history",
        *(
            f"  {shown(each['at_ms'])}  {each['status']:<17} version {each['proposal_version']}  "
            f"{each['amount_minor']} {correction.currency}  {each['by']}  {each['outcome']}"
            for each in steps
        ),
        *(
            f"  {shown(each['at_ms'])}  {each['what']:<17} {'refused' if each['refused'] else 'made'}  {each['by']}  "
            f"{each['text']}"
            for each in trail
        ),
        f"next: {following}",
    ]
    document = {**as_json(correction), "history": steps, "trail": trail, "next": following}
    tell(options, document, "\n".join(line.rstrip() for line in lines))
    return Exit.DONE


def next_of(application: Application, correction: Correction) -> str:
    """Return what happens next, what holds the correction up, and the command that a person can give."""
    outlook = application.corrections.outlook(correction)
    unseen = "" if outlook.looked else f"(The kill switch was not looked at: name the bucket, {BUCKET_VARIABLE}.)"
    return " ".join(each for each in (outlook.text, unseen, _command(correction, outlook.step)) if each)


def _command(correction: Correction, step: NextStep) -> str:
    match step:
        case NextStep.APPROVAL:
            named = f"{correction.break_id} --version {correction.proposal_version} --operator NAME"
            return f"somebody else than {correction.proposed_by}: payonce corrections approve {named}, or reject"
        case NextStep.RESUME | NextStep.RUN if may_begin_anew(correction):
            return f"payonce corrections resume {correction.break_id} begins attempt {correction.attempt + 1}"
        case NextStep.PERSON:
            return "docs/runbooks/corrections-not-made.md"
        case _:
            return ""


def _act(application: Application, identity: Identity, options: argparse.Namespace) -> int:
    _found(application, identity)
    actor = operator_of(options.operator)
    corrections = application.corrections
    match options.corrections_command:
        case "propose":
            after = corrections.propose(
                identity, amount_minor=options.amount, actor=actor, proposal_version=options.version
            )
        case "approve":
            after = corrections.approve(identity, proposal_version=options.version, actor=actor)
        case _:
            after = corrections.reject(identity, proposal_version=options.version, actor=actor)
    version = f"{after.status.value}, version {after.proposal_version}"
    following = next_of(application, after)
    tell(options, {**as_json(after), "next": following}, f"{version}\nnext: {following}")
    return Exit.DONE


def _resume(application: Application, identity: Identity, options: argparse.Namespace) -> int:
    """Start the next attempt of a correction that has ended, else another execution of its present attempt."""
    actor = operator_of(options.operator or getpass.getuser())
    with application.corrections.attributed(identity, "resume", actor):
        attempt = _next_attempt(application, application.corrections.find(identity))
    application.corrections.begun_anew(identity, actor=actor, text=f"execution {identity.break_id}-{attempt}")
    application.workflows.start(identity.break_id, attempt)
    document = {"break_id": identity.break_id, "attempt": attempt, "started": True}
    tell(options, document, f"started\nnext: payonce corrections show {identity.break_id}")
    return Exit.DONE


def _next_attempt(application: Application, correction: Correction | None) -> int:
    if correction is not None and may_begin_anew(correction):
        if correction.attempt >= MAX_ATTEMPTS:
            raise CorrectionStateConflict(f"There were {MAX_ATTEMPTS} attempts. Correct the break by hand.")
        return correction.attempt + 1
    if correction is not None and correction.status in {_S.MANUAL, _S.CORRECTED}:
        said = application.corrections.outlook(correction).text
        raise CorrectionStateConflict(f"The correction is {correction.status.value}. {said}")
    # This number is no attempt's, which gives the execution a new name. It continues from the stored correction, or
    # starts it if an earlier execution failed before storing anything.
    return application.clock.now_ms() // 1000
