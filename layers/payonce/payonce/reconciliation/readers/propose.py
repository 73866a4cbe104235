"""A mapping proposed from a table's header and first rows, for a person to check: nothing is read by it unseen."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.mapping import parse_day
from payonce.reconciliation.readers.tables import QIF_BEGINNING, csv_rows, is_workbook, qif_rows, sheet_rows
from payonce.reconciliation.readers.text import as_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.tables import Row

SAMPLE_ROWS = 200
SEPARATORS = (";", ",", "\t", "|")
DATE_FORMS = (
    "YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD", "DD.MM.YYYY", "DD.MM.YY", "DD-MM-YYYY", "DD-MM-YY",
    "DD/MM/YYYY", "MM/DD/YYYY", "DD/MM/YY", "MM/DD/YY", "MM-DD-YYYY", "DD MMM YYYY", "DD-MMM-YYYY", "DD-MMM-YY",
)  # fmt: skip
# What banks call a column, folded to letters and digits; the first role that fits takes it. Names as banks of several
# countries print them above their exports.
ROLES: dict[str, tuple[str, ...]] = {
    "end_to_end_id": ("endtoend", "endezuende", "e2e"),
    "direction": ("dc", "drcr", "afbij", "sollhaben", "sh", "creditdebit", "debitcredit", "sollhabenkennzeichen"),
    "value_date": ("valuta", "valutadatum", "wertstellung", "valuedate", "rentedatum", "datevaleur", "fechavalor"),
    "booking_date": (
        "buchungstag", "buchungsdatum", "buchung", "bookingdate", "boekdatum", "postingdate", "transactiondate",
        "date", "datum", "datecomptable", "dateoperation", "datalaksiegowania", "fecha", "data", "dataoperacji",
        "completeddate",
    ),
    "balance": ("saldo", "balance", "saldonachbuchung", "saldonamutatie", "saldonatrn", "runningbalance", "solde"),
    "debit": ("soll", "debit", "debitamount", "lastschrift", "belastung", "paidout", "withdrawal", "withdrawals", "af"),
    "credit": ("haben", "credit", "creditamount", "gutschrift", "paidin", "deposit", "deposits", "bij"),
    "amount": ("betrag", "amount", "bedrag", "bedrageur", "umsatz", "montant", "kwota", "importe", "importo", "value"),
    "currency": ("wahrung", "waehrung", "currency", "munt", "muntsoort", "devise", "whg", "waluta", "divisa", "valuta"),
    "account": ("auftragskonto", "iban", "ibanbban", "account", "accountnumber", "rekening", "konto"),
    "counterparty": (
        "auftraggeber", "beguenstigterzahlungspflichtiger", "namezahlungsbeteiligter", "naamtegenpartij", "name",
        "naam", "naamomschrijving", "payee", "partnername", "counterparty", "counterpartyname",
        "empfaenger", "empfanger", "zahlungspflichtiger", "zahlungsempfanger", "beneficiary",
    ),
    "description": (
        "verwendungszweck", "buchungstext", "description", "omschrijving", "omschrijving1", "omschrijving2", "memo",
        "label", "remittance", "mededelingen", "betreff", "details", "narrative", "libelle", "tytul", "concepto",
        "remittanceinformation", "transactiondetails",
    ),
    "reference": (
        "referenz", "reference", "kundenreferenz", "kundenreferenzendtoend", "transactionid", "transactiereferentie",
        "number", "mandatsreferenz", "volgnr", "bankreference", "customerreference", "checknumber",
    ),
}  # fmt: skip
SEVERAL = ("description", "reference")
_FOLD = str.maketrans("äöüéèêàç", "aoueeeac")
_NOT_NAME = re.compile(r"[^a-z0-9]")


@dataclass(slots=True)
class Proposal:
    """What was made out, and ``doubts``: what a person has to look at."""

    separator: str = ","
    encoding: str = "utf-8"
    decimal_sign: str = "."
    date_form: str = "YYYY-MM-DD"
    account: str | None = None
    currency: str | None = None
    columns: dict[str, str | list[str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def to_toml(self) -> str:
        """Return the mapping's TOML; a doubt is a comment in it."""
        settings = {
            "account": self.account,
            "currency": self.currency,
            "separator": self.separator,
            "encoding": self.encoding,
            "decimal_sign": self.decimal_sign,
            "date_form": self.date_form,
        }
        lines = [*(f"# {doubt}" for doubt in self.doubts)]
        lines += [f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None]
        lines += ["", "[columns]", *(f"{name} = {_toml(value)}" for name, value in self.columns.items())]
        return "\n".join(lines) + "\n"


def propose(data: bytes, *, account: str | None = None, currency: str | None = None) -> Proposal:
    """Return a mapping for the table. Raises ``FileRejected`` where no header of a bank's table is found."""
    proposal = Proposal(account=account, currency=currency)
    sample = list(islice(_rows(as_utf8(data), proposal), SAMPLE_ROWS))
    header = max(sample, key=lambda row: (len(_roles(row.cells)), -row.line), default=None)
    if header is None or not {"booking_date", "value_date"} & set(roles := _roles(header.cells)):
        raise FileRejected("no line of its beginning looks like the header of a bank's table: none names a date")
    roles.setdefault("booking_date", roles.get("value_date", []))
    if "amount" in roles:
        roles.pop("debit", None)
        roles.pop("credit", None)
    elif not {"debit", "credit"} & set(roles):
        raise FileRejected("no column of it looks like an amount", line=header.line)
    rows = [row.cells for row in sample if row.line > header.line]
    proposal.columns = {role: names if role in SEVERAL else names[0] for role, names in roles.items()}
    _look_at_values(proposal, header.cells, rows, roles)
    _fill_in(proposal, roles)
    return proposal


def _rows(data: bytes, proposal: Proposal) -> Iterator[Row]:
    if is_workbook(data):
        return sheet_rows(data, sheet=None)
    if data.lstrip().startswith(QIF_BEGINNING):
        return qif_rows(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        proposal.encoding = "cp1252"
        proposal.doubts.append("The file is not UTF-8; check names with accents, and the encoding.")
    proposal.separator = max(SEPARATORS, key=lambda each: _evenness(data, proposal.encoding, each))
    return csv_rows(data, encoding=proposal.encoding, separator=proposal.separator)


def _evenness(data: bytes, encoding: str, separator: str) -> int:
    """Return how many cells lie in rows as wide as most are; rows of one cell tell nothing."""
    try:
        widths = Counter(len(row.cells) for row in islice(csv_rows(data, encoding=encoding, separator=separator), 50))
    except FileRejected:
        return 0
    return max((width * count for width, count in widths.items() if width > 1), default=0)


def _roles(cells: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the columns by what they seem to mean; one of each role, several of texts."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        name = _NOT_NAME.sub("", cell.lower().translate(_FOLD).replace("ß", "ss"))
        role = next(
            (each for each, names in ROLES.items() if name in names and (each in SEVERAL or each not in found)), None
        )
        if role is not None:
            found.setdefault(role, []).append(cell)
    return found


def _look_at_values(
    proposal: Proposal, header: tuple[str, ...], rows: list[tuple[str, ...]], roles: dict[str, list[str]]
) -> None:
    def values(*names: str) -> list[str]:
        places = [header.index(name) for role in names for name in roles.get(role, ())]
        return [row[at] for row in rows for at in places if at < len(row) and row[at]]

    dates = [text for text in values("booking_date", "value_date") if not text.startswith("@")]
    fitting = {form: sum(_is_day(text, form) for text in dates) for form in DATE_FORMS}
    most = max(fitting.values())
    forms = [form for form, count in fitting.items() if count == most and count * 2 > len(dates)]
    if dates and not forms:
        proposal.doubts.append("No form fits the dates of its beginning; state date_form.")
    elif dates:
        proposal.date_form = forms[0]
        if len(forms) > 1:
            proposal.doubts.append(f"The dates could be {' or '.join(forms)}; state which in date_form.")
    amounts = [text for text in values("amount", "debit", "credit", "balance") if not text.startswith("#")]
    commas = sum(re.search(r",[0-9]{1,2}\D*\Z", text) is not None for text in amounts)
    points = sum(re.search(r"\.[0-9]{1,2}\D*\Z", text) is not None for text in amounts)
    proposal.decimal_sign = "," if commas > points else "."
    if amounts and commas == points:
        proposal.doubts.append("The amounts show no decimal sign; check decimal_sign.")
    stated = {text.upper() for text in values("currency")}
    if "currency" in roles and not stated <= set(MINOR_UNIT_EXPONENTS):
        roles.pop("currency")
        proposal.columns.pop("currency", None)


def _is_day(text: str, form: str) -> bool:
    try:
        parse_day(text, form, line=1, field="date")
    except FileRejected:
        return False
    return True


def _fill_in(proposal: Proposal, roles: dict[str, list[str]]) -> None:
    if proposal.account is not None:
        proposal.columns.pop("account", None)
    elif "account" not in roles:
        proposal.account = "ACCOUNT"
        proposal.doubts.append("The table names no account of its own; write the account, or give --account.")
    if proposal.currency is not None:
        proposal.columns.pop("currency", None)
    elif "currency" not in roles:
        proposal.currency = "EUR"
        proposal.doubts.append("The table names no currency; write it, or give --currency.")


def _toml(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    escaped = "".join(
        f"\\u{ord(letter):04x}" if not letter.isprintable() or letter in '"\\' else letter for letter in value
    )
    return f'"{escaped}"'
