"""What is accepted is kept and queued before the gateway is told so, and every copy of it is the same event."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from stripe import WebhookSignature

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.domain.gateway import Notice
from payonce.entrypoints.gateway_events import accept_event
from payonce.gateways.method_types import METHOD_TYPES
from payonce.gateways.stripe_notices import StripeNoticeReader
from payonce.notices.kept import RETENTION_SECONDS, NoticeState, ended_notice, find_notice
from payonce.notices.message import parse_apply
from payonce.ports import Table
from payonce.wiring.notices import READERS, SECRETS_LIFE_MS, NoticeApplication
from tests.support.aws import REPOSITORY
from tests.support.notices import (
    BANK_SECRET,
    SECRETS,
    bank_event,
    bank_headers,
    notice_application,
    post,
    posted,
    stripe_event,
    stripe_headers,
)

if TYPE_CHECKING:
    from payonce.stores.memory_queue import MemoryQueue

NOW_MS = 1_800_000_000_000
PAYMENT_ID = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
KEY = "stripe#evt_1"
# Stripe's own vector, of the suite of its library for .NET: the file event_test_signature.json, secret and header in
# https://github.com/stripe/stripe-dotnet/blob/master/src/StripeTests/Services/Events/EventUtilityTest.cs
STRIPES_BODY = (
    b'{\n  "id": "evt_123",\n  "object": "event",\n  "account": "acct_123",\n  "api_version": "2017-05-25",\n'
    b'  "created": 1533204620,\n  "data": {\n    "object": {\n      "id": "cus_123",\n      "object": "customer",\n'
    b'      "created": 123456789,\n      "email": "test@stripe.com",\n      "livemode": false,\n      "metadata": {}\n'
    b'    }\n  },\n  "livemode": false,\n  "pending_webhooks": 1,\n  "request": {\n    "id": "req_123",\n'
    b'    "idempotency_key": "idempotency-key-123"\n  },\n  "type": "customer.created"\n}\n'
)
STRIPES_SIGNATURE = "2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"
STRIPES_SECRET = "webhook_secret"


@pytest.fixture
def application() -> NoticeApplication:
    return notice_application()


def queued(application: NoticeApplication) -> list[str]:
    """Return the keys of what is queued, and forget it."""
    queue: MemoryQueue = application.notice_queue  # type: ignore[assignment]
    keys = [parse_apply(message.body).notice_key for message in queue.messages]
    queue.messages.clear()
    return keys


def send(application: NoticeApplication, body: bytes | None = None) -> int:
    body = stripe_event() if body is None else body
    return post(application, body, stripe_headers(body, application.clock.now_ms()))


def test_stripes_own_vector() -> None:
    """Computed by Stripe's library, restated from Stripe's suite, and taken: three hands for one signature."""
    header = f"t=1533204620,v1={STRIPES_SIGNATURE}"
    assert WebhookSignature.generate_signature_header(STRIPES_BODY.decode(), STRIPES_SECRET, 1533204620) == header
    (notice,) = StripeNoticeReader([STRIPES_SECRET]).read(
        STRIPES_BODY, {"stripe-signature": f"{header},v0={STRIPES_SIGNATURE[::-1]}"}, now_ms=1_533_204_720_000
    )
    assert notice == Notice(
        notice_id="evt_123", type="customer.created", created_at_ms=1_533_204_620_000, account="acct_123"
    )


def test_an_event_is_kept_as_it_came(application: NoticeApplication) -> None:
    metadata = {
        "payonce_reference": f"{PAYMENT_ID}-1",
        "payonce_payment_id": PAYMENT_ID,
        "payonce_merchant_id": "mer_1",
    }
    body = stripe_event(metadata=metadata, note="ö☃")
    assert send(application, body) == 200
    kept = find_notice(application.database, KEY)
    assert kept is not None
    assert (kept.body, kept.state, kept.received_at_ms) == (body, NoticeState.RECEIVED, NOW_MS)
    assert kept.notice == Notice(
        notice_id="evt_1",
        type="payment_intent.succeeded",
        created_at_ms=NOW_MS,
        gateway_reference=f"{PAYMENT_ID}-1",
        payment_id=PAYMENT_ID,
        merchant_id="mer_1",
        gateway_charge_id="pi_3Q",
    )
    item = application.database.get(Table.NOTICES, {"id": KEY})
    assert item is not None
    assert item["purge_at"] == NOW_MS // 1000 + RETENTION_SECONDS == NOW_MS // 1000 + 90 * 86_400
    assert "listed_as" not in item
    assert queued(application) == [KEY]


@pytest.mark.parametrize("as_text", [True, False])
def test_the_bytes_are_the_same_as_text_and_as_base64(application: NoticeApplication, as_text: bool) -> None:
    body = stripe_event(note="ö☃")
    event = posted(body, stripe_headers(body, NOW_MS), as_text=as_text)
    event["multiValueHeaders"] = {"STRIPE-signature": event["multiValueHeaders"]["Stripe-Signature"]}
    assert accept_event(application, event)["statusCode"] == 200
    kept = find_notice(application.database, KEY)
    assert kept is not None
    assert kept.body == body


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"id": "re_1", "object": "refund", "payment_intent": "pi_9"}, (None, "pi_9")),
        ({"id": "dp_1", "object": "dispute", "payment_intent": {"id": "pi_9"}, "charge": "ch_1"}, (None, "pi_9")),
        ({"id": "ch_1", "object": "charge", "payment_intent": None}, (None, None)),
        ({"id": "po_1", "object": "payout"}, (None, None)),
        ({"metadata": {"payonce_reference": f"{PAYMENT_ID}-2"}}, (f"{PAYMENT_ID}-2", "pi_3Q")),
        (
            {"metadata": {"payonce_reference": f"{PAYMENT_ID}-1", "payonce_capture_reference": "cap_01-1"}},
            ("cap_01-1", "pi_3Q"),
        ),
        ({"metadata": {"payonce_reference": "order 4711; drop"}}, (None, "pi_3Q")),
        ({"metadata": {"payonce_reference": "pay_" + "x" * 2_000 + "-1"}}, (None, "pi_3Q")),
        ({"metadata": None}, (None, "pi_3Q")),
        ({"id": 7}, (None, None)),
    ],
)
def test_what_an_event_names(
    application: NoticeApplication, subject: dict[str, Any], expected: tuple[str | None, str | None]
) -> None:
    """Anybody with the account may write metadata: what is no reference of ours is none."""
    assert send(application, stripe_event(**subject)) == 200
    kept = find_notice(application.database, KEY)
    assert kept is not None
    assert (kept.notice.gateway_reference, kept.notice.gateway_charge_id) == expected


def test_the_bank_names_the_payment_also_of_what_its_dashboard_did(application: NoticeApplication) -> None:
    body = bank_event(
        "refund.succeeded", reference="elsewhere-7", payment_reference=f"{PAYMENT_ID}-1", charge_id="ch_1"
    )
    assert post(application, body, bank_headers(body, NOW_MS), "bank") == 200
    kept = find_notice(application.database, "bank#evt_1")
    assert kept is not None
    hints = (kept.notice.gateway_reference, kept.notice.payment_id, kept.notice.gateway_charge_id)
    assert hints == (f"{PAYMENT_ID}-1", PAYMENT_ID, "ch_1")


def test_a_copy_is_the_same_event_and_is_queued_until_it_is_applied(application: NoticeApplication) -> None:
    """Fails when a copy is dropped although the first one was lost on its way to the queue, or is kept twice."""
    for _ in range(3):
        assert send(application) == 200
        assert queued(application) == [KEY]
    kept = find_notice(application.database, KEY)
    assert kept is not None
    for state in (NoticeState.UNKNOWN, NoticeState.FAILED):
        application.database.write([ended_notice(kept, state, "", now_ms=NOW_MS)])
        assert send(application) == 200
        assert queued(application) == [KEY]
        kept = find_notice(application.database, KEY)
        assert kept is not None
    application.database.write([ended_notice(kept, NoticeState.APPLIED, "", now_ms=NOW_MS)])
    assert send(application) == 200
    assert queued(application) == []


def test_events_of_two_gateways_with_one_id_are_two(application: NoticeApplication) -> None:
    body = bank_event()
    assert send(application) == post(application, body, bank_headers(body, NOW_MS), "bank") == 200
    assert queued(application) == [KEY, "bank#evt_1"]


@pytest.mark.parametrize("dies", ["before the queue", "in the queue"])
def test_killed_between_keeping_and_queueing(
    application: NoticeApplication, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway sees no 200 and sends it again: that copy is queued. Fails when it is taken for known."""

    class Killed(BaseException):
        pass

    def send_nothing(_messages: Any) -> None:
        if dies == "in the queue":
            raise StoreUnavailable("no answer")
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(application.notice_queue, "send", send_nothing)
        if dies == "in the queue":
            assert send(application) == 503
        else:
            with pytest.raises(Killed):
                send(application)
    kept = find_notice(application.database, KEY)
    assert kept is not None
    assert kept.state is NoticeState.RECEIVED
    assert queued(application) == []
    assert send(application) == 200
    assert queued(application) == [KEY]


@pytest.mark.parametrize(("error", "status"), [(StoreUnavailable("no"), 503), (OutcomeUnknown("perhaps"), 504)])
def test_what_is_not_certainly_kept_is_not_acknowledged(
    application: NoticeApplication, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_writes: Any) -> None:
        raise error

    monkeypatch.setattr(application.database, "write", fail)
    assert send(application) == status
    assert queued(application) == []


@pytest.mark.parametrize("secret", [None, "", [], [""], ["whsec_1", None], 7, {}])
def test_without_a_secret_the_gateway_comes_again(application: NoticeApplication, secret: Any) -> None:
    """Fails when an empty secret is one: everybody could sign with it."""
    application.read_event_secrets = lambda: {} if secret is None else {"stripe_events_secret": secret}  # type: ignore[method-assign]
    body = stripe_event()
    answer = accept_event(application, posted(body, stripe_headers(body, NOW_MS, "")))
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "1")
    assert application.database._tables[Table.NOTICES] == {}  # type: ignore[attr-defined]


def test_a_rotated_secret_is_in_use_after_five_minutes(application: NoticeApplication) -> None:
    """Fails when the secrets are read once for a process, or for every event."""
    clock: Any = application.clock
    reads = []
    secrets = dict(SECRETS)

    def read() -> dict[str, Any]:
        reads.append(clock.ms)
        return secrets

    application.read_event_secrets = read  # type: ignore[method-assign]
    assert send(application) == 200
    secrets = {"stripe_events_secret": "whsec_next"}
    clock.ms += SECRETS_LIFE_MS - 1
    body = stripe_event()
    assert send(application) == 200
    assert post(application, body, stripe_headers(body, clock.ms, "whsec_next")) == 400
    clock.ms += 1
    assert post(application, body, stripe_headers(body, clock.ms, "whsec_next")) == 200
    assert send(application) == 400
    assert len(reads) == 2


def test_a_reader_is_there_for_each_kind_that_sends_events() -> None:
    """Fails when a kind is configured that no reader is for."""
    assert READERS.keys() <= METHOD_TYPES.keys()


def test_a_function_imports_what_its_gateways_need_and_no_more() -> None:
    """Stripe's library takes 0.4 s of a cold start. Fails when a bank's events load it."""
    program = (
        "import sys, json\n"
        "from tests.support.world import ManualClock\n"
        "from payonce.stores.memory import MemoryDatabase\n"
        "from payonce.wiring.notices import NoticeApplication\n"
        "from payonce.wiring.settings import load_settings\n"
        "from payonce.entrypoints.gateway_events import accept_event\n"
        'settings = load_settings({"PAYONCE_GATEWAYS": \'[{"name":"bank","kind":"sandbox_bank"}]\'})\n'
        "application = NoticeApplication(settings, clock=ManualClock(), database=MemoryDatabase())\n"
        f"application.read_event_secrets = lambda: {{'bank_events_secret': {BANK_SECRET!r}}}\n"
        "application.notice_reader('bank')\n"
        "print(sorted({'stripe', 'pydantic', 'Adyen', 'boto3'} & sys.modules.keys()))\n"
    )
    path = f"{REPOSITORY}:{REPOSITORY}/layers/payonce"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_answer_is_short(application: NoticeApplication) -> None:
    body = stripe_event()
    answer = accept_event(application, posted(body, stripe_headers(body, NOW_MS)))
    assert json.loads(answer["body"]) == {"received": True}
