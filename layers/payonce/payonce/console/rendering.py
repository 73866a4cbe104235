"""Renders templates: Jinja2 with autoescape, and an error for each name that a view forgot."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from payonce.console.assets import ASSETS_PATH, asset
from payonce.console.csrf import FIELD
from payonce.console.filters import FILTERS
from payonce.console.forms import FORMS
from payonce.console.page import Rendered, Role
from payonce.extras import needs

with needs("console"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.operators import Operator
    from payonce.ports import IdSource

TEMPLATES = Path(__file__).parent / "templates"
KEY_FIELD = "key"
MERCHANT_PARAMETER = "merchant"
KEY_ID_PREFIX = "form"
# Of an address: the place in a list, what a page that refreshes itself has, and what every link has by itself.
PLACES = ("cursor", "page", "after")
NO_FILTERS = frozenset({*PLACES, "format", "list", "seen", "owned", MERCHANT_PARAMETER})
_SAFE_IN_PATHS = "/%:@!$&'()*+,;=~"  # RFC 3986, section 3.3; what is encoded already stays so


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every template gets beside its view's context.

    ``base`` precedes each link, such as /production/console. ``csrf`` is the token of the forms. ``navigation`` are the
    paths and titles of the pages that the operator may see. ``said`` is what the last action said, and ``query`` what
    the address asks for.
    """

    base: str
    path: str
    csrf: str
    ids: IdSource
    operator: Operator | None = None
    merchant_id: str | None = None
    theme: str = ""
    times: str = "local"
    said: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    navigation: Sequence[tuple[str, str]] = ()

    def url(self, path: str, /, **query: str | None) -> str:
        """Return the link to a path of the console. It keeps the merchant that an operator of the platform chose.

        What no URL can hold is percent-encoded, so that the link can be a header's value.
        """
        chosen = self.merchant_id if self.operator is not None and self.operator.merchant_id is None else None
        named = {MERCHANT_PARAMETER: chosen, **query}
        parts = urlsplit(path)
        asked = "&".join(filter(None, (parts.query, urlencode({name: text for name, text in named.items() if text}))))
        place = self.base + ("" if parts.path == "/" else quote(parts.path, safe=_SAFE_IN_PATHS))
        return f"{place}?{asked}" if asked else place

    @property
    def filters(self) -> dict[str, str]:
        """Return what the address asks for without the place in a list, and without what is in each address anyway."""
        return {name: text for name, text in self.query.items() if text and name not in NO_FILTERS}

    def first_page(self) -> str:
        """Return the link to the first page of this page's list."""
        return self.url(self.path, **self.filters)

    def saved(self, name: str, form: str) -> str:
        """Return the link that saves the list ``name`` of this page, with its filters, as a file."""
        return self.url(self.path, **{"format": form, **self.filters, "list": name})

    def hidden(self, key: str = "") -> Markup:
        """Return a form's hidden fields: the token, its ``key`` or a new one, and the merchant it is about."""
        fields = [(FIELD, self.csrf), (KEY_FIELD, key or self.ids.new(KEY_ID_PREFIX))]
        if self.merchant_id:
            fields.append((MERCHANT_PARAMETER, self.merchant_id))
        return Markup("").join(
            Markup('<input type="hidden" name="{}" value="{}">').format(name, text) for name, text in fields
        )

    def can(self, role: str) -> bool:
        """Return whether the operator may do what ``role`` may."""
        return self.operator is not None and self.operator.role.includes(Role(role))

    def context(self) -> dict[str, Any]:
        """Return the names that every template may use."""
        return {
            "base": self.base,
            "path": self.path,
            "csrf": self.csrf,
            "operator": self.operator,
            "merchant_id": self.merchant_id,
            "theme": self.theme,
            "times": self.times,
            "said": self.said,
            "navigation": self.navigation,
            "can": self.can,
            "url": self.url,
            "hidden": self.hidden,
            "asset": self.asset,
            "query": self.query,
            "first_page": self.first_page,
            "saved": self.saved,
        }

    def asset(self, file: str) -> str:
        """Return the link to a file of the console, by the hash of its content."""
        return f"{self.base}{ASSETS_PATH}{asset(file).name}"


@cache
def environment() -> Environment:
    """Return the process's environment, which keeps each template that it has compiled."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters.update(FILTERS)
    made.globals["forms"] = FORMS
    return made


def render(rendered: Rendered, around: Surroundings, *, fragment: bool = False, boosted: bool = False) -> str:
    """Return the page's HTML. With ``fragment`` it is the element ``main`` alone, and the title; see layout.html.

    ``boosted``: a link was followed by htmx, so that the fragment brings the navigation as well. Raises
    ``jinja2.UndefinedError`` for a name that neither the view nor the surroundings give.
    """
    template = environment().get_template(rendered.template)
    return template.render({**around.context(), "fragment": fragment, "boosted": boosted, **rendered.context})
