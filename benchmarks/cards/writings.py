"""The ways in which people and programs write card numbers, and the ways to show less than one."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

SEPARATORS = {
    "space": " ",
    "two spaces": "  ",
    "tab": "\t",
    "-": "-",
    "' - '": " - ",
    ".": ".",
    "/": "/",
    "_": "_",
    ",": ",",
    "', '": ", ",
    ":": ":",
    ";": ";",
    "|": "|",
    "\\": "\\",
    "+": "+",
    "newline": "\n",
    "CR LF": "\r\n",
    "en dash": "–",
    "em dash": "—",
    "no-break hyphen": "\u2011",
    "minus sign": "\u2212",
    "fullwidth hyphen": "\uff0d",
    "soft hyphen": "\u00ad",
    "middle dot": "\u00b7",
    "no-break space": "\u00a0",
    "thin space": "\u2009",
    "narrow no-break space": "\u202f",
    "ideographic space": "\u3000",
}
INVISIBLE = {
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "zero-width non-joiner": "\u200c",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "left-to-right mark": "\u200e",
    "variation selector": "\ufe0f",
}
SCRIPTS = {
    "Arabic-Indic": "\u0660",
    "Persian": "\u06f0",
    "Devanagari": "\u0966",
    "Bengali": "\u09e6",
    "Thai": "\u0e50",
    "fullwidth": "\uff10",
    "mathematical bold": "\U0001d7ce",
}
# N is the number, M a number in groups with single spaces.
CONTEXTS = (
    "N 123",
    "N 12/27",
    "N 1227",
    "N 12/2027",
    "N exp 12/27 cvc 123",
    "12/27 N",
    "1227 N",
    "order 2 N",
    "2 N",
    "12 N",
    "123 N",
    "1234 N",
    "2 x N",
    "#N",
    "card:N",
    "card=N",
    "N,EUR",
    "N.",
    "(N)",
    "<N>",
    "'N'",
    "N/12/27",
    "N-123",
    "N|12|27|123",
    "N;12;27;123",
    "N:12:27:123",
    "N,12,27,123",
    "N=27122011234567890",
    "%BN^DOE/JO^2712201123456789?",
    ";N=2712201?",
    "ND27122011234567890F",
    "visaN",
    "NEUR",
    "xNy",
    "pan_N",
    "pan-N",
    "card N please",
    '{"card":"N","cvc":"123"}',
    '{"pan": "N", "amount": 1999}',
    "https://shop.example/pay?pan=N&cvc=123",
    "2026-11-28 N",
    "2026-11-28T12:00:00Z N",
    "N 2026-11-28",
    "19.99 N",
    "N 19.99",
    "+49 170 1234567 N",
    "N +49 170 1234567",
    "tel 0170 1234567, card N",
    "PL 00-950, N",
    "N 10115 Berlin",
    "1. N",
    "no. 7: N",
    "a\nN\nb",
    "1\nN\n2",
    "RE-2026/11/000123 N",
    "N RE-2026/11/000123",
    "M 123",
    "M 12/27",
    "2 M",
    "order 17 M",
    "M 1227 123",
    "M, M",
    "N N",
    "N,N",
    "12 M 34",
)


def groups(number: str) -> list[str]:
    """Return the number in the groups that are printed on such a card."""
    sizes = {13: (4, 3, 3, 3), 14: (4, 6, 4), 15: (4, 6, 5)}.get(len(number), (4,) * 5)
    cut = [number[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))]
    return [group for group in cut if group]


def in_script(number: str, script: str) -> str:
    """Return the number in the digits of another script."""
    zero = ord(SCRIPTS[script])
    assert unicodedata.digit(chr(zero)) == 0
    return "".join(chr(zero + int(digit)) for digit in number)


def in_context(number: str, context: str) -> str:
    """Return the text with the number in it."""
    return context.replace("N", number).replace("M", " ".join(groups(number)))


def writings() -> dict[str, Callable[[str, Random], str]]:
    """Return the ways to write a number, by name. A row of the table each."""
    ways: dict[str, Callable[[str, Random], str]] = {}
    for name, separator in SEPARATORS.items():
        ways[f"groups, {name}"] = lambda number, _, separator=separator: separator.join(groups(number))  # type: ignore[misc]
    for name, character in INVISIBLE.items():
        ways[f"{name} between digits"] = lambda number, _, character=character: character.join(number)  # type: ignore[misc]
    for script in SCRIPTS:
        ways[f"{script} digits"] = lambda number, _, script=script: in_script(number, script)  # type: ignore[misc]
        ways[f"{script} digits, groups"] = lambda number, _, script=script: " ".join(  # type: ignore[misc]
            in_script(group, script) for group in groups(number)
        )
    ways["every digit apart"] = lambda number, _: " ".join(number)
    ways["pairs"] = lambda number, _: " ".join(number[at : at + 2] for at in range(0, len(number), 2))
    ways["halves"] = lambda number, _: f"{number[:8]} {number[8:]}"
    ways["6 and the rest"] = lambda number, _: f"{number[:6]} {number[6:]}"
    ways["a space somewhere after the fourth"] = lambda number, random: one_space(number, random)
    ways["groups, mixed separators"] = lambda number, random: mixed(number, random)
    for context in CONTEXTS:
        ways[f"`{context}`".replace("\n", "↵")] = lambda number, _, context=context: in_context(number, context)  # type: ignore[misc]
    ways["any separator, any context"] = lambda number, random: in_context(
        random.choice([*SEPARATORS.values()]).join(groups(number)), random.choice(CONTEXTS).replace("M", "N")
    )
    return ways


def mixed(number: str, random: Random) -> str:
    """Return the groups with another separator after each."""
    first, *rest = groups(number)
    return first + "".join(random.choice([" ", "-", ".", "/", "\u00a0", "_"]) + group for group in rest)


def one_space(number: str, random: Random) -> str:
    """Return the number with a space where a thumb put it."""
    at = random.randrange(4, len(number))
    return f"{number[:at]} {number[at:]}"


def masked() -> dict[str, Callable[[str, Random], str]]:
    """Return the ways to show less than the number, which must pass."""
    return {
        "first six and last four": lambda number, _: number[:6] + "*" * (len(number) - 10) + number[-4:],
        "first six and last four, x": lambda number, _: number[:6] + "x" * (len(number) - 10) + number[-4:],
        "first eight and last four": lambda number, _: number[:8] + "•" * (len(number) - 12) + number[-4:],
        "groups masked": lambda number, _: f"{number[:4]} {number[4:6]}** **** {number[-4:]}",
        "last four": lambda number, _: f"**** **** **** {number[-4:]}",
        "last four, in words": lambda number, _: f"card ending in {number[-4:]}, 12/27",
        "one digit masked": lambda number, random: one_masked(number, random),
    }


def one_masked(number: str, random: Random) -> str:
    """Return the number with one digit in the middle replaced."""
    at = random.randrange(6, len(number) - 4)
    return number[:at] + random.choice("*xX•●") + number[at + 1 :]
