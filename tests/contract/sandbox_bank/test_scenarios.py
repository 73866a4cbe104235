"""A bank's scenario belongs to the test that set it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till


def test_a_scenario_goes_with_its_test_also_when_that_fails(till: Till) -> None:
    """Fails when what is left of a failed test's scenario befalls the next test's payment."""
    with (
        pytest.raises(AssertionError, match="the test's own"),
        till.handle.misbehaving(till.bank, "unavailable", times=2),
    ):
        with pytest.raises(HTTPError) as refused:
            till.charge("ref-1", 100)
        refused.value.close()
        raise AssertionError("the test's own")
    assert till.charge("ref-1", 100)["status"] == "succeeded"
