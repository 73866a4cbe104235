"""KMS for tests: moto, made to answer like the service where it differs.

Moto lets a disabled key decrypt, and says "access denied" for a text that another key than the named one has wrapped.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from tests.support.aws import REGION

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

# AWS KMS Developer Guide, "Key states of AWS KMS keys": what each state answers to cryptography.
REFUSALS = {"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException"}


class StrictKms:
    """A KMS client that counts its calls, keeps their contexts, and minds the key's state."""

    def __init__(self) -> None:
        self.client: KMSClient = boto3.client("kms", region_name=REGION)
        self.key_id: str = self.client.create_key()["KeyMetadata"]["KeyId"]
        self.calls: Counter[str] = Counter()
        self.contexts: list[dict[str, str]] = []

    def generate_data_key(self, **request: Any) -> Any:
        """As boto3's."""
        self._note("GenerateDataKey", request)
        return self.client.generate_data_key(**request)

    def decrypt(self, **request: Any) -> Any:
        """As boto3's."""
        self._note("Decrypt", request)
        try:
            return self.client.decrypt(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            assert "KeyId" in request, "only with the key named does the service tell a wrong key from a missing right"
            raise _error("IncorrectKeyException", "Decrypt") from error

    def _note(self, operation: str, request: dict[str, Any]) -> None:
        self.calls[operation] += 1
        self.contexts.append(request["EncryptionContext"])
        state = self.client.describe_key(KeyId=self.key_id)["KeyMetadata"]["KeyState"]
        if state in REFUSALS:
            raise _error(REFUSALS[state], operation)


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "As the API reference says."}}, operation)
