"""The contract of ``FileStore``, on every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from payonce.aws.s3_files import S3Files
from payonce.domain.errors import FileRejected, StoreUnavailable
from payonce.stores.memory_files import MemoryFiles
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payonce.ports import FileStore

NAME = "incoming/gateway/bank/2026-11-25.csv"


@pytest.fixture(params=["memory", "s3"])
def files(request: pytest.FixtureRequest) -> Iterator[FileStore]:
    if request.param == "memory":
        yield MemoryFiles()
        return
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield S3Files(client, "reports")


def test_what_was_written_is_read_and_the_last_one_stays(files: FileStore) -> None:
    assert files.read(NAME, max_bytes=10) is None
    files.write(NAME, b"first")
    files.write(NAME, b"second")
    assert files.read(NAME, max_bytes=10) == b"second"


def test_a_file_over_the_limit_is_refused_with_its_size(files: FileStore) -> None:
    """Fails when a file of any size is taken into memory."""
    files.write(NAME, b"0123456789")
    assert files.read(NAME, max_bytes=10) == b"0123456789"
    with pytest.raises(FileRejected, match="10 bytes, and at most 9"):
        files.read(NAME, max_bytes=9)


def test_a_file_is_brought_to_a_path_and_stored_from_one(files: FileStore, tmp_path: Path) -> None:
    assert not files.fetch(NAME, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "from").write_bytes(b"rows")
    files.store(NAME, tmp_path / "from")
    assert files.fetch(NAME, tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"rows" == files.read(NAME, max_bytes=10)


@mock_aws
def test_a_bucket_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    nowhere = S3Files(boto3.client("s3", region_name=REGION), "nowhere")
    with pytest.raises(StoreUnavailable):
        nowhere.write(NAME, b"x")
    with pytest.raises(StoreUnavailable):
        nowhere.read(NAME, max_bytes=10)
    (tmp_path / "from").write_bytes(b"rows")
    with pytest.raises(StoreUnavailable):
        nowhere.store(NAME, tmp_path / "from")
