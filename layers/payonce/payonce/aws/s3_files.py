"""Files in an S3 bucket: reports and statements as they came, and what a run leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from payonce.domain.errors import FileRejected, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class S3Files:
    """See ``FileStore``."""

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
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
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
