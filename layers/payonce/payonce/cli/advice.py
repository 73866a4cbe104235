"""What to do about an error: each cause that people meet is named apart, with its cure.

An error of AWS is usually the cause of one of payonce's, so the whole chain of causes is searched. What is not known
here is a defect, and keeps its traceback.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from payonce.cli.output import Exit, OutputLost
from payonce.domain.errors import (
    MisconfiguredError,
    OutcomeUnknown,
    PayonceError,
    StoreUnavailable,
    UpstreamUnavailable,
)
from payonce.extras import needs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The extra that brings a package, where a family needs another than the one named after it.
EXTRA_OF_PACKAGE: Final = {"boto3": "dynamodb", "botocore": "dynamodb", "redis": "redis", "stripe": "stripe"}
EXTRA_OF_COMMAND: Final = {
    "reconcile": "reconcile",
    "reconcile-map": "reconcile",
    "ledger": "reconcile",
    "sidecar": "sidecar",
}
_RETRY: Final = re.compile(r"\s*(?:Retry|Repeat it) with the same key[^.]*\.")
_NO_ENDPOINT: Final = re.compile(r"Invalid endpoint: |not an address of a service: ")
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html, and of single services
UNKNOWN_CREDENTIALS: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "AuthFailure",
        "IncompleteSignature",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    }
)
OLD_CREDENTIALS: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
NOT_ALLOWED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
CLOCK: Final = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
# A signature's time is off: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
_CLOCK_WORDS: Final = re.compile(r"Signature (expired|not yet current)")
MISSING: Final = frozenset(
    {"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
)


@dataclass(frozen=True, slots=True)
class Advice:
    """``problem`` is a word for programs, ``detail`` says what is wrong, ``cure`` what to do; "" if detail says it."""

    problem: str
    detail: str
    cure: str = ""
    code: Exit = Exit.NOT_REACHED


def advice_of(error: BaseException, command: str = "") -> Advice | None:
    """Return what to say about ``error``, or ``None`` for what payonce never raises on purpose."""
    for cause in _chain(error):
        found = _of_package(cause, command) or _of_endpoint(cause) or _of_aws(cause)
        if found is not None:
            return found
    if isinstance(error, OutcomeUnknown):
        detail = _RETRY.sub("", error.detail)
        return Advice("outcome_unknown", detail, "Look at what is stored before you run it again.", Exit.UNKNOWN)
    if isinstance(error, OutputLost):
        cure = "Make room, look whether it was done, and run it again."
        return Advice("output_lost", str(error), cure, Exit.UNKNOWN)
    if isinstance(error, StoreUnavailable):
        return Advice("store_unavailable", _RETRY.sub("", error.detail), "Run the command again.")
    if isinstance(error, UpstreamUnavailable):
        return Advice("dead_endpoint", error.detail, "payonce doctor looks at it; payonce up starts the local one.")
    if isinstance(error, MisconfiguredError):
        return Advice("misconfigured", error.detail, code=Exit.REFUSED)
    if isinstance(error, PayonceError):
        return Advice(_words(type(error).__name__), error.detail, code=Exit.REFUSED)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        # `from None` says that the cause is no news, except for a package that is not installed.
        context = following.__context__
        hidden = following.__suppress_context__ and not isinstance(context, ImportError)
        following = following.__cause__ or (None if hidden else context)


def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _of_package(error: BaseException, command: str) -> Advice | None:
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name.startswith("payonce"):
        return None
    if isinstance(error, PayonceError):  # raised on purpose, it says itself what brings the package
        return Advice("extra_missing", error.detail)
    package = error.name.partition(".")[0]
    extra = EXTRA_OF_COMMAND.get(command) or EXTRA_OF_PACKAGE.get(package, "all")
    return Advice("extra_missing", f"The package {package} is not installed.", f"pip install 'payonce[{extra}]'")


def _of_endpoint(error: BaseException) -> Advice | None:
    """Return what to say about an endpoint that is no URL: the SDK and our connections raise ``ValueError`` for it."""
    if not isinstance(error, ValueError) or not _NO_ENDPOINT.match(str(error)):
        return None
    cure = "Set AWS_ENDPOINT_URL to a URL such as http://127.0.0.1:4566, or unset it if you mean AWS."
    return Advice("misconfigured", f"{_one_line(error)}.", cure, Exit.REFUSED)


def _of_aws(error: BaseException) -> Advice | None:
    """Return what to say about an error of the SDK; without the SDK installed there is none."""
    if type(error).__module__.partition(".")[0] != "botocore":
        return None
    with needs("dynamodb"):
        from botocore import exceptions as sdk

    if isinstance(error, sdk.ClientError):
        return refusal(error.response.get("Error", {}), getattr(error, "operation_name", ""))
    match error:
        case sdk.NoRegionError():
            return Advice("no_region", "No region is named.", "export AWS_REGION=eu-central-1, or the stack's region")
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError() | sdk.CredentialRetrievalError():
            cure = "Sign in (`aws sso login`), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            return Advice("no_credentials", f"There are no AWS credentials here: {_one_line(error)}", cure)
        case sdk.ProfileNotFound():
            return Advice("no_profile", _one_line(error), "aws configure list-profiles shows the profiles there are.")
        case sdk.EndpointConnectionError() | sdk.ConnectTimeoutError() | sdk.ConnectionClosedError():
            return _unreachable(error)
        case sdk.ReadTimeoutError():
            return Advice("no_answer", f"The service did not answer in time: {_one_line(error)}", "Run it again.")
        case sdk.InvalidRegionError() | sdk.InvalidEndpointDiscoveryConfigurationError():
            return Advice("wrong_region", _one_line(error), "Set AWS_REGION to a region such as eu-central-1.")
        case sdk.BotoCoreError():
            return Advice("aws", _one_line(error), "payonce doctor looks at region, credentials and stack.")
    return None


def _unreachable(error: BaseException) -> Advice:
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    if "127.0.0.1" in url or "localhost" in url:
        cure = "Start the local cloud with `payonce up`, or unset AWS_ENDPOINT_URL if you mean AWS."
        return Advice("dead_endpoint", f"Nothing listens at {url}.", cure)
    cure = "Check AWS_REGION, AWS_ENDPOINT_URL and the network; payonce doctor looks at each."
    return Advice("dead_endpoint", f"{url or 'The service'} can't be reached.", cure)


def refusal(error: Mapping[str, Any], operation: str) -> Advice | None:
    """Return what to say about a service's refusal, or ``None`` for one that means something to the command itself."""
    code, message = str(error.get("Code", "")), str(error.get("Message", "")).strip()
    if code in CLOCK or _CLOCK_WORDS.search(message):
        cure = "Set the clock: `timedatectl set-ntp true`, then payonce doctor."
        return Advice("clock_off", "This machine's clock is off: AWS refuses signatures that are minutes old.", cure)
    if code in UNKNOWN_CREDENTIALS:
        cure = "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret: `aws sts get-caller-identity` says who you are."
        return Advice("wrong_credentials", f"AWS does not know these credentials ({code}).", cure)
    if code in OLD_CREDENTIALS:
        return Advice("old_credentials", f"The credentials have expired ({code}).", "Sign in again: `aws sso login`.")
    if code in NOT_ALLOWED:
        cure = f"Use a role that may {operation or 'do it'}: docs/operations.md names the rights of each command."
        return Advice("not_allowed", f"These credentials may not: {message or code}", cure)
    if code == "ValidationError" and "does not exist" in message:
        cure = "Name the stack as `aws cloudformation list-stacks` shows it, and check AWS_REGION and the account."
        return Advice("no_such_stack", f"{message}.", cure)
    if code in MISSING:
        cure = "Check the region and the account, or let --stack find the names instead of variables and options."
        return Advice("wrong_table", f"There is no such table or queue in this account and region ({operation}).", cure)
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
