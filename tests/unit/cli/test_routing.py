"""The operator's hand on routing: what is shown is what payments find, and nothing lacks a name and an end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import main as cli
from payonce.cli import routing
from payonce.ports import Adjust, Delete, Table
from payonce.routing.control.control_store import CONTROL_KEY, ControlStore, document_write, override_write
from payonce.routing.control.document import Admission
from payonce.routing.control.override import Override, parse_override
from payonce.routing.control.override_desk import OverrideDesk
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.history import SEARCHED_HOURS
from payonce.routing.decision.predictor_store import decision_partition
from payonce.routing.signals.packed import packed, unpacked
from tests.support.decisions import WEIGHTS, keep_decisions

if TYPE_CHECKING:
    from payonce.routing.control.document import ControlDocument
    from payonce.wiring.application import Application

ANN = ("--operator", "ann", "--reason", "alder maintains its hosts")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAYONCE_ROUTING", "PAYONCE_ROUTING_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the application in memory; return (exit code, standard output, standard error)."""
    monkeypatch.setattr(routing, "application_of", lambda *_: application)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["routing", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def document(application: Application) -> ControlDocument:
    """The document in force, after minutes of decisions."""
    return keep_decisions(application.database, application.clock.now_ms())


def in_force(application: Application) -> Override:
    raw = ControlStore(application.database).read().override
    assert raw is not None
    return parse_override(raw, frozenset(WEIGHTS))


def row(out: str, gateway: str) -> list[str]:
    """Return the cells of the first line that begins with the gateway's name."""
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == [gateway])


def sleep(application: Application, seconds: float) -> None:
    application.clock.sleep(seconds)  # type: ignore[attr-defined]


def test_show_without_anything_says_what_to_set(run: Any) -> None:
    code, out, _ = run("show")
    assert code == 0
    assert "document   none: payments use the static weights" in out
    assert "set PAYONCE_GATEWAYS and PAYONCE_ROUTING" in out


def test_show_says_what_is_in_force_and_why(application: Application, run: Any, document: ControlDocument) -> None:
    """Fails when the weights shown are not the document's, which decide in mode on."""
    sleep(application, 4)
    code, out, _ = run("show")
    assert code == 0
    assert "mode       on (configured)" in out
    assert f"epoch {document.epoch}, mode on, 4 s old, expires in 26 s" in out
    assert "reason     alder for card: at" in out
    assert "override   none" in out
    assert "admission  everything is taken" in out
    card = f"{document.weights['card']['alder']:.1%}"
    assert row(out, "alder") == ["50.0%", "50.0%", card]
    assert card != "50.0%"


def test_show_says_when_the_document_counts_no_more(
    application: Application, run: Any, document: ControlDocument
) -> None:
    """Fails when an expired document is shown as if it decided: payments are on the static weights."""
    sleep(application, 30 + 200)
    out = run("show")[1]
    assert "EXPIRED 3 min ago: payments use the static weights" in out
    assert row(out, "alder") == ["50.0%", "50.0%"]


def test_show_of_a_shadow_tells_what_is_from_what_would_be(application: Application, run: Any) -> None:
    shadow = keep_decisions(application.database, application.clock.now_ms(), Mode.SHADOW)
    out = run("show")[1]
    assert row(out, "alder") == ["50.0%", "50.0%"]
    would = out.split("what the document would make of them")[1]
    assert row(would, "alder") == [f"{shadow.weights['card']['alder']:.1%}"]


def test_show_of_a_canary_says_of_how_many_payments(application: Application, run: Any) -> None:
    keep_decisions(application.database, application.clock.now_ms(), Mode.CANARY)
    assert "of 5% of payments (canary)" in run("show")[1]


def test_show_names_limits_and_who_is_throttled(application: Application, run: Any, document: ControlDocument) -> None:
    shares = {f"mer_{number}": (number / 10, 0.0) for number in range(7)}
    throttling = replace(document, limits={"alder": 7.4}, admission=Admission(0.8, 0.25, shares))
    application.database.write([document_write(throttling)])
    out = run("show")[1]
    assert "limits     alder 7.4 in flight" in out
    assert "80% of authorizations, 25% of batch payments; of these merchants less: mer_0 0%/0%" in out
    assert "and 2 more" in out
    assert "not in force" not in out
    run("mode", "shadow", *ANN)
    shadow = run("show")[1]
    assert "alder 7.4 in flight (the document's, not in force)" in shadow
    assert "and 2 more (the document's, not in force)" in shadow


def test_what_payments_ignore_is_said_to_be_ignored(
    application: Application, run: Any, document: ControlDocument
) -> None:
    application.database.write([override_write(b"garbage", 1)])
    application.database.write([Adjust(table=Table.ROUTING, key=CONTROL_KEY, set={"document": b"{}"}, upsert=True)])
    out = run("show")[1]
    assert "document   can't be read (" in out
    assert "override   can't be read (" in out


def test_with_routing_off_nothing_else_counts(
    application: Application, run: Any, document: ControlDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when document or override are shown as if they decided, or a drain is taken that nobody would read."""
    run("drain", "alder", *ANN)
    monkeypatch.setenv("PAYONCE_ROUTING_MODE", "off")
    out = run("show")[1]
    assert "off (configured): payments read neither" in out
    assert row(out, "alder") == ["50.0%", "50.0%"]
    code, _, err = run("drain", "alder", *ANN)
    assert (code, "Deploy with RoutingMode=shadow" in err) == (2, True)


def test_a_drained_gateway_is_shown_without_traffic(
    application: Application, run: Any, document: ControlDocument
) -> None:
    code, out, _ = run("drain", "alder", "--minutes", "90", *ANN)
    assert (code, "alder at 0% of its weight" in out, "in 90 min" in out) == (0, True, True)
    assert "payments follow within 1.5 s" in out
    assert "payonce routing release" in out
    override = in_force(application)
    assert (override.shares, override.operator, override.reason) == ({"alder": 0.0}, ANN[1], ANN[3])
    assert override.expires_at_ms == application.clock.now_ms() + 90 * 60_000
    out = run("show")[1]
    assert "by ann: alder maintains its hosts" in out
    assert row(out, "alder") == ["50.0%", "0.0%", "0.0%"]
    assert row(out, "birch") == ["50.0%", "100.0%", "100.0%"]


def test_decisions_made_under_an_override_do_not_hide_the_static_weights(
    application: Application, run: Any, document: ControlDocument
) -> None:
    """Fails when the weights in the last record are taken for the configured ones: they have the shares in them.

    Then alder would seem to have no weight, and birch could not be drained in its stead.
    """
    run("drain", "alder", *ANN)
    sleep(application, 100)  # all records are new ones
    under = {"alder": 0.02, "birch": 0.98}
    for epoch in range(16, 0, -1):
        delete(application, epoch)
    keep_decisions(application.database, application.clock.now_ms(), weights=under)
    assert row(run("show")[1], "alder")[:2] == ["50.0%", "0.0%"]
    code, _, err = run("weights", "alder=1", "birch=0", *ANN)
    assert (code, err) == (0, "")
    assert row(run("show")[1], "alder")[:2] == ["50.0%", "100.0%"]
    run("release", *ANN)
    assert row(run("show")[1], "alder")[:2] == ["50.0%", "50.0%"], "the last record is still one under the override"


def delete(application: Application, epoch: int) -> None:
    now_ms = application.clock.now_ms()
    for at_ms in (now_ms, now_ms - 3_600_000):
        key = {"pk": decision_partition(at_ms), "sk": f"{epoch:012d}"}
        if application.database.get(Table.ROUTING, key) is not None:
            application.database.write([Delete(table=Table.ROUTING, key=key, require={})])


def test_nobody_shortens_what_another_ordered_and_all_of_it_is_told(
    application: Application, run: Any, document: ControlDocument
) -> None:
    """Fails when ann's drain of 90 minutes ends after bob's 60, or bob isn't told of it."""
    assert "before" not in run("drain", "alder", "--minutes", "90", *ANN)[1]
    out = run("mode", "off", "--operator", "bob", "--reason", "too nervous")[1]
    assert re.search(
        r"mode off until [0-9: -]+UTC, alder at 0% of its weight\n +until .*in 90 min", out.split("before")[0]
    )
    assert "in 90 min, by ann: alder maintains its hosts" in out.split("before")[1]
    sleep(application, 61 * 60)
    out = run("show")[1]
    assert "mode       on (configured)" in out
    assert "override   alder at 0% of its weight\n" in out


def test_an_override_that_ran_out_is_not_shown_as_one(
    application: Application, run: Any, document: ControlDocument
) -> None:
    run("drain", "alder", "--minutes", "1", *ANN)
    sleep(application, 60)
    out = run("show")[1]
    assert "none in force; the last one ended" in out
    assert row(out, "alder")[1] == "50.0%"


def test_several_gateways_at_once(application: Application, run: Any, document: ControlDocument) -> None:
    code, out, _ = run("weights", "alder=0.25", "birch=1", *ANN)
    assert (code, "alder at 25% of its weight" in out) == (0, True)
    assert in_force(application).shares == {"alder": 0.25, "birch": 1.0}
    for wrong in ("alder", "=1", "alder=some"):
        code, _, err = run("weights", wrong, *ANN)
        assert (code, "Write alder=0.5" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drain", "dogwood"], "knows no gateway dogwood. It routes to: alder, birch"),
        (["drain", "alder", "--share", "1.5"], "shares from 0 to 1"),
        (["drain", "alder", "--share", "nan"], "shares from 0 to 1"),
        (["drain", "alder", "--minutes", "0"], "an end within 7 days"),
        (["mode", "off", "--minutes", "10081"], "an end within 7 days"),
        (["weights", "alder=0", "birch=0"], "No gateway would be left"),
    ],
)
def test_what_may_not_be_is_refused_with_what_may(
    application: Application, run: Any, document: ControlDocument, arguments: list[str], said: str
) -> None:
    code, out, err = run(*arguments, *ANN)
    assert (code, out) == (2, "")
    assert said in err
    assert ControlStore(application.database).read().override is None


def test_the_last_gateway_is_not_drained(application: Application, run: Any, document: ControlDocument) -> None:
    assert run("drain", "alder", *ANN)[0] == 0
    code, _, err = run("drain", "birch", *ANN)
    assert (code, "No gateway would be left" in err) == (2, True)
    assert in_force(application).shares == {"alder": 0.0}


@pytest.mark.parametrize("missing", ["--operator", "--reason"])
def test_nothing_is_overridden_without_a_name_and_a_reason(run: Any, missing: str) -> None:
    with pytest.raises(SystemExit):
        run("mode", "off", *[each for pair in (ANN[:2], ANN[2:]) if pair[0] != missing for each in pair])
    assert run("mode", "off", "--operator", " ", "--reason", " ")[0] == 2


def test_without_decisions_the_gateways_must_be_named(application: Application, run: Any) -> None:
    code, _, err = run("drain", "alder", *ANN)
    assert (code, "Set PAYONCE_GATEWAYS and PAYONCE_ROUTING" in err) == (2, True)


def test_without_decisions_the_environment_counts_and_a_warning_is_given(
    application: Application, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when an operator is told that payments follow, though with RoutingMode off nobody reads the override."""
    monkeypatch.setenv("PAYONCE_ROUTING", "as in the settings")
    routing = replace(application.settings.routing, neutral=dict(WEIGHTS))
    application.settings = replace(application.settings, routing=routing)
    code, out, _ = run("drain", "alder", *ANN)
    assert (code, "If RoutingMode is off, payments do not read this" in out) == (0, True)
    assert "mode       not known here" in run("show")[1]


def test_a_forced_mode_is_shown_beside_the_configured_one(
    application: Application, run: Any, document: ControlDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the mode in a decision's record is taken for the configured one while an override forces it."""
    assert run("mode", "shadow", *ANN)[0] == 0
    out = run("show")[1]
    assert "shadow (forced by the override; configured: not known here)" in out
    assert row(out, "alder") == ["50.0%", "50.0%"], "a shadow decides nothing"
    monkeypatch.setenv("PAYONCE_ROUTING_MODE", "on")
    assert "configured: on)" in run("show")[1]


def test_release_ends_it_and_the_history_keeps_both(
    application: Application, run: Any, document: ControlDocument
) -> None:
    assert "nobody has overridden" in run("history")[1]
    run("drain", "alder", *ANN)
    run("mode", "off", "--operator", "bob", "--reason", "too nervous")
    code, out, _ = run("release", "--operator", "bob", "--reason", "over")
    assert (code, "released" in out) == (0, True)
    assert in_force(application).is_release()
    last, second, first = run("history")[1].splitlines()
    assert "ann: alder at 0% of its weight for 60 min (before: none)  alder maintains its hosts" in first
    assert "bob: mode off, alder at 0% of its weight for 60 min (before: alder at 0%" in second
    assert "bob: released (before: mode off, alder at 0% of its weight" in last
    assert run("history", "--last", "1")[1].splitlines() == [last]
    code, _, err = run("release", "--operator", "bob", "--reason", "over")
    assert (code, "nothing to release" in err) == (2, True)


def test_decisions_are_listed_the_newest_first(application: Application, run: Any, document: ControlDocument) -> None:
    code, out, _ = run("decisions", "--last", "3")
    lines = out.splitlines()
    assert code == 0
    assert [int(line.split()[0]) for line in lines[:3]] == [document.epoch - back for back in range(3)]
    assert "alder for card" in lines[0]
    assert lines[3].startswith("next: payonce routing explain")


def test_decisions_of_none_say_where_to_look(run: Any) -> None:
    assert "docs/runbooks/routing-predictor-silent.md" in run("decisions")[1]


def test_a_replay_says_the_same_bytes(application: Application, run: Any, document: ControlDocument) -> None:
    assert json.loads(run("replay", str(document.epoch), "--json")[1])["same"] is True
    code, out, _ = run("replay", str(document.epoch))
    assert (code, out.startswith("the same bytes")) == (0, True)


def test_a_replay_says_what_differs(application: Application, run: Any, document: ControlDocument) -> None:
    """Fails when the decision is read, and not made again."""
    key = {"pk": decision_partition(application.clock.now_ms()), "sk": f"{document.epoch:012d}"}
    change(application, key, lambda stored: stored["document"]["weights"]["card"].update(alder=0.25))
    code, out, _ = run("replay", str(document.epoch))
    assert (code, "NOT the same" in out) == (1, True)
    assert "document.weights.card.alder: recorded 0.25, made again" in out


def change(application: Application, key: dict[str, str], how: Any) -> None:
    item = application.database.get(Table.ROUTING, key)
    assert item is not None
    stored = json.loads(unpacked(item["record"], 10**7))
    how(stored)
    record = packed(json.dumps(stored).encode())
    application.database.write([Adjust(table=Table.ROUTING, key=key, set={"record": record})])


@pytest.mark.parametrize("command", ["replay", "explain"])
def test_a_decision_is_found_in_the_last_hours_or_in_the_one_named(
    application: Application, run: Any, document: ControlDocument, command: str
) -> None:
    """Fails when the hour of the decision is not looked at, or a later hour alone."""
    hour = decision_partition(application.clock.now_ms()).removeprefix("DECISION#")
    sleep(application, (SEARCHED_HOURS - 1) * 3600)
    assert run(command, str(document.epoch))[0] == 0
    sleep(application, 2 * 3600)
    code, _, err = run(command, str(document.epoch))
    assert (code, "name an older one with --hour" in err) == (2, True)
    assert run(command, str(document.epoch), "--hour", hour)[0] == 0
    assert "Write 20261125T11" in run(command, str(document.epoch), "--hour", "now")[2]
    assert run(command, "99")[0] == 2


def record_key(application: Application, document: ControlDocument) -> dict[str, str]:
    return {"pk": decision_partition(application.clock.now_ms()), "sk": f"{document.epoch:012d}"}


def test_what_is_no_record_is_refused(application: Application, run: Any, document: ControlDocument) -> None:
    key = record_key(application, document)
    application.database.write([Adjust(table=Table.ROUTING, key=key, set={"record": b"garbage"})])
    code, _, err = run("replay", str(document.epoch))
    assert (code, "can't be read" in err) == (2, True)


def as_version_1(stored: dict[str, Any]) -> None:
    """Make it the record of the version before: other settings, other forecasts, and a model's coefficients."""
    stored["version"] = 1
    stored["settings"].update(horizon_seconds=60, act_at_probability=0.5, max_shift=0.25)
    stored["model"] = {"intercept": -4.0, "weights": {"slope": 1.0}, "horizon_seconds": 60}
    for key in stored["forecasts"]:
        stored["forecasts"][key] = {"probability": 0.93, "horizon_seconds": 60, "features": {}, "drivers": ["slope"]}


@pytest.mark.parametrize(("command", "done"), [("replay", "replayed"), ("explain", "explained")])
def test_the_record_of_another_version_is_refused_with_what_to_do(
    application: Application, run: Any, document: ControlDocument, command: str, done: str
) -> None:
    """Fails with a traceback when the record's version is not asked."""
    change(application, record_key(application, document), as_version_1)
    code, out, err = run(command, str(document.epoch))
    assert (code, out) == (2, "")
    assert f"The record of epoch {document.epoch} can't be {done}" in err
    assert "version" in err
    assert "Traceback" not in err
    assert run("decisions")[0] == 0, "but it is listed"


def test_after_an_update_a_gateway_is_drained_by_the_settings_of_the_old_record(
    application: Application, run: Any, document: ControlDocument
) -> None:
    """Fails when settings that are gone make the record's others unreadable, until there is a new decision."""
    change(application, record_key(application, document), as_version_1)
    assert run("show")[0] == 0
    code, _, err = run("drain", "alder", *ANN)
    assert (code, err) == (0, "")
    assert in_force(application).shares == {"alder": 0.0}


def test_a_changed_record_is_not_explained(application: Application, run: Any, document: ControlDocument) -> None:
    """Fails with a traceback when a record is trusted to hold what it should."""
    change(
        application,
        record_key(application, document),
        lambda stored: stored["forecasts"]["alder|card"].pop("others_share"),
    )
    code, out, err = run("explain", str(document.epoch))
    assert (code, out) == (2, "")
    assert "others_share" in err


def test_the_forecasts_are_explained_route_by_route(
    application: Application, run: Any, document: ControlDocument
) -> None:
    """Fails when a figure shown is not the record's."""
    item = application.database.get(Table.ROUTING, record_key(application, document))
    assert item is not None
    forecasts = json.loads(unpacked(item["record"], 10**7))["forecasts"]
    told = json.loads(run("explain", str(document.epoch), "--json")[1])
    assert (told["epoch"], told["forecasts"].keys()) == (document.epoch, told["forecasts"].keys() - {""})
    code, out, _ = run("explain", str(document.epoch))
    lines = out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.split()[:1] == ["gateway"])
    assert code == 0
    assert lines[head].split() == ["gateway", "method", "bad", "others", "trusted", "drivers"]
    alder, birch = forecasts["alder|card"], forecasts["birch|card"]
    assert alder["bad_share"] > birch["bad_share"] > 0, "the worst comes first"
    assert lines[head + 1].split() == [
        "alder",
        "card",
        f"{alder['bad_share']:.1%}",
        f"{alder['others_share']:.1%}",
        f"{alder['trusted']:.1%}",
        "late",
    ]
    assert lines[head + 2].split()[:3] == ["birch", "card", f"{birch['bad_share']:.1%}"]
    assert lines[head + 2].split()[-1] == "-"


def test_what_was_stored_moves_no_cursor(application: Application, run: Any, document: ControlDocument) -> None:
    """Fails when a reason from the store is written to the terminal as it is."""
    application.database.write([document_write(replace(document, reason="\x1b[2Jgone"))])
    assert "\x1b" not in run("show")[1]


@pytest.mark.parametrize("command", ["history", "decisions"])
@pytest.mark.parametrize("last", ["0", "-1"])
def test_less_than_one_line_is_refused(run: Any, document: ControlDocument, command: str, last: str) -> None:
    """Fails when --last 0 says that there are none, or --last -1 ends in a traceback."""
    with pytest.raises(SystemExit) as exit_:
        run(command, "--last", last)
    assert exit_.value.code == 2


@pytest.mark.parametrize(("at_ms", "when"), [(4_102_444_800_000, "2100-01-01"), (10**18, "out of"), (10**30, "out of")])
def test_an_override_of_the_future_is_shown_as_one(
    application: Application, run: Any, document: ControlDocument, at_ms: int, when: str
) -> None:
    """Fails when it is said to have ended, or when a time that no calendar has ends in a traceback."""
    override = Override(
        version=1, shares={"alder": 0.5}, operator="ann", reason="x", issued_at_ms=at_ms, expires_at_ms=at_ms + 1
    )
    application.database.write([override_write(override.to_bytes(), 1)])
    code, out, _ = run("show")
    assert code == 0
    assert "issued in the future" in out
    assert when in out
    assert "ended" not in out
    assert run("release", *ANN)[0] == 0


@pytest.mark.parametrize("name", ["al\x1b[2Jder", "\ud800"])
def test_a_gateways_name_in_the_history_moves_no_cursor(application: Application, run: Any, name: str) -> None:
    """Fails when a name from the store is written to the terminal as it is, or can't be written at all."""
    override = Override(
        version=1, shares={name: 0.5}, operator="ann", reason="x", issued_at_ms=1, expires_at_ms=2
    ).to_bytes()
    desk = OverrideDesk(application.database, application.clock, WEIGHTS)
    application.database.write([override_write(override, 1)])
    desk.set(operator="bob", reason="y", shares={"alder": 0.5})
    code, out, _ = run("history")
    assert code == 0
    assert ascii(name) in out
    assert all(line.isprintable() for line in out.splitlines())


def test_who_overrides_is_in_the_audit_trail_too(application: Application, run: Any, document: ControlDocument) -> None:
    """Fails when the export of who did what has to be put together from two histories."""
    for arguments in (["drain", "alder", *ANN], ["release", *ANN]):
        assert run(*arguments, "--audit-table", "audit")[0] == 0
        sleep(application, 1)
    entries = list(application.audit_trail.entries(from_ms=1_799_000_000_000, until_ms=1_801_000_000_000))
    assert [(each.operation, each.transition.value, each.principal, each.reason) for each in entries] == [
        ("drain_routing", "acted", "operator:ann", ANN[3]),
        ("release_routing", "acted", "operator:ann", ANN[3]),
    ]


@pytest.mark.parametrize("name", ["ann\u200b", "\u0430nn"])
def test_an_override_by_a_name_that_could_pass_for_another_is_refused(
    application: Application, run: Any, document: ControlDocument, name: str
) -> None:
    code, _, err = run("drain", "alder", "--operator", name, "--reason", "why")
    assert (code, "can't be seen" in err or "look alike" in err) == (2, True)
    assert ControlStore(application.database).read().override is None
