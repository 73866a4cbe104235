"""What a file may be at most. A report over a limit is split at its source, by day or by account."""

from __future__ import annotations

MAX_FILE_BYTES = 256 * 1024 * 1024  # a million rows of the widest report; it is held in memory once
MAX_ROWS = 1_000_000  # rows of one file; typed, a row takes under a kilobyte
MAX_LEDGER_ROWS = 10_000_000  # a ledger is streamed; only its entry ids are held, about 100 bytes each
MAX_LINE_CHARACTERS = 32_768  # the widest Stripe row with all its metadata is under 10,000
MAX_CSV_COLUMNS = 512  # Stripe allows 50 metadata columns per object, on seven objects
MAX_XML_DEPTH = 32  # camt nests 14 deep at most
MAX_XML_TEXT_CHARACTERS = 10_000  # the longest text of camt is Max500Text; this leaves room for indented blanks
# An entry's transactions are taken one by one, so that a batch of any bank's is read in little memory. What is held at
# once, such as one transaction, has as many elements as one payment of some thousands of invoices (Strd has about ten).
MAX_XML_ELEMENTS = 50_000
MAX_XML_TAG_BYTES = 1024 * 1024  # a tag is in memory as a whole; camt's have two attributes at most
MAX_ENTRY_TRANSACTIONS = 50_000  # batches of a bank have thousands; a merchant's largest day is split by its bank
MAX_ENTRY_TEXTS = 500_000  # references and remittance lines of one entry: ten of each transaction
MAX_ENTRY_CHARACTERS = 16_000_000  # of those: a Max140Text and four Max35Texts of each transaction
MAX_AMOUNT_DIGITS = 18  # ISO 20022's totalDigits of an amount; fits a signed 64-bit column
DETECT_BYTES = 65_536  # the format shows in a file's beginning
MAX_SEQUENCE_DIGITS = 18  # of ISO 20022's Number; it fits 64 bits
