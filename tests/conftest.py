"""What all suites share: no example of Hypothesis has a deadline, and a skip is a failure in CI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from moto.core.config import default_user_config

from payonce.observability import get_logger
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.update(FAKE_CREDENTIALS)  # before any client is made: no test may ever reach for real ones
for variable in ("AWS_ENDPOINT_URL", "PAYONCE_STACK"):  # what `make up` says to export
    os.environ.pop(variable, None)
# boto3's session keeps what it has read of the services' descriptions, megabytes of JSON; by default each test's
# mock_aws() throws the session away. Clients still are each test's own, and so is all that moto holds.
default_user_config["core"]["reset_boto3_session"] = False
# How long an example takes, and how long it takes to draw, says how busy the machine is.
settings.register_profile("payonce", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("payonce")
# The logger writes to what is stdout when it is made. Made within a test, that is the test's own capture, and closed
# for all tests after it: they would find logging's own complaint about it in what was said.
get_logger()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Turn a skip into a failure in CI."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI nothing is skipped: {report.longrepr}"
