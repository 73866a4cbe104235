"""The intake of files: each is parsed completely or rejected, stored by its content, and registered once.

::

    bucket: incoming/gateway/<gateway>/...  ┐
            incoming/bank/...               ┴─ accept ─▶ files/<SHA-256> (unchanged), rows/... (as tables: kept_rows)
                                                         ─▶ registered, or a duplicate
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected, NotFound
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.runs.files import KnownFile, files_since, gateway_of_file, remember_file
from payonce.reconciliation.runs.kept_rows import KEPT
from payonce.reconciliation.runs.run_policy import RunPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from payonce.ports import Clock, Database, FileStore
    from payonce.reconciliation.readers.rows import ReconciliationFile
    from payonce.reconciliation.runs.kept_rows import KeptRows

INCOMING = "incoming/"
GATEWAY_FOLDER, BANK_FOLDER = "gateway", "bank"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that was accepted. ``new`` is false for one whose bytes were there before: nothing was done.

    ``unproved`` says why statements of it do not prove themselves.
    """

    file: KnownFile
    new: bool
    unproved: tuple[str, ...] = ()


class Inbox:
    """Accepts files and gives back what was accepted. ``gateways`` are the names of those that are configured.

    ``policy`` returns the policy in force, which has the mappings of tables and may want files that prove themselves.
    """

    def __init__(
        self,
        *,
        files: FileStore,
        rows: KeptRows,
        database: Database,
        clock: Clock,
        gateways: Collection[str],
        policy: Callable[[], RunPolicy] = RunPolicy,
    ) -> None:
        self._files = files
        self._rows = rows
        self._database = database
        self._clock = clock
        self._gateways = gateways
        self._policy = policy

    def accept(self, name: str) -> Arrival:
        """Parse, store and register the file ``name``. Idempotent, also after a crash.

        Raises ``FileRejected``, with line and field if the content is invalid, and then stores nothing; ``NotFound``
        if there is no such file; ``StoreUnavailable``.
        """
        gateway = self._place_of(name)
        data = self._files.read(name, max_bytes=MAX_FILE_BYTES)
        if data is None:
            raise NotFound(f"There is no file {name}.")
        policy = self._policy()
        content = read_file(data, mappings=policy.mappings, strict=policy.strict, zone=policy.zone)
        content = _fitting(name, content, gateway)
        self._check_owner(name, content.file_id, gateway)
        # Stored before it is registered, so that a registered file can always be read.
        self._files.write(KEPT + content.file_id, data)
        self._rows.keep(content, gateway)
        known = KnownFile(
            file_id=content.file_id,
            name=name,
            file_format=content.format.value,
            gateway=gateway,
            received_at_ms=self._clock.now_ms(),
        )
        new = remember_file(self._database, known)
        if not new:
            # The file may have arrived for two gateways concurrently, and only one of them was registered.
            self._check_owner(name, content.file_id, gateway)
        return Arrival(file=known, new=new, unproved=content.unproved)

    def accepted_since(self, received_from_ms: int) -> Iterator[KnownFile]:
        """Yield the files accepted since ``received_from_ms``, oldest first."""
        yield from files_since(self._database, received_from_ms)

    def _check_owner(self, name: str, file_id: str, gateway: str | None) -> None:
        """Reject a file that is already another gateway's report: as a duplicate it would never be compared."""
        known = gateway_of_file(self._database, file_id)
        if known is not None and known[0] != gateway:
            raise FileRejected(
                f"{name} is the same file as {known[1]}, which was accepted as {known[0]}'s, and runs read it as that. "
                "If it was put into the wrong folder, see docs/runbooks/files-refused.md."
            )

    def _place_of(self, name: str) -> str | None:
        folder, _, rest = name.removeprefix(INCOMING).partition("/")
        if name.startswith(INCOMING) and folder == BANK_FOLDER and rest:
            return None
        gateway, _, file = rest.partition("/")
        if name.startswith(INCOMING) and folder == GATEWAY_FOLDER and file and gateway in self._gateways:
            return gateway
        known = ", ".join(sorted(self._gateways)) or "none is configured"
        raise FileRejected(
            f"{name}: a report belongs under {INCOMING}{GATEWAY_FOLDER}/<gateway>/ (known: {known}), a statement under "
            f"{INCOMING}{BANK_FOLDER}/."
        )


def _fitting(name: str, content: ReconciliationFile, gateway: str | None) -> ReconciliationFile:
    if (gateway is None) != bool(content.statements):
        found = "a bank's statement" if content.statements else "a gateway's report"
        raise FileRejected(f"{name} holds {found}, which belongs into the other folder.")
    return content
