"""SWIFT MT940: :61: with value and entry date, side, amount, type NTRF, reference of the owner and of the bank, and
:86: of at most six lines of 65 characters. https://www.swift.com/standards (category 9), and banks' guides of it.
"""

from typing import TYPE_CHECKING

from tests.outside_month.model import BankLine, major

if TYPE_CHECKING:
    from tests.outside_month.statements import Statement


def comma(value: int, currency: str) -> str:
    """Write an amount with the comma that SWIFT demands."""
    text = major(abs(value), currency).replace(".", ",")
    return text if "," in text else text + ","


def balance(tag: str, value: int, of: "Statement") -> str:
    """Write an opening or closing balance."""
    return f":{tag}:{'C' if value >= 0 else 'D'}{of.day:%y%m%d}{of.currency}{comma(value, of.currency)}"


def entry(line: BankLine) -> list[str]:
    """Write one entry and its information to the account owner."""
    side = "C" if line.amount >= 0 else "D"
    reference = line.end_to_end[:16] or "NONREF"
    text = f"{line.text} {line.counterparty}" if line.line_id < "5" else f"{line.counterparty} {line.text}"
    told = [text[at : at + 65] for at in range(0, min(len(text), 390), 65)]
    return [
        f":61:{line.booked:%y%m%d%m%d}{side}{comma(line.amount, line.currency)}NTRF{reference}//{line.line_id}",
        f":86:{told[0]}",
        *told[1:],
    ]


PAGE = 3  # entries; a page that is not the last ends with an intermediate balance, with which the next begins


def document(statements: list["Statement"]) -> str:
    """Write the statements page by page, each ended by a hyphen."""
    rows: list[str] = []
    for of in statements:
        stands, pages = of.opening, [of.lines[at : at + PAGE] for at in range(0, len(of.lines), PAGE)] or [[]]
        for number, page in enumerate(pages, 1):
            rows += [f":20:{of.statement_id[-16:]}", f":25:{of.account}", f":28C:{of.number}/{number}"]
            rows.append(balance("60F" if number == 1 else "60M", stands, of))
            for line in page:
                rows += entry(line)
                stands += line.amount
            rows += [balance("62F" if number == len(pages) else "62M", stands, of), "-"]
    return "\r\n".join(rows) + "\r\n"
