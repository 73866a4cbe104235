"""The configuration of the process: where it stores records and large answers, and the sidecar's server."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from payonce.extras import needs

with needs("sidecar"):
    from pydantic import BaseModel, ConfigDict, Field, model_validator

_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, 5.6.2
type HeaderName = Annotated[str, Field(pattern=rf"^{_HEADER}$")]
type Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
type Method = Annotated[str, Field(pattern=r"^[A-Z]{3,20}$")]
type Statuses = Annotated[str, Field(pattern=r"^([1-5]xx|[1-5][0-9][0-9])$")]
type HeaderPattern = Annotated[str, Field(pattern=rf"^(\*|{_HEADER})$")]


class Strict(BaseModel):
    """Base model that refuses unknown members and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Overflow(Strict):
    """Where answers too large for a record are stored: a folder (sidecar) or an S3 bucket."""

    folder: str | None = None
    bucket: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.folder is None) == (self.bucket is None):
            raise ValueError("name one place: folder or bucket")
        return self


class Store(Strict):
    """Where the records are stored: ``table`` for dynamodb, ``url`` for redis; memory forgets them when it stops.

    ``durability`` is what the Redis server must guarantee for acknowledged writes; it is checked continuously.
    ``lock_nodes`` (URLs of three or more independent Redis servers) puts Redlock around each claim of any store;
    docs/stores.md says what that adds and what it does not.
    """

    kind: Literal["memory", "dynamodb", "redis"]
    table: str | None = None
    endpoint_url: str | None = None
    url: str | None = None
    prefix: str = "payonce"
    durability: Literal["always", "every_second", "none"] = "always"
    lock_nodes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "dynamodb" and not self.table:
            raise ValueError("kind dynamodb needs table")
        if self.kind == "redis" and not self.url:
            raise ValueError("kind redis needs url, such as redis://127.0.0.1:6379/0")
        return self


class Server(Strict):
    """The settings of the sidecar's process."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    max_concurrency: int = Field(default=32, ge=1, le=512)
    max_queued: int = Field(default=64, ge=0, le=4096)
    max_connections: int = Field(default=512, ge=1, le=8192)
    head_timeout_seconds: float = Field(default=10, gt=0)
    body_timeout_seconds: float = Field(default=30, gt=0)
    shutdown_seconds: int = Field(default=30, ge=1)
    recovery_interval_seconds: float = Field(default=15, ge=0)
