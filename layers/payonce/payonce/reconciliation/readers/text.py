"""Text of files: line by line without a second copy of it, and of formats that are older than UTF-8."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

# Some banks frame SWIFT messages in SOH and ETX; every other control character but tab and line ends is damage.
_DAMAGE = re.compile(r"[\x00\x02\x04-\x08\x0b\x0c\x0e-\x1f]")

# What the XML declaration says of the bytes is no longer so.
_XML_ENCODING = re.compile(r"""\A(\s*<\?xml[^>]*?)\s+encoding\s*=\s*["'][^"'>]*["']""")
XML_DECLARATION = 200  # characters
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
END_OF_TEXT = "\x1a\x00\r\n "  # MS-DOS ends a text with Ctrl-Z, and fills a block with NUL


def as_utf8(data: bytes) -> bytes:
    """Return a file that begins with UTF-16's byte order mark as UTF-8, and any other as it is."""
    if not data.startswith(UTF_16):
        return data
    try:
        text = data.decode("utf-16")
        head = _XML_ENCODING.sub(r"\1", text[:XML_DECLARATION], count=1)
        return (head + text[XML_DECLARATION:]).encode()
    except UnicodeError:
        raise FileRejected("the file begins as UTF-16 and goes on otherwise") from None


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of ``text`` without their ``\\n``, one at a time: the largest file is not held twice."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def decoded_text(data: bytes) -> str:
    """Return the text of a MT940 or BAI2 file: UTF-8 when it is, else ISO 8859-1.

    Their amounts, dates and references are ASCII in every code page; only a name's accents depend on the choice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")
    text = text.rstrip(END_OF_TEXT)
    if (damage := _DAMAGE.search(text)) is not None:
        line = text.count("\n", 0, damage.start()) + 1
        raise FileRejected(f"there is the control character {damage[0]!r}", line=line)
    return text
