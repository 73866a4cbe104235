"""Files in an S3 bucket: reports and statements as received, and the results of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected, StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client


class S3Files:
    """``FileStore`` on S3."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """See ``FileStore``."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
            if answer["ContentLength"] > max_bytes:
                raise FileRejected(f"{name} has {answer['ContentLength']} bytes, and at most {max_bytes} are read.")
            data: bytes = answer["Body"].read()
        except ClientError as error:
            if _is_missing(error):
                return None
            raise StoreUnavailable(f"{name} could not be read.") from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"{name} could not be read.") from error
        return data

    def write(self, name: str, data: bytes) -> None:
        """See ``FileStore``."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=data)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"{name} could not be stored.") from error

    def fetch(self, name: str, to: Path) -> bool:
        """See ``FileStore``."""
        try:
            self._client.download_file(self._bucket, name, str(to))
        except ClientError as error:
            if _is_missing(error):
                return False
            raise StoreUnavailable(f"{name} could not be read.") from error
        except (BotoCoreError, Boto3Error) as error:
            raise StoreUnavailable(f"{name} could not be read.") from error
        return True

    def store(self, name: str, path: Path) -> None:
        """See ``FileStore``."""
        try:
            self._client.upload_file(str(path), self._bucket, name)
        except (BotoCoreError, ClientError, Boto3Error) as error:
            raise StoreUnavailable(f"{name} could not be stored.") from error


def _is_missing(error: ClientError) -> bool:
    # A missing bucket is a 404 too, but does not mean that the file is missing.
    return error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}
