"""Who may open what of merchants' accounts: senders of payments the API keys, takers of events what signs these."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from payonce.aws.envelope import EnvelopeCipher
from payonce.domain.gateway_address import address_of
from payonce.merchants.credentials_desk import CredentialsDesk
from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets
from payonce.ports import Insert, Table
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.functional.test_roles import ACCOUNTS, NOT_ASKED_FOR
from tests.support.account_stage import EVENTS_SECRETS, MERCHANT_A
from tests.support.aws import REGION, create_tables, dynamo_database, dynamodb_client
from tests.support.roles import Call, function_names, grants, recorded
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

ON_GATEWAYS = sorted(
    {*(name for name, explained in NOT_ASKED_FOR.items() if ACCOUNTS in explained)}
    # The console's release of a key asks the gateway first, as the operator's command does.
    | {"apply_gateway_events", "correct_break", "key_actions"}
)


@pytest.fixture
def calls() -> Iterator[dict[str, set[Call]]]:
    """What is asked of AWS by who makes a payment at a merchant's account, and by who takes its events."""
    clock = ManualClock()
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        key_arn = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"]
        environment = {
            "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9/banks/platform"}]',
            "PAYONCE_SECRETS_KEY_ARN": key_arn,
            "PAYONCE_CREDENTIALS_TABLE": "credentials",
        }
        database.write([Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{MERCHANT_A}", "sk": "MERCHANT"})])
        cipher = EnvelopeCipher(boto3.client("kms", region_name=REGION), key_arn, clock, os.urandom)
        desk = CredentialsDesk(database=database, cipher=lambda: cipher, clock=clock)
        desk.set(MERCHANT_A, "bank", "a", AccountKind.OWN, AccountSecrets("key-of-a", EVENTS_SECRETS))
        asked: dict[str, set[Call]] = {}
        for name in ("sending", "taking"):
            application: Any = Application(load_settings(environment), clock=clock, database=database)
            with recorded() as seen:
                if name == "sending":
                    assert application.account_in_use(MERCHANT_A, "bank") == "a"
                    assert application.gateway(address_of("bank", MERCHANT_A, "a")).name == "bank"
                else:
                    assert application.merchant_gateways.own_secrets(MERCHANT_A, "bank") == {"a": list(EVENTS_SECRETS)}
            asked[name] = set(seen)
        yield asked


def refused(function: str, calls: set[Call]) -> set[str]:
    """Return the actions that the function's role does not allow."""
    allowed = grants(function_names()[function])
    return {call.action for call in calls if not any(grant.allows(call) for grant in allowed)}


@pytest.mark.parametrize("function", ON_GATEWAYS)
def test_whoever_asks_gateways_opens_the_keys_and_no_secret_of_events(
    calls: dict[str, set[Call]], function: str
) -> None:
    """Fails when a role can't open a merchant's key: its payments would end in a 503, or stay in doubt."""
    assert {call.action for call in calls["sending"]} == {"dynamodb:GetItem", "kms:Decrypt"}
    assert refused(function, calls["sending"]) == set()
    assert refused(function, calls["taking"]) == {"kms:Decrypt"}


def test_the_open_route_opens_no_key(calls: dict[str, set[Call]]) -> None:
    """Fails when the function that anybody on the internet may call could open an API key."""
    assert refused("accept_gateway_events", calls["taking"]) == set()
    assert refused("accept_gateway_events", calls["sending"]) == {"kms:Decrypt"}


def test_no_other_function_reads_the_accounts() -> None:
    """Fails when a role may read them without a need, or write them at all."""
    reads = {
        name
        for name, logical in function_names().items()
        for grant in grants(logical)
        if grant.resource == "CredentialsTable"
    }
    assert reads == {*ON_GATEWAYS, "accept_gateway_events"}
    actions = {
        grant.action
        for logical in function_names().values()
        for grant in grants(logical)
        if grant.resource.startswith("CredentialsTable")
    }
    assert actions == {"dynamodb:GetItem"}
