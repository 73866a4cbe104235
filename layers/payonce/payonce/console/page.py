"""The contract of a page and of an action: what a route is made of, what it is given, and what it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.console.operators import Operator, Role
from payonce.domain.errors import BodyMalformed, PayonceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.console.form import Form
    from payonce.ports import Deadline, IdSource
    from payonce.wiring.application import Application

    type Services = Application

__all__ = ["Action", "Done", "Download", "MerchantNotChosen", "Operator", "Page", "PageRequest", "Rendered", "Role"]

# Characters of a part of a path. No id is longer, and DynamoDB refuses to look for a key of over 2,048 bytes.
MAX_PARAMETER_LENGTH = 300
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class MerchantNotChosen(PayonceError):
    """An operator of the whole platform has named no merchant, and the page shows one. It becomes a page to choose."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page: ``template`` extends layout.html, and ``context`` is what it shows beside what every template gets."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the browser saves under ``name``, which is ASCII."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """What an action answers: the page that is shown next (303), and a sentence that it shows.

    ``location`` is a path of the console, such as ``/keys``, with a query if need be.
    """

    location: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form. ``name`` is what the browser calls it: text of the user's, never a path."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What a view is given. ``merchant_id`` is the one merchant it may show, or ``None`` while none is chosen.

    Only an operator of the whole platform can have chosen none. ``query`` has each parameter's last value.
    """

    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    operator: Operator
    merchant_id: str | None
    now_ms: int
    deadline: Deadline
    ids: IdSource

    def require_merchant(self) -> str:
        """Return the merchant's id. Raises ``MerchantNotChosen``, which becomes the page on which one is chosen."""
        if self.merchant_id is None:
            raise MerchantNotChosen("Choose a merchant: this page shows one at a time.")
        return self.merchant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest(PageRequest):
    """What an act is given: the form's fields, each with its last value, and its files.

    ``key`` was made when the form was rendered, so that a form that is sent twice has one key.
    """

    fields: Mapping[str, str] = _NOTHING
    files: Mapping[str, UploadedFile] = _NOTHING
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class _Route:
    """``path`` may have ``{names}``, which match one segment each. ``role`` is the least that may use it.

    ``platform``: only for operators of the whole platform; to others it does not exist.
    """

    path: str
    role: Role = Role.VIEWER
    platform: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"{(\w+)}", self.path)
        return re.compile(
            "".join(f"(?P<{part}>[^/]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
        )

    def matched(self, path: str) -> Mapping[str, str] | None:
        """Return the path's parameters if ``path`` is one of this route, else ``None``."""
        matched = self._pattern.fullmatch(path)
        if matched is None or any(len(value) > MAX_PARAMETER_LENGTH for value in matched.groupdict().values()):
            return None
        return matched.groupdict()


@dataclass(frozen=True, kw_only=True)
class Page(_Route):
    """A page that is read. ``view`` changes nothing.

    ``lists`` are the page's lists as files, by the names that ``?list=`` gives them; without it the first is meant.
    """

    view: Callable[[Services, PageRequest], Rendered | Download]
    lists: Mapping[str, Callable[[Services, PageRequest], Download]] = _NOTHING

    def asked_for(self, query: Mapping[str, str]) -> Callable[[Services, PageRequest], Rendered | Download]:
        """Return what answers the query: the view or, with ``?format=``, a list of the page as a file.

        Raises ``BodyMalformed`` for a list that the page has not.
        """
        if not query.get("format") or not self.lists:
            return self.view
        name = query.get("list") or next(iter(self.lists))
        if name not in self.lists:
            raise BodyMalformed(f"This page can save {', '.join(self.lists)}, and nothing else.")
        return self.lists[name]


@dataclass(frozen=True, kw_only=True)
class Action(_Route):
    """What a form does. ``act`` calls a use case and raises what that raises; each call is audited.

    ``form`` is what the form asks for: it is given back from it when ``act`` refuses.
    """

    role: Role = Role.OPERATOR
    act: Callable[[Services, ActionRequest], Done]
    form: Form | None = None


@dataclass(slots=True, kw_only=True)
class Sent:
    """A form that was sent to ``action``, with its fields as soon as they are read.

    ``may_act``: its session, token, role and merchant were looked at and are right.
    """

    action: Action
    parameters: Mapping[str, str]
    fields: Mapping[str, str] | None = None
    may_act: bool = False


def sent_to(actions: Sequence[Action], path: str) -> Sent | None:
    """Return the form of the first of the actions that is at ``path``, not yet read, or ``None``."""
    for action in actions:
        parameters = action.matched(path)
        if parameters is not None:
            return Sent(action=action, parameters=parameters)
    return None
