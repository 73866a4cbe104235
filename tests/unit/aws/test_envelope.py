"""Every error of KMS is translated once: what no retry helps is told from what may be over in a moment."""

from __future__ import annotations

import os
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from payonce.aws.envelope import EnvelopeCipher
from payonce.domain.errors import SecretNotOpened, StoreUnavailable
from payonce.stores.memory_cipher import MemoryCipher
from tests.support.world import ManualClock

CONTEXT = {"merchant_id": "mer_1"}


def kms_error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Decrypt")


# The errors that the API reference lists for Decrypt and GenerateDataKey, and the common ones.
FOR_GOOD = [
    kms_error("InvalidCiphertextException"),
    kms_error("IncorrectKeyException"),
    kms_error("InvalidKeyUsageException"),
    kms_error("DisabledException"),
    kms_error("KMSInvalidStateException"),
    kms_error("NotFoundException"),
]
PASSING = [
    kms_error("ThrottlingException"),
    kms_error("LimitExceededException"),
    kms_error("KMSInternalException"),
    kms_error("KeyUnavailableException"),
    kms_error("DependencyTimeoutException"),
    kms_error("ExpiredTokenException"),
    kms_error("AccessDeniedException", "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: kms:Decrypt"),
    kms_error("SomethingNewException"),
    EndpointConnectionError(endpoint_url="https://kms"),
    ConnectTimeoutError(endpoint_url="https://kms"),
    ReadTimeoutError(endpoint_url="https://kms"),
    NoCredentialsError(),
    ClientError({}, "Decrypt"),
]


class FailingKms:
    """Answers every call with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def generate_data_key(self, **_: Any) -> Any:
        raise self._error

    def decrypt(self, **_: Any) -> Any:
        raise self._error


def cipher_on(error: ClientError | BotoCoreError) -> EnvelopeCipher:
    kms: Any = FailingKms(error)
    return EnvelopeCipher(kms, "alias/payonce", ManualClock(), os.urandom)


SEALED = MemoryCipher(ManualClock(), os.urandom).seal(b"secret", CONTEXT)


@pytest.mark.parametrize("error", FOR_GOOD, ids=str)
def test_what_no_retry_helps_is_a_secret_that_is_not_opened(error: ClientError) -> None:
    with pytest.raises(SecretNotOpened) as caught:
        cipher_on(error).open(SEALED, CONTEXT)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_may_pass_is_a_store_that_is_unavailable(error: ClientError | BotoCoreError) -> None:
    """Fails when a role's missing right or a throttle is taken for a lost secret: deliveries would be given up."""
    with pytest.raises(StoreUnavailable) as caught:
        cipher_on(error).open(SEALED, CONTEXT)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [*FOR_GOOD, *PASSING], ids=str)
def test_sealing_fails_before_anything_is_stored(error: ClientError | BotoCoreError) -> None:
    with pytest.raises(StoreUnavailable):
        cipher_on(error).seal(b"secret", CONTEXT)
