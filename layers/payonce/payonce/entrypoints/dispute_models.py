"""The query of the list of disputes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from payonce.domain.gateway import DisputeStatus  # noqa: TC001 - pydantic evaluates it
from payonce.entrypoints.models import Cursor, PageLimit, StrictModel
from payonce.payments.payment_reads import DEFAULT_PAGE_SIZE


class DisputesQuery(StrictModel):
    """Query of ``GET /disputes``."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    cursor: Cursor | None = None
    status: Annotated[DisputeStatus | None, Field(strict=False, description="The disputes' status now.")] = None
