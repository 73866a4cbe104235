"""One Spark in this process. Without Java the suite fails; it is not skipped."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tools.compile_rules import compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile the rules as they are now."""
    compile_rules()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a session whose database is empty; nothing listens beyond loopback."""
    if shutil.which("java") is None:
        pytest.fail("Spark needs Java 17 or later on the PATH: apt-get install openjdk-17-jre-headless")
    from payonce.engines.spark_engine import local_session

    session = local_session(tmp_path_factory.mktemp("spark"), memory_mb=1024, partitions=4)
    yield session
    session.stop()
