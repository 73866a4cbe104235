"""Blobs in an S3 bucket, for the proxy function. The bucket's lifecycle forgets them when the guard is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PREFIX = "responses/"


class S3Blobs:
    """See ``Blobs``."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, data: bytes) -> None:
        """See ``Blobs``."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=PREFIX + name, Body=data)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable("A large answer could not be stored.") from error

    def get(self, name: str) -> bytes | None:
        """See ``Blobs``."""
        try:
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=PREFIX + name)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                return None
            raise StoreUnavailable("A large answer could not be read.") from error
        except BotoCoreError as error:
            raise StoreUnavailable("A large answer could not be read.") from error
        return data
