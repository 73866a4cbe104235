"""What to install when a package is missing: each import of a third-party package stands under ``needs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from payonce.domain.errors import PackageMissing

if TYPE_CHECKING:
    from types import TracebackType


class needs:
    """A context for imports of third-party packages that the extra brings. ``pip install payonce`` brings none.

    Raises ``PackageMissing``, which is also a ``ModuleNotFoundError`` and says what to install. Where one stands within
    another, the outer one names its extra, because it knows what the program wants. Only the import itself may stand in
    it: a ``ModuleNotFoundError`` of payonce's own modules passes through.
    """

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Say what to install instead of what was not found."""
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package not in {"", "payonce"}:
            raise PackageMissing(self._extra, package) from None
        return False
