"""What people do about breaks and files at the console, from the first look to the last form, over real handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from payonce.aws.s3_files import S3Files
from payonce.console.operators import Role
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.reconciliation.runs.upload_desk import READINGS
from payonce.reconciliation.runs.uploads import list_uploads
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.aws import REGION
from tests.support.breaks import FOREIGN_PAYMENT, evidence_of, store_break, store_proposal
from tests.support.console import Browser, Seen, operator_key
from tests.unit.console.test_files_runs_balances import BAD, send_file
from tests.unit.reconciliation.test_inbox import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.entrypoints.console import Handler
    from payonce.wiring.application import Application

BUCKET = "reports"
PAYMENTS = [f"pay_{number:026d}" for number in range(1, 5)]
BREAKS = [f"brk_{number:064x}" for number in range(1, 5)]
LISTS = ("/breaks", "/breaks?state=awaiting", "/breaks?format=csv", "/runs", "/files", "/files?format=xlsx")


def send(browser: Browser, what: str, break_id: str, **fields: str) -> Seen:
    """Open a break, and send a form from its page."""
    page = browser.get(f"/breaks/{break_id}")
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key"), **fields}
    if what == "assign":  # its form is the page's first with a version
        form["version"] = page.hidden("version")
    return browser.post(f"/breaks/{break_id}/{what}", form)


def with_bucket(application: Application) -> None:
    """Give the application the bucket of reports."""
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    application.files = S3Files(s3, BUCKET)


def decide_about_breaks(application: Application, guarded: Callable[[str], Handler], merchant_id: str) -> None:
    """Look at breaks, assign and comment, propose, be refused as the proposer, approve as somebody else, and match."""
    now_ms = application.clock.now_ms()
    database = application.database
    of_another = evidence_of(FOREIGN_PAYMENT, number=2, charge_id="ch_9")
    for break_id, payment_id in zip(BREAKS[:2], PAYMENTS[:2], strict=True):
        evidence = (*evidence_of(payment_id), *of_another)
        store_proposal(database, store_break(database, merchant_id, break_id, now_ms, payment_id, evidence=evidence))
    ours, theirs = evidence_of(PAYMENTS[2])
    in_gateway, in_ledger = BreakClass.MISSING_IN_GATEWAY, BreakClass.MISSING_IN_LEDGER
    store_break(
        database, merchant_id, BREAKS[2], now_ms, PAYMENTS[2], break_class=in_gateway, subject=("x",), evidence=(ours,)
    )
    store_break(
        database, merchant_id, BREAKS[3], now_ms, PAYMENTS[3], break_class=in_ledger, subject=("y",), evidence=(theirs,)
    )
    mia = Browser(application, guarded)
    mia.sign_in(operator_key(application, "mia of cases", Role.VIEWER, merchant_id))
    assert FOREIGN_PAYMENT not in mia.get(f"/breaks/{BREAKS[0]}").text
    ann, bob = Browser(application, guarded), Browser(application, guarded)
    ann.sign_in(operator_key(application, "ann of cases", Role.APPROVER))
    bob.sign_in(operator_key(application, "bob of cases", Role.APPROVER))
    for path in (*LISTS, f"/balances?merchant={merchant_id}", f"/breaks?merchant={merchant_id}"):
        assert ann.get(path).status == 200, path
    assert send(ann, "assign", BREAKS[0], mine="yes").status == 303
    assert send(ann, "comment", BREAKS[0], text="seen").status == 303
    assert send(ann, "propose", BREAKS[0], amount="5.00", version="1").status == 303
    assert send(ann, "approve", BREAKS[0], version="2").status == 403
    send(bob, "approve", BREAKS[0], version="2")
    decided = application.corrections.load(Identity(merchant_id, PAYMENTS[0], BREAKS[0]))
    assert (decided.status, decided.decided_by) == (CorrectionStatus.APPROVED, "operator:bob of cases")
    assert send(ann, "dismiss", BREAKS[0], reason="no").status == 409
    assert send(ann, "match", BREAKS[2], others=BREAKS[3], reason="one sale").status == 303
    match_id = ann.get(f"/breaks/{BREAKS[2]}").hidden("match_id")
    assert send(ann, "unmatch", BREAKS[2], match_id=match_id, reason="no").status == 303


def bring_files(application: Application, guarded: Callable[[str], Handler]) -> None:
    """Upload a bad statement and learn which line is wrong, then upload the right one and hand it in."""
    ina = Browser(application, guarded)
    ina.sign_in(operator_key(application, "ina of files", Role.OPERATOR))
    bad = ina.get(send_file(ina, "bad.csv", BAD).location)
    assert ("Line 3" in bad.text, "plain amounts" in bad.text) == (True, True)
    place = send_file(ina, "good.csv", STATEMENT).location
    page = ina.get(place)
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key")}
    assert ina.post(f"{place}/accept", form).status == 303
    assert send_file(ina, "good.csv", STATEMENT).location == place
    (newest, _), *_ = list_uploads(application.database, limit=2)
    assert newest.placed_as is not None
    assert application.files.read(newest.placed_as, max_bytes=10_000) == STATEMENT
    assert application.files.read(f"{READINGS}{newest.file_id}.json", max_bytes=100_000)
