"""Django's responses: their lines as Django sends them, and responses made of what was stored."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from payonce.extras import needs

with needs("django"):
    from django.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http.response import HttpResponseBase

    from payonce.proxy.messages import Lines, ProxyResponse


def lines_of(response: HttpResponseBase) -> Lines:
    """Return the header lines of a response, cookies last."""
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return (*((str(name), str(value)) for name, value in response.items()), *cookies)


@contextmanager
def closed_on_failure(response: HttpResponseBase) -> Iterator[HttpResponseBase]:
    """Close what the view has opened for a response that is not sent, such as a file that could not be read."""
    try:
        yield response
    except BaseException:
        for close in response._resource_closers:
            with suppress(Exception):  # as Django does, and the failure is what the caller has to hear of
                close()
        raise


class _KeptCookie:
    """A cookie as it was stored. Django asks a response's cookies for nothing but this."""

    def __init__(self, text: str) -> None:
        self._text = text

    def OutputString(self, *_: Any) -> str:
        return self._text

    def output(self, *_: Any, header: str = "Set-Cookie:", **__: Any) -> str:
        return f"{header} {self._text}".strip()


def response_of(served: ProxyResponse) -> HttpResponse:
    """Return a response of what was stored, line by line."""
    response = HttpResponse(served.body, status=served.status)
    del response["Content-Type"]
    for name, value in served.lines:
        if name.lower() == "set-cookie":
            cookie_name = value.partition("=")[0].strip()
            dict.__setitem__(response.cookies, cookie_name, _KeptCookie(value))
        else:
            response[name] = value
    set_length(response)
    return response


def set_length(response: HttpResponse) -> None:
    """Set the length, as the last header, where an answer may have one."""
    del response["Content-Length"]
    if response.status_code not in {204, 304}:
        response["Content-Length"] = str(len(response.content))
