"""Text of formats that are older than UTF-8."""

from __future__ import annotations

from payonce.domain.errors import FileRejected

ALLOWED_CONTROLS = frozenset("\t\r\n\x01\x03")  # some banks frame SWIFT messages in SOH and ETX


def decoded_text(data: bytes) -> str:
    """Return the text of a MT940 or BAI2 file: UTF-8 when it is, else ISO 8859-1.

    Their amounts, dates and references are ASCII in every code page; only a name's accents depend on the choice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")
    for index, character in enumerate(text):
        if character < " " and character not in ALLOWED_CONTROLS:
            line = text.count("\n", 0, index) + 1
            raise FileRejected(f"there is the control character {character!r}", line=line)
    return text
