"""BAI2: a file (01, 99) of groups (02, 98), each a day of accounts (03, 49) with their transactions (16).

Opening and closing ledger balance are 010 and 015; 142 is an ACH credit, 455 an ACH debit. Control totals are sums of
all amounts of their level, and each level counts its records. https://www.bai.org/libraries/site-general-downloads
(Cash Management Balance Reporting Specifications, version 2); banks' guides of it.
"""

from typing import TYPE_CHECKING

from tests.outside_month.model import BankLine

if TYPE_CHECKING:
    from tests.outside_month.statements import Statement


def transaction(line: BankLine) -> str:
    """Write one transaction; what ends in a slash is over, and a text runs to the line's end."""
    code = "142" if line.amount >= 0 else "455"
    return f"16,{code},{abs(line.amount)},,{line.line_id},{line.end_to_end},{line.text} {line.counterparty}"


def group(of: "Statement") -> list[str]:
    """Write one day of one account, with the totals of both levels."""
    day = f"{of.day:%y%m%d}"
    account = [f"03,{of.account},{of.currency},010,{of.opening},,,015,{of.closing},,/", *map(transaction, of.lines)]
    total = of.opening + of.closing + sum(abs(line.amount) for line in of.lines)
    rows = [*account, f"49,{total},{len(account) + 1}/"]
    return [f"02,SHOP,BANK,1,{day},2359,{of.currency},2/", *rows, f"98,{total},1,{len(rows) + 2}/"]


def document(statements: list["Statement"]) -> str:
    """Write a file of some days."""
    rows = [row for of in statements for row in group(of)]
    total = sum(int(row.split(",")[1]) for row in rows if row.startswith("98,"))
    made = f"{statements[-1].day:%y%m%d}"
    head = f"01,BANK,SHOP,{made},2359,1,,,2/"
    return "\n".join([head, *rows, f"99,{total},{len(statements)},{len(rows) + 2}/"]) + "\n"
