"""The API's request bodies and queries as strict pydantic models, from which openapi.json is generated too."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import BodyMalformed
from payonce.domain.gateway import MAX_URL_CHARACTERS, PaymentMethodType
from payonce.domain.money import MAX_AMOUNT_MINOR, MIN_AMOUNT_MINOR
from payonce.domain.payment import PaymentStatus  # noqa: TC001 - pydantic evaluates it
from payonce.extras import needs
from payonce.payments.payment_reads import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

with needs("functions"):
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

MAX_REFERENCE_CHARACTERS = 100
MAX_METADATA_ENTRIES = 20
MAX_METADATA_NAME_CHARACTERS = 40
MAX_METADATA_VALUE_CHARACTERS = 500
# A replay is billed by the stored record's size, so the total size of a merchant's metadata is bounded too.
MAX_METADATA_BYTES = 4096
MAX_DESCRIPTION_CHARACTERS = 200
MAX_CURSOR_CHARACTERS = 200
MAX_EPOCH_MS = 9_999_999_999_999  # 13 digits, as in the sort keys: until the year 2286
MAX_RESULT_CHARACTERS = 8_000  # Adyen's redirectResult has some thousand; API Gateway takes 10 MB
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _known_currency(code: str) -> str:
    if code not in MINOR_UNIT_EXPONENTS:
        raise ValueError("not an ISO 4217 currency code in use")
    return code


def printable(text: str) -> str:
    """Return ``text``. Raises ``ValueError`` for control characters and lone surrogates."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("control characters are not allowed")
    return text


def _web_address(url: str) -> str:
    parts = urlsplit(printable(url))
    local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
    if not (parts.scheme == "https" or local) or not parts.hostname or parts.username or " " in url:
        raise ValueError("not an https:// address without a user name (http:// only for localhost)")
    return url


def _with_a_letter(text: str) -> str:
    if not any(character.isalpha() for character in text):
        raise ValueError("at least one letter is needed")
    return text


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise ValueError(f"names and values together are over {MAX_METADATA_BYTES} bytes")
    return metadata


AmountMinor = Annotated[
    int,
    Field(ge=MIN_AMOUNT_MINOR, le=MAX_AMOUNT_MINOR, description="Integer minor units: 1050 is 10.50 in EUR."),
]
Currency = Annotated[
    str,
    AfterValidator(_known_currency),
    Field(description="ISO 4217 code.", json_schema_extra={"enum": sorted(MINOR_UNIT_EXPONENTS)}),
]
PaymentMethod = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{2,99}$",
        description="A payment method token of the gateway, never a card number.",
    ),
]
MethodType = Annotated[
    PaymentMethodType,
    # JSON has no enumerations: the text stands for the member that it names.
    Field(strict=False, description="The kind of payment method behind the token; what routing looks at."),
]
Reference = Annotated[
    str,
    AfterValidator(printable),
    Field(min_length=1, max_length=MAX_REFERENCE_CHARACTERS, description="Your own reference, such as an order."),
]
MetadataName = Annotated[str, AfterValidator(printable), Field(min_length=1, max_length=MAX_METADATA_NAME_CHARACTERS)]
MetadataValue = Annotated[str, AfterValidator(printable), Field(max_length=MAX_METADATA_VALUE_CHARACTERS)]
Customer = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{2,254}$",
        description="The payer's id at the gateway, to whom saved payment methods belong.",
    ),
]
Description = Annotated[
    str,
    AfterValidator(printable),
    Field(
        min_length=1, max_length=MAX_DESCRIPTION_CHARACTERS, description="What is paid for, as the gateway shows it."
    ),
]
StatementDescriptor = Annotated[
    str,
    # docs.stripe.com/get-started/account/statement-descriptors; Adyen's shopperStatement takes 22 characters, too.
    Field(
        pattern=r"^[A-Za-z0-9 .,/&#+-]{5,22}$",
        description="What the payer reads on a bank statement: 5 to 22 characters, and at least one letter.",
    ),
    AfterValidator(_with_a_letter),
]
ReturnUrl = Annotated[
    str,
    AfterValidator(_web_address),
    Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="Where a payer who had to act elsewhere is sent back to.",
    ),
]
Metadata = Annotated[
    dict[MetadataName, MetadataValue],
    AfterValidator(_bounded),
    Field(max_length=MAX_METADATA_ENTRIES, description=f"Up to {MAX_METADATA_BYTES} bytes of your own data."),
]

EpochMs = Annotated[int, Field(ge=0, le=MAX_EPOCH_MS)]
PageLimit = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)]
Cursor = Annotated[str, Field(min_length=1, max_length=MAX_CURSOR_CHARACTERS)]


class StrictModel(BaseModel):
    """Base model that accepts declared members only, without conversion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PaymentBody(StrictModel):
    """Body of ``POST /payments``."""

    amount_minor: AmountMinor
    currency: Currency
    payment_method: PaymentMethod
    payment_method_type: MethodType = PaymentMethodType.CARD
    capture: Literal["automatic", "manual"] = "automatic"
    return_url: ReturnUrl | None = None
    off_session: Annotated[
        bool, Field(description="The payer is absent: a payment that needs the payer is declined.")
    ] = False
    customer: Customer | None = None
    save_payment_method: Annotated[
        bool, Field(description="The method is to be charged later, off_session: the payer agrees to that now.")
    ] = False
    description: Description | None = None
    statement_descriptor: StatementDescriptor | None = None
    reference: Reference | None = None
    metadata: Metadata = Field(default_factory=dict)


class ConfirmationBody(StrictModel):
    """Body of ``POST /payments/{payment_id}/confirmations``."""

    payment_result: Annotated[
        str,
        AfterValidator(printable),
        Field(
            min_length=1,
            max_length=MAX_RESULT_CHARACTERS,
            description="What the payer came back with: the query parameter that the gateway put into the return_url.",
        ),
    ]


class AmountBody(StrictModel):
    """Body of ``POST /payments/{payment_id}/captures`` and ``/refunds``; without an amount, all that is left."""

    amount_minor: AmountMinor | None = None


class EmptyBody(StrictModel):
    """Body of a request whose path says everything: an empty object, or no body."""


class PaymentsQuery(StrictModel):
    """Query of ``GET /payments``. Times are epoch milliseconds, both included."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    cursor: Cursor | None = None
    reference: Reference | None = None
    status: Annotated[PaymentStatus | None, Field(strict=False, description="The payments' status now.")] = None
    created_from_ms: EpochMs | None = None
    created_until_ms: EpochMs | None = None


def validate[M: StrictModel](model: type[M], value: dict[str, Any]) -> M:
    """Return ``value`` as ``model``. Raises ``BodyMalformed`` naming each wrong member, without repeating its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [
            {"pointer": "/" + "/".join(str(part) for part in item["loc"]), "detail": item["msg"]}
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        named = "; ".join(f"{problem['pointer']}: {problem['detail']}" for problem in problems[:3])
        raise BodyMalformed(f"The request is not valid. {named}.", errors=problems) from None
