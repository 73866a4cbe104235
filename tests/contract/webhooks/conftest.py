"""A courier whose received bytes are counted, and an authority that it trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.network.timed_socket import TimedReader
from tests.contract.webhooks.courier import Courier
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def courier(monkeypatch: pytest.MonkeyPatch) -> Courier:
    """A courier."""
    made = Courier()
    readinto: Callable[[TimedReader, memoryview], int] = TimedReader.readinto

    def counted(reader: TimedReader, buffer: memoryview) -> int:
        received_bytes = readinto(reader, buffer)
        made.received_bytes += received_bytes
        return received_bytes

    monkeypatch.setattr(TimedReader, "readinto", counted)
    return made


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_courier(courier: Courier, authority: Authority) -> Courier:
    """A courier that trusts the authority."""
    courier.ca_file = str(authority.ca_file)
    return courier
