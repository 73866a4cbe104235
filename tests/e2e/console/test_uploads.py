"""Files that are none, too large, bombs or pages, under names that lead elsewhere: the upload by hand.

By https://cheatsheetseries.owasp.org/cheatsheets/File_Upload_Cheat_Sheet.html.
"""

from __future__ import annotations

import io
import uuid
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.e2e.console.crawl import crawl
from tests.e2e.console.raw import forms_of
from tests.e2e.console.test_hardened import INSIDE

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.raw import Answer, Form, Raw

MEGABYTE = 1024 * 1024


def upload_form(raw: Raw) -> Form:
    """Return the form of the page of files."""
    page = raw.get("/files")
    (form, *_) = [one for one in forms_of(page.text, raw.url("/files")) if one.multipart]
    return form


def send(raw: Raw, body: bytes, name: str = "a.csv", *, raw_body: bytes | None = None, kind: str = "") -> Answer:
    """Upload by hand: any bytes, any name, any content type."""
    form = upload_form(raw)
    boundary = uuid.uuid4().hex
    parts = b""
    for field, value in form.fields.items():
        if form.kinds[field] == "file":
            file = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            parts += file.encode() + b"Content-Type: text/csv\r\n\r\n" + body + b"\r\n"
        elif form.kinds[field] not in ("button", "submit"):
            value = value or "sandbox_bank"
            parts += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    parts += f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": kind or f"multipart/form-data; boundary={boundary}", "Origin": raw.origin}
    return raw.ask("POST", form.action, body=parts if raw_body is None else raw_body, headers=headers)


def test_what_is_no_form_is_refused(console: Console, keys: dict[str, str]) -> None:
    """Malformed multipart: no boundary, none that occurs, cut in the middle, thousands of parts, nested parts."""
    raw = console.raw(keys["operator"])
    head = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n'
    for body, kind in (
        (b"", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=b"),
        (head, "multipart/form-data; boundary=b"),
        (head + b"x\r\n--b", "multipart/form-data; boundary=" + "b" * 2_000),
        (head * 5_000 + b"--b--", "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X: y\r\n" * 20_000 + b"\r\nx\r\n--b--", "multipart/form-data; boundary=b"),
        (b"\x00\xff" * 1_000, "multipart/form-data; boundary=b"),
        (head + b"x\r\n--b--", "multipart/mixed; boundary=b"),
        (b"a=1&" * 20_000, "application/x-www-form-urlencoded"),
    ):
        answer = send(raw, b"", raw_body=body, kind=kind)
        assert 400 <= answer.status < 500, (kind[:60], body[:40], answer.status)
        assert not INSIDE.search(answer.text)


def test_a_file_that_is_too_large_is_refused_in_words(console: Console, keys: dict[str, str]) -> None:
    """API Gateway takes 10 MB, a function 6 MB; nobody learns that from a stack trace."""
    raw = console.raw(keys["operator"])
    answer = send(raw, b"x" * (7 * MEGABYTE))
    assert answer.status in (400, 413), answer.status
    assert not INSIDE.search(answer.text)


@pytest.mark.parametrize("kind", ["zip", "gzip", "xlsx", "laughs", "entity"])
def test_a_bomb_does_not_explode(console: Console, keys: dict[str, str], kind: str) -> None:
    """Archives, a workbook of a gigabyte, XML that multiplies or reads files (OWASP file upload cheat sheet)."""
    body = _bomb(kind)
    raw = console.raw(keys["operator"])
    answer = send(raw, body, f"a.{ {'laughs': 'xml', 'entity': 'xml', 'gzip': 'csv.gz'}.get(kind, kind) }")
    assert answer.status in (200, 303, 400, 413, 415, 422), answer.status
    assert "root:x" not in answer.text
    page = raw.ask("GET", answer.header("location")) if answer.status == 303 else answer
    assert page.status < 500
    assert "root:x" not in page.text
    assert not INSIDE.search(page.text)
    assert raw.get("/").status == 200


def _bomb(kind: str) -> bytes:
    if kind == "gzip":
        made = zlib.compressobj(9, zlib.DEFLATED, 31)
        return made.compress(b"0" * (200 * MEGABYTE)) + made.flush()
    if kind in ("zip", "xlsx"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            if kind == "xlsx":
                archive.writestr("[Content_Types].xml", "<Types/>")
                archive.writestr(
                    "xl/workbook.xml", "<workbook><sheets><sheet name='a' sheetId='1'/></sheets></workbook>"
                )
            archive.writestr("xl/worksheets/sheet1.xml", b"0" * (300 * MEGABYTE))
        return out.getvalue()
    if kind == "laughs":
        entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
        return f'<?xml version="1.0"?><!DOCTYPE d [{entities}]><Document>&l9;</Document>'.encode()
    return b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document>&x;</Document>'


NAMES = ["../../../etc/passwd", "..\\..\\x.csv", "a\x00.csv", "a\r\nX: y.csv", "", ".", "/etc/passwd", "a" * 2_000]


@pytest.mark.parametrize("name", [*NAMES, "policy/run.toml", "=1+1.csv"])
def test_the_name_of_a_file_leads_nowhere(console: Console, keys: dict[str, str], stack: Stack, name: str) -> None:
    """What is stored lies below incoming/, whatever the name is; a policy is not overwritten by a file's name."""
    raw = console.raw(keys["operator"])
    answer = send(raw, f"kind,a\n{uuid.uuid4().hex},1\n".encode(), name.replace('"', "%22"))
    assert answer.status < 500, (name, answer.status)
    bucket = stack.outputs["ReconciliationBucketName"]
    listed = stack.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    assert not [
        one["Key"] for one in listed if one["Key"].startswith(("/", "..", "policy/", "etc/")) or ".." in one["Key"]
    ]


def test_an_uploaded_page_is_never_served_as_one(console: Console, keys: dict[str, str]) -> None:
    """Whatever the console offers of a file comes as an attachment of plain text (ASVS 3.2.1)."""
    raw = console.raw(keys["operator"])
    send(raw, b"<html><script>alert(document.domain)</script></html>", "page.html")
    for address, answer in crawl(raw, "/files", each=4, limit=60).answers.items():
        if b"alert(document.domain)" in answer.body:
            assert "attachment" in answer.header("content-disposition"), address
            assert "html" not in answer.header("content-type"), address
