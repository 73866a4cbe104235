"""Serves the console's pages and actions, with every check before a view or an act is called.

A GET costs one round trip for the session and those of its view. What goes wrong becomes a page that says what to do.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.console import answers, cookies
from payonce.console.assets import ASSETS_PATH, assets
from payonce.console.errors_shown import CHANGE, ended_page, error_page, unforeseen_page
from payonce.console.exchange import SIGN_IN, Exchange
from payonce.console.guard import merchant_for, require_role
from payonce.console.page import ActionRequest, Download, PageRequest, sent_to
from payonce.console.refused import given_back
from payonce.console.rendering import KEY_FIELD, MERCHANT_PARAMETER
from payonce.console.signing_in import SESSION_FORMS, sign_in_page, signed_in_first
from payonce.domain.errors import (
    BodyMalformed,
    NotFound,
    OutcomeUnknown,
    PayonceError,
    StoreRequestInvalid,
    StoreUnavailable,
    Unauthenticated,
)
from payonce.domain.problems import problem_of
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from payonce.console.answers import Answer
    from payonce.console.page import Action, Page, Rendered
    from payonce.console.parts import Parts
    from payonce.console.requests import Incoming
    from payonce.console.sessions import Session

_FORM_KEY = re.compile(r"form_[0-9A-HJKMNP-TV-Z]{26}")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_SUCH_PAGE = "There is no such page."


class Console:
    """The console over its parts and its tables of routes. ``navigation`` are paths, titles and pages."""

    def __init__(self, parts: Parts, pages: Sequence[Page], navigation: Sequence[tuple[str, str, Page]]) -> None:
        self._parts = parts
        self._pages = pages
        self._navigation = navigation

    def get(self, incoming: Incoming) -> Answer:
        """Return the answer to a GET. Raises nothing."""
        serve = _file if incoming.path.startswith(ASSETS_PATH) else self._get
        return self._answered(incoming, serve, incoming.query)

    def post(self, incoming: Incoming, actions: Sequence[Action]) -> Answer:
        """Return the answer to a POST to one of ``actions``. Raises nothing."""
        return self._answered(incoming, lambda exchange: self._post(exchange, actions))

    def post_session(self, incoming: Incoming) -> Answer:
        """Return the answer to a POST that begins or ends a session, or changes how pages look. Raises nothing."""
        return self._answered(incoming, _session_form)

    def _answered(
        self, incoming: Incoming, serve: Callable[[Exchange], Answer], query: Mapping[str, str] = _NOTHING
    ) -> Answer:
        exchange = Exchange(self._parts, incoming, self._navigation)
        about = {"request_id": incoming.request_id, "path": incoming.path}
        try:
            return serve(exchange)
        except StoreRequestInvalid:
            get_logger().exception("invalid request", extra=about)
        except PayonceError as error:
            get_logger().info("refused", extra={**about, "error": type(error).__name__})
            return _refusal(exchange, error, error_page(error, incoming.request_id, query))
        except Exception as error:
            get_logger().exception("unforeseen error", extra=about)
            return _refusal(exchange, error, unforeseen_page(incoming.request_id))
        return exchange.page(unforeseen_page(incoming.request_id))

    def _get(self, exchange: Exchange) -> Answer:
        incoming = exchange.incoming
        session = exchange.read_session()
        if incoming.path == SIGN_IN:
            return answers.see(exchange.around.url("/")) if session else sign_in_page(exchange)
        if session is None:
            return signed_in_first(exchange)
        page, parameters = matched(self._pages, incoming.path)
        _admit(exchange, session, page, f"GET {page.path}")
        made = page.asked_for(incoming.query)(
            self._parts.application, PageRequest(**_asked(exchange, session, parameters))
        )
        if incoming.is_boosted or not incoming.is_fragment:  # a page that refreshes itself keeps no session open
            self._parts.sessions.use(session)
        if not isinstance(made, Download):
            return exchange.page(made)
        if incoming.is_fragment:  # htmx would swap the file into the page, so the browser has to ask for it
            return answers.again(exchange.around.url(incoming.path, **incoming.query))
        return answers.download(made)

    def _post(self, exchange: Exchange, actions: Sequence[Action]) -> Answer:
        exchange.sent = sent = sent_to(actions, exchange.incoming.path)
        form = exchange.checked_form()
        session = exchange.session
        if form is None or session is None:
            return _ended(exchange)
        if sent is None:
            raise NotFound(_NO_SUCH_PAGE)
        action, parameters = sent.action, sent.parameters
        _admit(exchange, session, action, action.path, form.fields.get(MERCHANT_PARAMETER, ""))
        key = form.fields.get(KEY_FIELD, "")
        if key and not _FORM_KEY.fullmatch(key):
            raise BodyMalformed("The form's key is not one of ours. Open the page again, and send the form from there.")
        sent.may_act = True
        request = ActionRequest(**_asked(exchange, session, parameters), fields=form.fields, files=form.files, key=key)
        try:
            done = action.act(self._parts.application, request)
        except Exception as error:
            with _logged(action.path):  # what the act raised is what the page has to say
                exchange.note(action.path, _told(error), refused=True)
            raise
        try:
            exchange.note(action.path, done.said or "done", refused=False)
        except StoreUnavailable:
            # The store says that nothing was done, and means the entry: the act came before it.
            raise OutcomeUnknown("It was begun, and its entry in the audit trail could not be written.") from None
        with _logged(action.path):
            self._parts.sessions.use(session)
        said = (cookies.said_cookie(done.said),) if done.said else ()
        return answers.see(exchange.around.url(done.location), said)


def _refusal(exchange: Exchange, error: Exception, rendered: Rendered) -> Answer:
    """Return the page of an error, with the form that was refused."""
    if exchange.sent is None or exchange.sent.action.form is None:
        return exchange.page(rendered)
    context = {**rendered.context, "given_back": given_back(exchange, error)}
    if rendered.status == 400 and exchange.sent.may_act:
        context["advice"] = CHANGE
    # The address stays that of the form's page: what is loaded anew from there is the page, as it stands then.
    answer = exchange.page(replace(rendered, context=context))
    return replace(answer, headers={**answer.headers, "HX-Push-Url": "false"})


def _ended(exchange: Exchange) -> Answer:
    """Return the answer to a form whose session has ended: what was typed is shown once more, to be copied."""
    exchange.read_without_session()
    kept = given_back(exchange, Unauthenticated(""))
    if kept is None or not kept.is_worth_copying:
        return exchange.ended()
    answer = _refusal(exchange, Unauthenticated(""), ended_page())
    # The whole page goes, with the name and the tokens of who was signed in.
    return replace(answer, headers={**answer.headers, "HX-Retarget": "body", "HX-Reswap": "innerHTML"})


@contextmanager
def _logged(operation: str) -> Iterator[None]:
    """Log what the store refuses, and go on: what was done before it is done."""
    try:
        yield
    except PayonceError:
        get_logger().exception("not written after an act", extra={"operation": operation})


def _file(exchange: Exchange) -> Answer:
    file = assets().get(exchange.incoming.path.removeprefix(ASSETS_PATH))
    if file is None:
        raise NotFound(_NO_SUCH_PAGE)
    return answers.kept(file, packs=exchange.incoming.takes_gzip)


def _session_form(exchange: Exchange) -> Answer:
    serve = SESSION_FORMS.get(exchange.incoming.path)
    if serve is None:
        raise NotFound(_NO_SUCH_PAGE)
    return serve(exchange)


def _admit(exchange: Exchange, session: Session, route: Page | Action, operation: str, in_form: str = "") -> None:
    """Let the operator and the merchant pass, or audit the refusal and raise it."""
    try:
        require_role(route, session.operator)
        in_address = exchange.incoming.query.get(MERCHANT_PARAMETER, "")
        exchange.merchant_id = merchant_for(session.operator, in_address, in_form)
    except PayonceError as error:
        exchange.note(operation, _told(error), refused=True)
        raise


def _asked(exchange: Exchange, session: Session, parameters: Mapping[str, str]) -> dict[str, Any]:
    application = exchange.parts.application
    return {
        "path_parameters": parameters,
        "query": exchange.incoming.query,
        "operator": session.operator,
        "merchant_id": exchange.merchant_id,
        "now_ms": application.clock.now_ms(),
        "deadline": exchange.incoming.deadline,
        "ids": application.ids,
    }


def _told(error: Exception) -> str:
    """Return what the audit trail says of an error: its problem type and sentence, or that nobody foresaw it."""
    return f"{problem_of(error).slug}: {error.detail}" if isinstance(error, PayonceError) else "internal: unforeseen"


def matched[R: (Page, Action)](routes: Sequence[R], path: str) -> tuple[R, Mapping[str, str]]:
    """Return the first route of ``path``, and the path's parameters. Raises ``NotFound``."""
    for route in routes:
        parameters = route.matched(path)
        if parameters is not None:
            return route, parameters
    raise NotFound(_NO_SUCH_PAGE)
