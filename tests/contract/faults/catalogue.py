"""The faults that are played, each a script that begins at one request of an operation.

What AWS says of each:

- Throttling, 4xx: the request was refused, and the SDK asks again. 500 and 503: nothing is known of a write.
  https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
- A retried write whose first try was executed and not answered is a new request, and its own condition refuses it:
  https://github.com/aws/aws-sdk-java/issues/2667
- ``TransactionInProgressException``: the first try is still being executed, for seconds.
  https://docs.aws.amazon.com/botocore/latest/reference/services/dynamodb/client/exceptions/TransactionInProgressException.html
- A transaction is cancelled for the reasons TransactionConflict, ThrottlingError, ProvisionedThroughputExceeded,
  ValidationError: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
- botocore's standard mode makes three tries, asks again after connection errors, timeouts, throttling, 500, 502, 503,
  504, TransactionInProgressException and a wrong checksum, and tells of the last try alone:
  https://docs.aws.amazon.com/boto3/latest/guide/retries.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.support.dynamodb_fates import MODEL, Comes, Fate, Reaches, Script

TRIES = 3  # of botocore, for one call
READS = frozenset({"getitem", "query", "batchgetitem", "scan", "transactgetitems"})
TRANSACTION = "transactwriteitems"


def _error(code: str, message: str, *, status: int = 400, namespace: str = MODEL) -> Fate:
    document = (("__type", f"{namespace}#{code}"), ("message", message))
    return Fate(Reaches.NEVER, Comes.ERROR, status, document)


def _cancelled(reason: str) -> Fate:
    document = (("__type", f"{MODEL}#TransactionCanceledException"),)
    return Fate(Reaches.NEVER, Comes.ERROR, 400, document, reason)


PROVISIONED = _error(
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning "
    "level with the UpdateTable API.",
)
THROTTLED = _error(
    "ThrottlingException", "Rate of requests exceeds the allowed throughput.", namespace="com.amazon.coral.availability"
)
REQUEST_LIMIT = _error(
    "RequestLimitExceeded", "Throughput exceeds the current throughput limit for your account. Please contact AWS."
)
INTERNAL = _error("InternalServerError", "Internal server error", status=500)
UNAVAILABLE = _error(
    "ServiceUnavailable", "Service is temporarily unavailable.", status=503, namespace="com.amazon.coral.availability"
)
INTERNAL_EXECUTED = replace(INTERNAL, reaches=Reaches.NOW)
UNAVAILABLE_EXECUTED = replace(UNAVAILABLE, reaches=Reaches.NOW)
PASSES = Fate()
RESET = Fate(Reaches.NEVER, Comes.RESET)
LOST = Fate(Reaches.NOW, Comes.RESET)
LOST_AND_UNPLUGGED = Fate(Reaches.NOW, Comes.UNPLUGGED)
UNPLUGGED = Fate(Reaches.NEVER, Comes.UNPLUGGED)
SILENT = Fate(Reaches.NEVER, Comes.SILENCE)
SILENT_EXECUTED = Fate(Reaches.NOW, Comes.SILENCE)
LATE = Fate(Reaches.LATE, Comes.RESET)
LATE_SILENT = Fate(Reaches.LATE, Comes.SILENCE)
CUT = Fate(Reaches.NOW, Comes.CUT)
GARBLED = Fate(Reaches.NOW, Comes.GARBLED)
WRONG_CHECKSUM = Fate(Reaches.NOW, Comes.WRONG_CHECKSUM)
CONFLICT = _cancelled("TransactionConflict")
SINGLE_CONFLICT = _error("TransactionConflictException", "Transaction is ongoing for the item")
IN_PROGRESS = _error(
    "TransactionInProgressException", "The transaction with the given request token is already in progress"
)
EXPIRED = _error(
    "ExpiredTokenException",
    "The security token included in the request is expired",
    namespace="com.amazon.coral.service",
)
DENIED = _error(
    "AccessDeniedException", "User is not authorized to perform this action", namespace="com.amazon.coral.service"
)
INVALID = _error(
    "ValidationException", "One or more parameter values were invalid", namespace="com.amazon.coral.validate"
)
NO_TABLE = _error("ResourceNotFoundException", "Requested resource not found")


@dataclass(frozen=True, slots=True)
class Fault:
    """A script, and what is promised under it.

    ``heals``: a later try succeeds by itself, so nobody may notice. ``refused``: each try was refused with a definite
    answer. ``invalid``: our request can never be right, so a 500 is.
    """

    name: str
    fates: tuple[Fate, ...]
    rest: Fate = PASSES
    at: str = "any"  # any, write, read, transaction, single (a write that is no transaction)
    heals: bool = False
    refused: bool = False
    invalid: bool = False
    overtaker: str = ""  # client (with its retry) or recovery
    alike: bool = False  # to another one: in the slice it strikes one request only
    lands: str = "end"  # when what is late is executed: end (of the operation), or recovered (after all is settled)

    def fits(self, action: str) -> bool:
        """Return whether the fault can happen to this action."""
        read = action in READS
        return {
            "any": True,
            "read": read,
            "write": not read,
            "transaction": action == TRANSACTION,
            "single": not read and action != TRANSACTION,
        }[self.at]

    def script(self, first: int) -> Script:
        """Return its script from the request ``first`` on."""
        return Script(first, self.fates, self.rest)


def _thrice(fate: Fate) -> tuple[Fate, ...]:
    return (fate,) * TRIES


_REFUSING = (THROTTLED, THROTTLED)
_ALL_CONFLICTS = (CONFLICT,) * 12  # more than anyone tries
_OVERTAKEN_AND_LOST = Fate(Reaches.NOW, Comes.RESET, overtaken="after")
FAULTS = (
    Fault("throttled once", (THROTTLED,), heals=True),
    Fault("throttled", _thrice(THROTTLED), refused=True),
    Fault("provisioned exceeded", _thrice(PROVISIONED), refused=True, alike=True),
    Fault("request limit", _thrice(REQUEST_LIMIT), refused=True, alike=True),
    Fault("throttled to the end", (), THROTTLED, refused=True),
    Fault("500 once", (INTERNAL,), heals=True),
    Fault("500", _thrice(INTERNAL)),
    Fault("500 to the end", (), INTERNAL, alike=True),
    Fault("500 executed once", (INTERNAL_EXECUTED,), at="write", heals=True),
    Fault("500 executed", _thrice(INTERNAL_EXECUTED), at="write", alike=True),
    Fault("500 executed, then throttled", (INTERNAL_EXECUTED, *_REFUSING), at="write"),
    Fault("503", _thrice(UNAVAILABLE), alike=True),
    Fault("503 executed, then throttled", (UNAVAILABLE_EXECUTED, *_REFUSING), at="write", alike=True),
    Fault("reset once", (RESET,), heals=True),
    Fault("reset", _thrice(RESET)),
    Fault("unplugged", (UNPLUGGED,)),
    Fault("lost once", (LOST,), heals=True),
    Fault("lost", _thrice(LOST)),
    Fault("lost, then throttled", (LOST, *_REFUSING), at="write"),
    Fault("lost, then throttled to the end", (LOST,), THROTTLED, at="write"),
    Fault("lost, then 500", (LOST, INTERNAL, INTERNAL), at="write", alike=True),
    Fault("lost, then expired", (LOST, EXPIRED), at="write", alike=True),
    Fault("lost, then denied to the end", (LOST,), DENIED, at="write"),
    Fault("lost, then unplugged", (LOST_AND_UNPLUGGED,), at="write"),
    Fault("lost, throttled, read back garbled", (LOST, *_REFUSING, *_thrice(GARBLED)), at="write"),
    Fault("late, throttled, after the next", (replace(LATE, lands_after=1), *_REFUSING), at="write"),
    Fault("late, throttled, after two", (replace(LATE, lands_after=2), *_REFUSING), at="write", alike=True),
    Fault("late, throttled, at the end", (LATE, *_REFUSING), at="write"),
    Fault("late, throttled to the end", (LATE,), THROTTLED, at="write"),
    Fault("late, throttled, when settled", (LATE, *_REFUSING), at="write", lands="recovered"),
    Fault("late twice, then executed", (LATE, LATE), at="write", alike=True),
    Fault("silent, late", (LATE_SILENT, *_REFUSING), at="write", alike=True),
    Fault("silent once", (SILENT,), alike=True),
    Fault("silent executed, then throttled", (SILENT_EXECUTED, *_REFUSING), at="write", alike=True),
    Fault("cut once", (CUT,), heals=True),
    Fault("cut", _thrice(CUT)),
    Fault("cut, then throttled", (CUT, *_REFUSING), at="write", alike=True),
    Fault("wrong checksum once", (WRONG_CHECKSUM,), heals=True, alike=True),
    Fault("wrong checksum", _thrice(WRONG_CHECKSUM), alike=True),
    Fault("garbled", _thrice(GARBLED)),
    Fault("conflict once", (CONFLICT,), at="transaction", heals=True),
    Fault("conflict", _ALL_CONFLICTS, at="transaction", refused=True),
    Fault("cancelled, throttled once", (_cancelled("ThrottlingError"),), at="transaction", heals=True),
    Fault("cancelled, throttled", (_cancelled("ThrottlingError"),) * 12, at="transaction", refused=True, alike=True),
    Fault(
        "cancelled, provisioned",
        (_cancelled("ProvisionedThroughputExceeded"),) * 12,
        at="transaction",
        refused=True,
        alike=True,
    ),
    Fault("cancelled, invalid", (_cancelled("ValidationError"),) * 12, at="transaction", invalid=True),
    Fault("lost, then conflict", (LOST, *_ALL_CONFLICTS), at="transaction"),
    Fault("in progress once", (IN_PROGRESS,), at="transaction", heals=True),
    Fault("lost, then in progress", (LOST, IN_PROGRESS, IN_PROGRESS), at="transaction"),
    Fault("late, then in progress", (LATE, IN_PROGRESS, IN_PROGRESS), at="transaction"),
    Fault("single conflict", (SINGLE_CONFLICT,) * 12, at="single", refused=True),
    Fault("expired", (EXPIRED,), EXPIRED, refused=True, alike=True),
    Fault("denied", (DENIED,), DENIED, refused=True),
    Fault("invalid", (INVALID,), INVALID, refused=True, invalid=True),
    Fault("no table", (NO_TABLE,), NO_TABLE, refused=True, alike=True),
    Fault("client overtakes before", (Fate(overtaken="before"),), overtaker="client"),
    Fault("client overtakes after", (Fate(overtaken="after"),), overtaker="client"),
    Fault("client overtakes after, lost", (_OVERTAKEN_AND_LOST, *_REFUSING), at="write", overtaker="client"),
    Fault("recovery overtakes before", (Fate(overtaken="before"),), overtaker="recovery"),
    Fault("recovery overtakes after", (Fate(overtaken="after"),), overtaker="recovery"),
    Fault("recovery overtakes after, lost", (_OVERTAKEN_AND_LOST, *_REFUSING), at="write", overtaker="recovery"),
    Fault("recovery overtakes, then throttled", (Fate(overtaken="before"),), THROTTLED, overtaker="recovery"),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
