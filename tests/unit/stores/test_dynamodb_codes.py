"""All of DynamoDB's codes at once: what each says of a write, without a client around it."""

from __future__ import annotations

from botocore.exceptions import ClientError

from payonce.stores.dynamodb_errors import is_busy, write_error
from tests.unit.stores.test_dynamodb_requests import CODES, cancelled


def test_every_code_of_a_write_means_one_thing() -> None:
    """Fails when a code is missing among those that are refused: what nobody wrote is then in doubt."""
    found = {code: type(write_error(ClientError({"Error": {"Code": code}}, "PutItem"))) for code in CODES}
    assert found == CODES


def test_each_reason_of_other_writers_is_busy_by_itself() -> None:
    """Fails when a transaction is given up that a moment later would have been written."""
    for code in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"):
        assert is_busy(cancelled("None", code)), code
    assert not is_busy(cancelled("None", "AccessDenied"))
