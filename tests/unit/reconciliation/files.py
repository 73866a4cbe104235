"""Small valid files of every format, which the tests read, change and break."""

from __future__ import annotations

from payonce.reconciliation.readers.read import read_file
from tests.unit.reconciliation.readers import samples

STRIPE = (
    b"balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net,reporting_category,"
    b"automatic_payout_id,payment_intent_id,payment_metadata[payonce_reference],refund_metadata[payonce_reference]\n"
    b"txn_1,2026-03-01 09:30:00,2026-03-03 00:00:00,eur,100.00,1.75,98.25,charge,po_1,pi_1,pay_1,\n"
    b"txn_2,2026-03-01 10:00:00,2026-03-03 00:00:00,eur,-40.00,0.00,-40.00,refund,po_1,pi_1,pay_1,ref_1\n"
    b"txn_3,2026-03-01 11:00:00,2026-03-03 00:00:00,jpy,5000,180,4820,charge,po_2,pi_2,pay_2,\n"
)

ADYEN = (
    b"Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,"
    b"Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,"
    b"Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),Batch Number\n"
    b"Co,Shop,PSP1,pay_1,visa,2026-03-01 10:30:00,CET,Settled,MOD1,EUR,,100.00,1,EUR,,98.25,,0.25,0.50,1.00,4\n"
    b"Co,Shop,PSP2,pay_2,visa,2026-06-01 10:30:00,CEST,Settled,MOD2,USD,,50.00,0.9,EUR,,44.00,1.00,,,,4\n"
    b"Co,Shop,PSP1,pay_1,visa,2026-03-02 10:30:00,UTC,Refunded,MOD3,EUR,40.00,,1,EUR,40.00,,,,,,4\n"
    b"Co,Shop,,,,2026-03-02 11:00:00,UTC,Fee,Transaction Fees,,,,,EUR,2.25,,,,,,4\n"
    b"Co,Shop,,,,2026-03-02 12:00:00,UTC,MerchantPayout,Payout 4,,,,,EUR,100.00,,,,,,4\n"
)

GENERIC = (
    b"kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id\n"
    b"charge,t1,pay_1,100.00,1.75,98.25,EUR,2026-03-01T10:30:00+01:00,2026-03-03T00:00:00Z,p1\n"
    b"refund,t2,pay_1,-40.00,0,-40.00,EUR,2026-03-01T10:00:00Z,,\n"
    b"total,2,,60.00,1.75,58.25,EUR,,,\n"
)

BANK = (
    b"record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description\n"
    b"opening,NL1,EUR,,,10.00,S1,,,\n"
    b"line,NL1,EUR,2026-03-01,2026-03-02,5.50,R1,E1,Shop,Thanks\n"
    b"line,NL1,EUR,2026-03-01,,-2.25,,,,\n"
    b"closing,NL1,EUR,,,13.25,,,,\n"
)

MT940 = (
    b":20:STMT1\r\n:25:NL26BANK0001\r\n:28C:1/1\r\n:60F:C260228EUR10,00\r\n"
    b":61:2603010301C5,50NTRFREF1//BANK1\r\nextra\r\n"
    b":86:166?00CREDIT?20EREF+pay_1?21SVWZ+Order 7?32SHOP?33 LTD\r\n"
    b":61:2602300301RC1,25NTRFNONREF\r\n:86:/EREF/ref_1//NAME/Jane/\r\n"
    b":62F:C260301EUR14,25\r\n:64:C260301EUR14,25\r\n-\r\n"
)

BAI2 = (
    b"01,SENDER,RECEIVER,260301,0800,1,,,2/\n"
    b"02,RECEIVER,BANK,1,260228,,EUR,2/\n"
    b"03,ACCT1,,010,1000,,,015,1325,,/\n"
    b"88,100,550,1,,400,225,1,/\n"
    b"16,165,550,V,260301,,BANK1,pay_1,ACH, IN/\n"
    b"16,475,225,,,,CHEQUE\n"
    b"49,3875,5/\n98,3875,1,7/\n99,3875,1,9/\n"
)


OFX = b"""OFXHEADER:100
DATA:OFXSGML
VERSION:102
ENCODING:USASCII
CHARSET:1252

<OFX>
<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20260302<LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>
<BANKMSGSRSV1><STMTTRNRS><TRNUID>1
<STATUS><CODE>0<SEVERITY>INFO
</STATUS>
<STMTRS>
<CURDEF>EUR
<BANKACCTFROM><BANKID>10020030<ACCTID>1234567<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST>
<DTSTART>20260301<DTEND>20260302
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260301120000[+1:CET]<TRNAMT>5.50<FITID>F1
<NAME>M\xfcller &amp; Co<MEMO>pay_1</STMTTRN>
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260302<TRNAMT>-2,25<FITID>F2<CHECKNUM>77<NAME>Cheque</STMTTRN>
</BANKTRANLIST>
<LEDGERBAL><BALAMT>13.25<DTASOF>20260302</LEDGERBAL>
</STMTRS></STMTTRNRS></BANKMSGSRSV1>
</OFX>
"""


def unproved(data: bytes) -> str:
    """Return why a file that is read does not prove itself; fails for one that does."""
    reasons = read_file(data).unproved
    assert reasons
    return "; ".join(reasons)


def camt(
    *,
    version: str = "053.001.08",
    closing: str = "13.25",
    opening: str = "10.00",
    summary: str = "<TtlNtries><NbOfNtries>2</NbOfNtries><Sum>7.75</Sum></TtlNtries>",
    second: str = "",
    extra: str = "",
    prolog: str = "",
) -> bytes:
    """Return a camt.053 of two booked entries and one pending one."""
    entry = (
        '<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>'
        "<BookgDt><Dt>2026-03-01</Dt></BookgDt><ValDt><DtTm>2026-03-02T00:30:00+13:00</DtTm></ValDt>"
        "<NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>"
        "<RltdPties><Dbtr><Pty><Nm>Jane</Nm></Pty></Dbtr></RltdPties></TxDtls></NtryDtls></Ntry>"
    )
    balance = (
        '<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd></Bal>"
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{prolog}'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}"><BkToCstmrStmt>'
        "<GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id><Acct><Id><IBAN>NL26BANK0001</IBAN></Id>"
        "<Ccy>EUR</Ccy></Acct>"
        + balance.format(kind="OPBD", amount=opening)
        + balance.format(kind="CLBD", amount=closing)
        + f"<TxsSummry>{summary}</TxsSummry>"
        + entry.format(amount="5.500", sign="CRDT", status="BOOK", reference="pay_1")
        + "\n"
        + (second or entry.format(amount="2.25", sign="DBIT", status="BOOK", reference="ref_1"))
        + entry.format(amount="9.99", sign="CRDT", status="PDNG", reference="later")
        + f"{extra}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


VALID = {
    "stripe": STRIPE,
    "adyen": ADYEN,
    "generic": GENERIC,
    "bank": BANK,
    "mt940": MT940,
    "bai2": BAI2,
    "camt": camt(),
    "ofx": OFX,
    "paypal report": samples.PAYPAL_REPORT.encode(),
    "paypal activity": samples.PAYPAL_ACTIVITY.encode(),
    "braintree": samples.BRAINTREE_DISBURSEMENT.encode(),
    "mollie": samples.MOLLIE.replace(":00,", ":00Z,").encode(),
    "gocardless": samples.GOCARDLESS_TRANSACTIONS.encode(),
    "gocardless payouts": samples.GOCARDLESS_PAYOUTS.encode(),
    "klarna": samples.KLARNA.encode(),
    "checkout actions": samples.CHECKOUT_ACTIONS.encode(),
    "checkout breakdown": samples.CHECKOUT_BREAKDOWN.encode(),
}
