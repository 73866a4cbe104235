"""Routing's settings from the environment: a wrong one stops the start, and says what to do."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.routing.control.configured import NUMBERS, WHOLE
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.wiring.settings import Settings, load_settings
from tests.support.aws import REPOSITORY

TWO = '[{"name":"alder","kind":"sandbox_bank"},{"name":"birch","kind":"sandbox_bank"}]'


def load(**environment: str) -> Settings:
    return load_settings(
        {
            "PAYONCE_GATEWAYS": TWO,
            "PAYONCE_DEFAULT_GATEWAY": "alder",
            "PAYONCE_ROUTING_TABLE": "routing",
            **{f"PAYONCE_{name}": value for name, value in environment.items()},
        }
    )


def test_nothing_said_is_off_and_the_default_gateway() -> None:
    """Fails when a deployment that says nothing begins to read, or to split its payments."""
    assert load().routing == load(ROUTING="", ROUTING_MODE="").routing
    assert load().routing == RoutingSettings(neutral={"alder": 1.0}, mode=Mode.OFF)


def test_what_is_said_is_taken() -> None:
    told = load(
        ROUTING_MODE="canary",
        ROUTING='{"weights":{"birch":0.75,"alder":0.25},"slo_ms":2000,"canary_share":0.1,"hold_seconds":90,'
        '"life_seconds":20}',
    ).routing
    assert told == RoutingSettings(
        neutral={"alder": 0.25, "birch": 0.75},
        mode=Mode.CANARY,
        slo_ms=2000,
        canary_share=0.1,
        hold_seconds=90,
        life_seconds=20,
    )


def test_every_setting_has_its_name() -> None:
    """Fails when a new setting can't be set."""
    assert WHOLE | NUMBERS | {"neutral", "mode"} == {field.name for field in fields(RoutingSettings)}


def test_the_documented_settings_are_the_codes_with_their_defaults() -> None:
    """Fails when a setting or its default is changed, and operators read of another one."""
    page = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("`Routing` is a JSON object")[2].partition("\n\nWith an invalid setting")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", table, re.MULTILINE))
    defaults = RoutingSettings(neutral={"alder": 1.0})
    assert {name: float(value) for name, value in documented.items()} == {
        name: getattr(defaults, name) for name in WHOLE | NUMBERS
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ('"on"', "JSON object"),
        ("[" * 100_000, "JSON object"),
        ('{"mode":"on"}', "PAYONCE_ROUTING_MODE"),
        ('{"neutral":{"alder":1}}', "weights"),
        ('{"slo_ms":2000.5}', "slo_ms"),
        ('{"slo_ms":true}', "slo_ms"),
        ('{"slo_ms":0}', "SLO"),
        pytest.param('{"canary_share":1' + "0" * 400 + "}", "canary_share", id="beyond any float"),
        pytest.param('{"weights":{"alder":1' + "0" * 400 + "}}", "weights", id="a weight beyond any float"),
        ('{"canary_share":"0.5"}', "canary_share"),
        ('{"probes_per_second":0.2}', "probes_per_second"),
        ('{"canary_share":2}', "canary_share"),
        ('{"canary_share":NaN}', "JSON object"),
        ('{"canary_share":1e999}', "canary_share"),
        ('{"life_seconds":301}', "life_seconds"),
        ('{"weights":[]}', "weights"),
        ('{"weights":{}}', "weights"),
        ('{"weights":{"":1}}', "weights"),
        ('{"weights":{"alder":"1"}}', "weights"),
        ('{"weights":{"alder":0.5}}', "add up to 1"),
        ('{"weights":{"alder":1.5,"birch":-0.5}}', "at least 0"),
        ('{"weights":{"alder":0.5,"cedar":0.5}}', "cedar"),
        ('{"weights":{"alder":1,"cedar":0}}', "cedar"),
    ],
)
def test_a_wrong_setting_stops_the_start(text: str, named: str) -> None:
    """Fails for each when it is not looked at: the first payment would find it, or none ever."""
    with pytest.raises(MisconfiguredError, match=named):
        load(ROUTING=text)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ROUTING_MODE": "On"}, "off, shadow, canary, on"),
        ({"ROUTING_MODE": "on", "DEFAULT_GATEWAY": ""}, "nothing to route between"),
        ({"ROUTING_MODE": "shadow", "ROUTING_TABLE": ""}, "PAYONCE_ROUTING_TABLE"),
    ],
)
def test_a_mode_that_could_do_nothing_stops_the_start(environment: dict[str, Any], named: str) -> None:
    """Fails when it starts all the same: every read would fail, and nobody would be told."""
    with pytest.raises(MisconfiguredError, match=named):
        load(**environment)


def test_a_deployment_without_any_gateway_starts() -> None:
    """Its functions that need none have to. Fails when routing insists on a gateway that nobody asked for."""
    assert load_settings({}).routing.mode is Mode.OFF
