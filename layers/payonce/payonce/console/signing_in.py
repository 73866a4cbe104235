"""Signing in and out: the page, the key, and what follows. Here the browser has no session yet, or ends it."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from payonce.console import answers, cookies, csrf
from payonce.console.audit import NOBODY
from payonce.console.exchange import SIGN_IN, Exchange
from payonce.console.page import Rendered
from payonce.console.rendering import render
from payonce.console.requests import form_of
from payonce.domain.errors import BodyMalformed, PayonceError, Throttled, Unauthenticated
from payonce.domain.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.console.answers import Answer

SIGN_OUT, THEME, TIMES = "/sign-out", "/theme", "/times"
THEMES = ("", "light", "dark")
ZONES = ("local", "utc")  # how times are written: by the script in the reader's zone, or in UTC
TEMPLATE = "sign_in.html"
NEXT, KEY = "next", "operator_key"
_SECRET = re.compile(r"[0-9a-f]{64}")
_OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,500}", re.ASCII)  # without a backslash, which browsers read as a slash


def signed_in_first(exchange: Exchange) -> Answer:
    """Return the answer to a request without a session: the sign-in page, which leads back to where one wanted to go.

    A page that refreshes itself is left as a whole. With a link from elsewhere, such as an alarm's mail, a browser does
    not send a strict cookie: a page of ours asks once more for the same, and then it does.
    """
    incoming = exchange.incoming
    if incoming.headers.get("sec-fetch-site") == "cross-site" and not incoming.is_fragment:
        onward = exchange.around.url(incoming.path, **incoming.query)
        return answers.page(render(Rendered("arrived.html", {"onward": onward}), exchange.around))
    asked = incoming.path + (f"?{urlencode(incoming.query)}" if incoming.query else "")
    if _OWN_PATH.fullmatch(asked) is None or asked == "/":
        asked = ""
    return exchange.away(exchange.around.url(SIGN_IN, **{NEXT: asked}))


def sign_in_page(exchange: Exchange, error: PayonceError | None = None) -> Answer:
    """Return the sign-in page. Its form holds the token of a secret that the browser keeps until it is sent."""
    incoming = exchange.incoming
    had = incoming.cookies.get(cookies.FORM, "")
    secret = had if _SECRET.fullmatch(had) else exchange.parts.form_secret()
    around = exchange.around
    context = {
        "csrf": csrf.token_of(secret),
        "next": _next_of(incoming.query.get(NEXT, "")),
        "wrong": "" if error is None else error.detail,
        "action": around.url(SIGN_IN),
    }
    status = 200 if error is None else problem_of(error).status
    kept = cookies.set_cookie(cookies.FORM, secret)
    told = (cookies.end_cookie(cookies.SAID),) if around.said else ()
    answer = answers.page(render(Rendered(TEMPLATE, context), around), status, (kept, *told))
    if isinstance(error, Throttled):
        answer = replace(answer, headers={**answer.headers, "Retry-After": str(error.retry_after_seconds)})
    return answer


def sign_in(exchange: Exchange) -> Answer:
    """Start a session for the key in the form, under a new id whatever cookie was sent.

    Each key that is looked at is audited.

    Raises ``Forbidden`` for a form that no page of ours has sent.
    """
    incoming, parts = exchange.incoming, exchange.parts
    csrf.require_own_page(incoming.headers)
    form = form_of(incoming)
    csrf.require_token(incoming.cookies.get(cookies.FORM, ""), form.fields.get(csrf.FIELD, ""))
    try:
        parts.guesses.take(incoming.address)
        operator = parts.operators.authenticate(form.fields.get(KEY, "").strip())
    except Throttled as error:
        # Not in the trail: the ten wrong keys before it are, and a trail that guesses can fill hides what people did.
        return sign_in_page(exchange, error)
    except Unauthenticated as error:
        result = f"{problem_of(error).slug}, from {incoming.address}"
        parts.acts.note(principal=NOBODY, operation=SIGN_IN, on=SIGN_IN, merchant_id=None, result=result, refused=True)
        return sign_in_page(exchange, error)
    parts.guesses.give_back(incoming.address)
    if (before := exchange.read_session()) is not None:
        parts.sessions.end(before)
    exchange.session = parts.sessions.start(operator)
    exchange.note(SIGN_IN, f"signed in as {operator.role.value}, from {incoming.address}", refused=False)
    started = cookies.set_cookie(cookies.SESSION, exchange.session.token)
    ended = (cookies.end_cookie(cookies.FORM), cookies.end_cookie(cookies.SAID))
    return answers.see(exchange.around.url(_next_of(form.fields.get(NEXT, "")) or "/"), (started, *ended))


def sign_out(exchange: Exchange) -> Answer:
    """End the session, on the server and in the browser. Raises ``Forbidden`` for a form of another page."""
    form = exchange.checked_form()
    session = exchange.session
    if form is not None and session is not None:
        exchange.parts.sessions.end(session)
        exchange.note(SIGN_OUT, "signed out", refused=False)
    exchange.session = None
    said = cookies.said_cookie("You are signed out.")
    return answers.see(exchange.around.url(SIGN_IN), (cookies.end_cookie(cookies.SESSION), said))


def set_theme(exchange: Exchange) -> Answer:
    """Keep the theme in a cookie and return to the page. Raises ``BodyMalformed`` for a theme that there is not."""
    return _keep(exchange, "theme", THEMES, cookies.THEME, "The themes are light, dark, and that of the device.")


def set_times(exchange: Exchange) -> Answer:
    """Keep in a cookie how times are written, and return to the page. Raises ``BodyMalformed`` for another way."""
    return _keep(exchange, "times", ZONES, cookies.TIMES, "Times are written as local ones, or in UTC.")


def _keep(exchange: Exchange, name: str, choices: tuple[str, ...], cookie: str, otherwise: str) -> Answer:
    form = exchange.checked_form()
    if form is None:
        return exchange.ended()
    chosen = form.fields.get(name, "")
    if chosen not in choices:
        raise BodyMalformed(otherwise)
    kept = cookies.set_cookie(cookie, chosen, max_age_seconds=cookies.LOOKS_SECONDS)
    shown = _shown_by_browser(exchange) or form.fields.get(NEXT, "")
    return answers.see(exchange.around.url(_next_of(shown) or "/"), (kept,))


def _shown_by_browser(exchange: Exchange) -> str:
    """Return the path and query of the console's page that the form was sent from, or "" if the browser says none.

    The header with the form stays while pages are swapped below it, so that the form itself can't know.
    """
    headers = exchange.incoming.headers
    try:
        sent_from = urlsplit(headers.get("referer", ""))
    except ValueError:
        return ""
    base = exchange.incoming.base
    if sent_from.netloc.lower() != headers.get("host", "").lower() or not f"{sent_from.path}/".startswith(f"{base}/"):
        return ""
    return (sent_from.path.removeprefix(base) or "/") + (f"?{sent_from.query}" if sent_from.query else "")


def _next_of(text: str) -> str:
    """Return the path to go on at, or "" for what is no path of the console."""
    return text if _OWN_PATH.fullmatch(text) and ".." not in text else ""


SESSION_FORMS: Mapping[str, Callable[[Exchange], Answer]] = MappingProxyType(
    {SIGN_IN: sign_in, SIGN_OUT: sign_out, THEME: set_theme, TIMES: set_times}
)
