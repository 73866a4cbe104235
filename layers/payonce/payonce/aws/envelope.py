"""The cipher port on KMS: envelope encryption, in the format of ``payonce.stores.sealing``.

Every merchant has a data key of its own. The merchant's id is the KMS encryption context, so CloudTrail shows whose
secrets were opened and when, and a key policy or role can be limited by ``kms:EncryptionContext:application``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from payonce.domain.errors import SecretNotOpened, StoreUnavailable
from payonce.extras import needs
from payonce.stores.sealing import DATA_KEY_BYTES, DataKeys, EnvelopeSealing

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_kms.client import KMSClient

    from payonce.ports import Clock

# Errors of the secret itself, or of its key for good: no retry helps. Anything else may be temporary, even a permission
# missing from the role: an operator can restore it, and the secret is intact.
NOT_OPENED_CODES = frozenset(
    {
        "InvalidCiphertextException",  # changed, or sealed for another context
        "IncorrectKeyException",  # wrapped by a different key
        "InvalidKeyUsageException",
        "DisabledException",
        "KMSInvalidStateException",  # its deletion is scheduled, or it is being imported
        "NotFoundException",  # deleted
    }
)


class KmsDataKeys(DataKeys):
    """Makes data keys with KMS, wrapped by the key ``key_id`` (an id, ARN or alias)."""

    def __init__(self, kms_client: KMSClient, key_id: str) -> None:
        self._kms = kms_client
        self._key_id = key_id

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """See ``DataKeys``. Raises ``StoreUnavailable``."""
        try:
            answer = self._kms.generate_data_key(
                KeyId=self._key_id, NumberOfBytes=DATA_KEY_BYTES, EncryptionContext=dict(context)
            )
        except (ClientError, BotoCoreError) as error:
            raise StoreUnavailable("The key service gave no data key. Nothing was stored.") from error
        return answer["Plaintext"], answer["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See ``DataKeys``. Raises ``SecretNotOpened`` or ``StoreUnavailable``.

        The key is named although the ciphertext names it too: otherwise anyone who can write our table could make us
        accept a data key that is wrapped by a key of their own account.
        """
        try:
            answer = self._kms.decrypt(CiphertextBlob=wrapped, KeyId=self._key_id, EncryptionContext=dict(context))
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        return answer["Plaintext"]


class EnvelopeCipher(EnvelopeSealing):
    """The cipher port (``payonce.ports.Cipher``) on the KMS key ``key_id``. ``random`` returns unpredictable bytes."""

    def __init__(self, kms_client: KMSClient, key_id: str, clock: Clock, random: Callable[[int], bytes]) -> None:
        super().__init__(KmsDataKeys(kms_client, key_id), clock, random)


def _translate(error: ClientError | BotoCoreError) -> NoReturn:
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in NOT_OPENED_CODES:
        raise SecretNotOpened(
            "The secret can not be opened: it belongs to another context, was changed, or its key is disabled or gone."
        ) from error
    raise StoreUnavailable("The key service did not open the data key. Nothing was done.") from error
