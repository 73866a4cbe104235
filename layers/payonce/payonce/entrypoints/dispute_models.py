"""The query of the list of disputes."""

from __future__ import annotations

from typing import Annotated

from payonce.domain.gateway import DisputeStatus  # noqa: TC001 - pydantic evaluates it
from payonce.entrypoints.models import Cursor, PageLimit, StrictModel
from payonce.extras import needs
from payonce.payments.payment_reads import DEFAULT_PAGE_SIZE

with needs("functions"):
    from pydantic import Field


class DisputesQuery(StrictModel):
    """Query of ``GET /disputes``."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    cursor: Cursor | None = None
    status: Annotated[DisputeStatus | None, Field(strict=False, description="The disputes' status now.")] = None
