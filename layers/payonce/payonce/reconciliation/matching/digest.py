"""The digest of a run: the same for the same rows, in whatever order, files or engine they came.

SHA-256 over one canonical JSON document of what does not depend on order:

``tallies``
    sorted [source, currency, outcome, rows, amount_minor].
``breaks``
    SHA-256 over the sorted JSON arrays of the found rows, each ended by a line feed.
``links``
    the sum over all links of ``row_hash("class|subject_1|subject_2|subject_3|subject_4|source|row_key")``.
``pairs``
    the sum over all matched pairs of ``row_hash(entry_id) * row_hash("gateway|transaction_id") mod (2^31 - 1)``, the
    two row keys. Two pairs that swap their partners leave counts and amounts alone; a product of both sides they do
    not.

``open_items``
    the sum over all open items of ``row_hash("source|row_key|reason")``.
``manual``
    the digest of what became of people's decisions, left out if there are none.

``row_hash(text)`` is the one function that an engine has to bring. Of the MD5 of the UTF-8 text it is bytes 8 to 11,
read as a little-endian integer, modulo 2^31 - 1: so a product of two fits a signed 64-bit integer. It guards against
defects, not against an opponent, who could choose its text but not our rules.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.reconciliation.model import Tally

DIGEST_VERSION: Final = 3  # 2 had no open items
ROW_HASH_MODULUS: Final = 2**31 - 1


def row_hash(text: str) -> int:
    """Return what every engine has to return for this text."""
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(md5[8:12], "little") % ROW_HASH_MODULUS


def canonical_json(value: object) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def run_digest(
    tallies: Iterable[Tally],
    found: Iterable[Sequence[str | int | None]],
    *,
    links: int,
    pairs: int,
    open_items: int,
    manual: str = "",
) -> str:
    """Return the hex digest of a run."""
    breaks = hashlib.sha256()
    for line in sorted(canonical_json(list(row)) for row in found):
        breaks.update(line + b"\n")
    document = {
        "version": DIGEST_VERSION,
        "tallies": sorted([t.source.value, t.currency, t.outcome.value, t.rows, t.amount_minor] for t in tallies),
        "breaks": breaks.hexdigest(),
        "links": links,
        "pairs": pairs,
        "open_items": open_items,
        **({"manual": manual} if manual else {}),
    }
    return hashlib.sha256(canonical_json(document)).hexdigest()
