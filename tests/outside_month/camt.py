"""ISO 20022 camt.053, versions 2 and 8, camt.052 and camt.054. https://www.iso20022.org/iso-20022-message-definitions
(Bank-to-Customer Cash Management); a batch booking has one TxDtls for each of its transactions, a bank's charge stands
under Chrgs.
"""

from datetime import timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.outside_month.model import BankLine, major

if TYPE_CHECKING:
    from tests.outside_month.statements import Statement


KINDS = {
    "052": ("BkToCstmrAcctRpt", "Rpt"),
    "053": ("BkToCstmrStmt", "Stmt"),
    "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
}


def amount(value: int, currency: str) -> str:
    """Write an amount and its side."""
    side = "CRDT" if value >= 0 else "DBIT"
    return f'<Amt Ccy="{currency}">{major(abs(value), currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def balances(of: "Statement", version: str) -> str:
    """Write the booked balances; some banks state the day before's closing one in place of the opening one."""
    code, day = ("PRCD", of.day - timedelta(1)) if version == "02" else ("OPBD", of.day)
    return "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{name}</Cd></CdOrPrtry></Tp>{amount(value, of.currency)}<Dt><Dt>{at}</Dt></Dt></Bal>"
        for name, value, at in ((code, of.opening, day), ("CLBD", of.closing, of.day))
    )


def details(line: BankLine, version: str, text: str) -> str:
    """Write the transactions of an entry: one, or those that a batch names."""
    parts = line.parts or [(line.end_to_end, abs(line.amount))]
    party = "Dbtr" if line.amount >= 0 else "Cdtr"
    name = f"<Nm>{escape(line.counterparty)}</Nm>"
    who = f"<{party}>{name if version == '02' else f'<Pty>{name}</Pty>'}</{party}>"
    out = []
    for end_to_end, value in parts:
        side = "CRDT" if line.amount >= 0 else "DBIT"
        money = f'<AmtDtls><TxAmt><Amt Ccy="{line.currency}">{major(value, line.currency)}</Amt></TxAmt></AmtDtls>'
        if version != "02":
            money = f'<Amt Ccy="{line.currency}">{major(value, line.currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        remittance = escape(end_to_end if line.parts else text)
        out.append(
            f"<TxDtls><Refs><EndToEndId>{escape(end_to_end) or 'NOTPROVIDED'}</EndToEndId></Refs>{money}"
            f"<RltdPties>{who}</RltdPties><RmtInf><Ustrd>{remittance}</Ustrd></RmtInf></TxDtls>"
        )
    batch = f"<Btch><NbOfTxs>{len(parts)}</NbOfTxs></Btch>" if line.parts else ""
    return f"<NtryDtls>{batch}{''.join(out)}</NtryDtls>"


def entry(line: BankLine, version: str, again: bool) -> str:
    """Write one booked entry; a statement that is sent again may describe it otherwise."""
    text = f"{line.text} {line.counterparty}" if again else line.text
    status = "<Sts>BOOK</Sts>" if version == "02" else "<Sts><Cd>BOOK</Cd></Sts>"
    reversal = "<RvslInd>true</RvslInd>" if line.reversal else ""
    family = "RCDT" if line.amount >= 0 else "ICDT"
    charges = ""
    if line.charges:
        what = f'<Amt Ccy="{line.currency}">{major(line.charges, line.currency)}</Amt>'
        charges = f"<Chrgs>{what}</Chrgs>" if version == "02" else f"<Chrgs><Rcrd>{what}</Rcrd></Chrgs>"
    return (
        f"<Ntry>{amount(line.amount, line.currency)}{reversal}{status}<BookgDt><Dt>{line.booked}</Dt></BookgDt>"
        f"<ValDt><Dt>{line.booked}</Dt></ValDt><AcctSvcrRef>{line.line_id}</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd>"
        f"<SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>{charges}{details(line, version, text)}</Ntry>"
    )


def statement(of: "Statement", version: str, again: bool, kind: str) -> str:
    """Write one statement; or an interim report or a notification of the day's entries, which have no balances."""
    duplicate = "<CpyDplctInd>DUPL</CpyDplctInd>" if again else ""
    entries = "\n".join(entry(line, version, again) for line in of.lines)
    name, known = KINDS[kind][1], balances(of, version) if kind == "053" else ""
    return (
        f"<{name}><Id>{of.statement_id}</Id><ElctrncSeqNb>{of.number}</ElctrncSeqNb><LglSeqNb>{of.number}</LglSeqNb>"
        f"<CreDtTm>{of.day}T23:30:00+01:00</CreDtTm>{duplicate}<Acct><Id><IBAN>{of.account}</IBAN></Id><Ccy>{of.currency}</Ccy></Acct>"
        f"{known}\n{entries}</{name}>"
    )


def document(statements: list["Statement"], version: str, again: bool = False, kind: str = "053") -> str:
    """Write a message of one or more statements."""
    space = f"urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.{version}"
    name, made = statements[0].statement_id + ("R" if again else ""), f"{statements[-1].day}T23:45:00+01:00"
    head = f"<GrpHdr><MsgId>{name}</MsgId><CreDtTm>{made}</CreDtTm></GrpHdr>"
    body = "\n".join(statement(of, version, again, kind) for of in statements)
    root = KINDS[kind][0]
    inside = f"<{root}>{head}\n{body}\n</{root}>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{space}">{inside}</Document>\n'
