"""What somebody reads who names a Redis that is not there."""

from __future__ import annotations

import pytest

from payonce import redis_store
from payonce.domain.errors import StoreUnavailable


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: object) -> None:
    """Fails when the error says that something is unavailable and not where, or says the URL with its password."""
    with pytest.raises(StoreUnavailable) as unavailable:
        redis_store(f"unix://user:hidden-word@{tmp_path}/redis.sock")
    assert f"listen at {tmp_path}/redis.sock?" in unavailable.value.detail
    assert "hidden-word" not in unavailable.value.detail
