"""The demo's console: an operator of each role, and where and how each signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from local.stack import Stack

OPERATORS = (
    ("vera", "viewer", "looks at everything, changes nothing"),
    ("otto", "operator", "also releases keys, redelivers webhooks, drains gateways, uploads files, works on breaks"),
    ("ada", "approver", "also approves and rejects corrections"),
)


def show_console(stack: Stack, console: Console) -> None:
    """Add the operators, and print the console's address and their keys."""
    console.rule("the console")
    console.print(f"  {stack.console_url}", soft_wrap=True, markup=False, highlight=False)
    console.print("  Open the address in a browser on this machine, and sign in with one of these keys:")
    for name, role, may in OPERATORS:
        key = stack.add_operator(name, role)
        console.print(f"  {key}  {name}, {role}: {may}", soft_wrap=True, markup=False, highlight=False)
