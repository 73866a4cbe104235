"""One exchange: a request, who sent it as far as that is known, and what is needed to answer it in any case."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from payonce.console import answers, cookies, csrf
from payonce.console.guard import may
from payonce.console.rendering import Surroundings, render
from payonce.console.requests import URLENCODED, form_of
from payonce.domain.errors import BodyMalformed, Forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.console.answers import Answer
    from payonce.console.page import Page, Rendered, Sent
    from payonce.console.parts import Parts
    from payonce.console.requests import Form, Incoming
    from payonce.console.sessions import Session


SIGN_IN = "/sign-in"


class Exchange:
    """One request, and who sent it as far as that is known: what an error page can still be made of."""

    def __init__(self, parts: Parts, incoming: Incoming, navigation: Sequence[tuple[str, str, Page]]) -> None:
        self.parts = parts
        self.incoming = incoming
        self.session: Session | None = None
        self.merchant_id: str | None = None
        self.sent: Sent | None = None
        self._navigation = navigation

    @property
    def around(self) -> Surroundings:
        """Return what every template of this request gets."""
        session, incoming = self.session, self.incoming
        operator = session.operator if session else None
        seen = [(path, title) for path, title, page in self._navigation if operator and may(page, operator)]
        return Surroundings(
            base=incoming.base,
            path=incoming.path,
            csrf=csrf.token_of(session.token) if session else "",
            ids=self.parts.application.ids,
            operator=operator,
            merchant_id=self.merchant_id,
            theme=incoming.cookies.get(cookies.THEME, ""),
            times="utc" if incoming.cookies.get(cookies.TIMES) == "utc" else "local",
            said=cookies.said_in(incoming.cookies.get(cookies.SAID, "")),
            query=incoming.query,
            navigation=seen,
        )

    def page(self, rendered: Rendered) -> Answer:
        """Return the page, or the fragment that htmx asked for. What the last action said is shown once."""
        around = self.around
        html = render(rendered, around, fragment=self.incoming.is_fragment, boosted=self.incoming.is_boosted)
        told = self.incoming.is_boosted or not self.incoming.is_fragment
        return answers.page(html, rendered.status, (cookies.end_cookie(cookies.SAID),) if around.said and told else ())

    def note(self, operation: str, result: str, *, refused: bool) -> None:
        """Write what the operator did, or tried to, into the audit trail."""
        if self.session is not None:
            self.parts.acts.note(
                principal=self.session.operator.principal,
                operation=operation,
                on=self.incoming.path,
                merchant_id=self.merchant_id or self.session.operator.merchant_id,
                result=result,
                refused=refused,
            )

    def read_session(self) -> Session | None:
        """Read the session of the request's cookie, and return it. One round trip."""
        self.session = self.parts.sessions.read(self.incoming.cookies.get(cookies.SESSION, ""))
        return self.session

    def checked_form(self) -> Form | None:
        """Return the form that a page of ours sent in this session, or ``None`` without a session.

        Raises ``Forbidden`` for a request from elsewhere, and for a token of another session. Both are audited.
        """
        session = self.read_session()
        try:
            csrf.require_own_page(self.incoming.headers)
            if session is None:
                return None
            form = form_of(self.incoming)
            if self.sent is not None:
                self.sent.fields = form.fields
            csrf.require_token(session.token, form.fields.get(csrf.FIELD, ""))
        except Forbidden as error:
            self.note("POST", error.detail, refused=True)
            raise
        return form

    def read_without_session(self) -> None:
        """Read what was typed into a form whose session has ended. It is shown to be copied, and nothing acts on it."""
        if self.sent is not None and self.incoming.headers.get("content-type", "").startswith(URLENCODED):
            with suppress(BodyMalformed):
                self.sent.fields = form_of(self.incoming).fields

    def ended(self) -> Answer:
        """Return the answer to a form whose session has ended."""
        said = cookies.said_cookie("Your session has ended, and nothing was done. Sign in, and do it again.")
        return self.away(self.around.url(SIGN_IN), (said,))

    def away(self, location: str, set_cookies: tuple[str, ...] = ()) -> Answer:
        """Return the answer that leads from a page to the sign-in at ``location``.

        A page of which htmx fills a part is left as a whole: its header has the name and the tokens of who was there.
        """
        lead = answers.leave if self.incoming.is_fragment else answers.see
        return lead(location, set_cookies)
