"""The flow of an execution under Powertools' idempotency utility, over our fenced store.

Powertools decides when to act: claim before the function, replay what is stored, store the result afterwards. The
execution decides how each of those is written. Every request gets a new layer, so that no configuration of an earlier
call remains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from payonce.domain.errors import OutcomeUnknown, PayonceError
from payonce.idempotency.execution import Execution, HeldByAnother
from payonce.idempotency.powertools import (
    STATUS_CONSTANTS,
    BasePersistenceLayer,
    DataRecord,
    IdempotencyAlreadyInProgressError,
    IdempotencyConfig,
    IdempotencyItemAlreadyExistsError,
    IdempotencyPersistenceLayerError,
    idempotent_function,
)
from payonce.idempotency.records import KeyedResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from payonce.idempotency.records import Conclusion, IdempotencyRecord


class FencedDataRecord(DataRecord):
    """Presents a stored record to Powertools: with a response it is replayed, without one it is in progress.

    The engine judges expiry: it must answer 409 for an expired key, where Powertools would execute again.
    """

    def __init__(self, record: IdempotencyRecord) -> None:
        status = "INPROGRESS" if record.response is None else "COMPLETED"
        super().__init__(idempotency_key=record.record_id, status=STATUS_CONSTANTS[status])
        self.record = record


class FencedPersistence(BasePersistenceLayer):
    """One request's persistence layer: each of Powertools' steps is a step of the execution.

    An outcome policy takes the place of "any exception deletes the record".
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._execution = execution
        self.held: HeldByAnother | None = None

    def _get_hashed_idempotency_key(self, data: Any) -> str:
        # idempotency.keys makes the record id: no function name, SHA-256, and never missing.
        return self._execution.new_record.record_id

    def _get_hashed_payload(self, data: Any) -> str:
        return self._execution.new_record.fingerprint

    def _put_record(self, data_record: DataRecord) -> None:
        try:
            self._execution.claim_key()
        except HeldByAnother as held:
            self.held = held
            raise IdempotencyItemAlreadyExistsError(old_data_record=FencedDataRecord(held.record)) from None

    def save_success(self, data: dict[Any, Any], result: Any) -> None:
        """Write the conclusion (``result`` is a ``Conclusion``) under the claim's fence."""
        self._execution.conclude(result)

    def delete_record(self, data: Any, exception: Exception) -> None:
        """Keep the claim. An exception proves nothing about the gateway, so recovery will ask the gateway.

        An effect that certainly did not happen is reported by a ``Released`` conclusion, never by an exception.
        """

    def _get_record(self, idempotency_key: str) -> NoReturn:
        raise NotImplementedError("a read: a refused claim has shown what is stored")

    def _update_record(self, data_record: DataRecord) -> NoReturn:
        raise NotImplementedError("an update that is not conditional on the fence")

    def _delete_record(self, data_record: DataRecord) -> NoReturn:
        raise NotImplementedError("a delete that is not conditional on the fence")


def with_powertools(
    execution: Execution,
    execute: Callable[[], Conclusion],
    replay: Callable[[IdempotencyRecord], KeyedResponse],
) -> KeyedResponse:
    """The flow under Powertools' ``idempotent_function``. See ``Flow``.

    An error of payonce's is raised as it is, without Powertools' wrapping. Any other error of a store or a conclusion
    is raised in Powertools' ``IdempotencyPersistenceLayerError``.
    """

    def once(*, request: str) -> Conclusion:
        return execute()

    def stored(response: Any, idempotent_data: DataRecord) -> KeyedResponse:
        del response  # Powertools' rendering; ours is stored in the record, as bytes
        return replay(cast("FencedDataRecord", idempotent_data).record)

    layer = FencedPersistence(execution)
    guarded = idempotent_function(
        once,
        data_keyword_argument="request",
        persistence_store=layer,
        config=IdempotencyConfig(lambda_context=cast("LambdaContext", _NoContext()), response_hook=stored),
    )
    try:
        replayed = guarded(request=execution.new_record.fingerprint)
    except IdempotencyAlreadyInProgressError as in_progress:
        raise (layer.held or in_progress) from None
    except IdempotencyPersistenceLayerError as wrapped:
        if isinstance(wrapped.__cause__, PayonceError):
            raise wrapped.__cause__ from None
        raise
    if isinstance(replayed, KeyedResponse):
        return replayed
    if execution.concluded is None:  # pragma: no cover - Powertools stores every result
        raise OutcomeUnknown("a result was not recorded")
    return execution.concluded


class _NoContext:
    """Stands in for a Lambda context: Powertools warns without one. The lease takes the place of its expiry."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 0
