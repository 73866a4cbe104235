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


def subfields(line: BankLine) -> list[str]:
    """Write :86: as German banks do: a code, ?00 the kind, ?20 and on the text in pieces of 27 characters, ?32 who.

    The pieces are cut wherever they end, in the middle of a name, too.
    Deutsche Kreditwirtschaft, DFÜ-Abkommen, annex 3.
    """
    text = (f"EREF+{line.end_to_end} " if line.end_to_end else "") + f"SVWZ+{line.text}"
    pieces = [text[at : at + 27] for at in range(0, min(len(text), 270), 27)]
    told = "166?00GUTSCHRIFT?109310" if line.amount >= 0 else "177?00UEBERWEISUNG?109310"
    told += "".join(f"?{20 + number}{piece}" for number, piece in enumerate(pieces)) + f"?32{line.counterparty[:27]}"
    return [told[at : at + 65] for at in range(0, len(told), 65)]


def entry(line: BankLine, structured: bool) -> list[str]:
    """Write one entry and its information to the account owner."""
    side = "C" if line.amount >= 0 else "D"
    reference = line.end_to_end[:16] or "NONREF"
    text = f"{line.text} {line.counterparty}" if line.line_id < "5" else f"{line.counterparty} {line.text}"
    told = subfields(line) if structured else [text[at : at + 65] for at in range(0, min(len(text), 390), 65)]
    return [
        f":61:{line.booked:%y%m%d%m%d}{side}{comma(line.amount, line.currency)}NTRF{reference}//{line.line_id}",
        f":86:{told[0]}",
        *told[1:],
    ]


PAGE = 3  # entries; a page that is not the last ends with an intermediate balance, with which the next begins


def document(statements: list["Statement"], structured: bool) -> str:
    """Write the statements page by page, each ended by a hyphen."""
    rows: list[str] = []
    for of in statements:
        stands, pages = of.opening, [of.lines[at : at + PAGE] for at in range(0, len(of.lines), PAGE)] or [[]]
        for number, page in enumerate(pages, 1):
            rows += [f":20:{of.statement_id[-16:]}", f":25:{of.account}", f":28C:{of.number}/{number}"]
            rows.append(balance("60F" if number == 1 else "60M", stands, of))
            for line in page:
                rows += entry(line, structured)
                stands += line.amount
            rows += [balance("62F" if number == len(pages) else "62M", stands, of), "-"]
    return "\r\n".join(rows) + "\r\n"
