"""The function that keeps what the overview shows, from its events to the items; DynamoDB is moto's."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from payonce.domain.durations import DAY_MS
from payonce.overview.breaks import open_by_day
from payonce.overview.minutes import MinuteCounts, minute_of
from payonce.overview.scopes import EVERYBODY
from payonce.wiring.overview import OverviewApplication
from payonce.wiring.settings import load_settings
from tests.functional.conftest import load_handler
from tests.functional.test_roles import unused
from tests.support.aws import REPOSITORY, create_tables, dynamo_database, dynamodb_client
from tests.support.events import Context
from tests.support.roles import recorded
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

MERCHANT = "mer_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
STORED_MS = 1_795_576_000_000  # of the events in events/keep_overview
LOGGED_MS = 1_795_526_278_000  # of its lines of the log


@pytest.fixture
def overview() -> Iterator[OverviewApplication]:
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        yield OverviewApplication(
            load_settings({"PAYONCE_OVERVIEW_TABLE": "overview"}), clock=RealClock(), database=database
        )


@pytest.fixture
def run(overview: OverviewApplication, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how the function is run on a case of events/keep_overview."""
    monkeypatch.setattr("payonce.wiring.overview.bootstrap_overview", lambda: overview)
    handler = load_handler("keep_overview", overview, monkeypatch)

    def ran(case: str) -> Any:
        happened = json.loads((REPOSITORY / "events" / "keep_overview" / f"{case}.json").read_text())
        return handler(happened, Context())

    return ran


def counted(overview: OverviewApplication, scope: str) -> dict[str, int]:
    minutes = MinuteCounts(overview.database).read(scope, minute_of(STORED_MS) - 1, minute_of(STORED_MS) + 1)
    return dict(sum(minutes.counts.values(), start=Counter()))


def test_every_source_is_counted_once_however_often_it_comes(run: Any, overview: OverviewApplication) -> None:
    """Fails when a source is not read, or when what comes again is counted again."""
    for _ in range(3):
        assert run("two_payments") == {"state": {}}
        assert run("one_is_no_event") == {"state": {}}
        assert run("a_break_was_opened") == {"state": {}}
        assert run("replays") == {"state": {}}
    # The batch without a shard's name is another shard's.
    assert counted(overview, MERCHANT) == counted(overview, EVERYBODY) == {"payment.captured": 3}
    assert open_by_day(overview.database, MERCHANT) == {1_795_526_278_000 // DAY_MS: 1}
    logged = MinuteCounts(overview.database).read(MERCHANT, minute_of(LOGGED_MS), minute_of(LOGGED_MS))
    assert logged.counts[minute_of(LOGGED_MS)] == {"replayed": 3}


def test_the_function_asks_for_what_its_role_allows(run: Any, overview: OverviewApplication) -> None:
    with recorded() as asked:
        test_every_source_is_counted_once_however_often_it_comes(run, overview)
    assert unused("keep_overview", asked) == set()
