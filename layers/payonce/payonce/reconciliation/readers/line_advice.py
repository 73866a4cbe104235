"""What the receiver of a refused file can do about it: one sentence for each kind of refusal. Pure.

The rule behind all of them is that nobody repairs a report by hand: its totals are the proof that it is whole.
"""

from __future__ import annotations

import re
from typing import Final

AGAIN: Final = (
    "Get the file again from who made it. If the line is the same there, ask them; don't correct it by hand, because "
    "the file's totals prove that it is whole."
)
OF_TOTALS: Final = re.compile(
    r"total|counts|the rows have|records make|there are [0-9]+$|lost its end|no closing|balance|fragment|no lines"
    r"|no statement",
    re.IGNORECASE,
)
_ADVICE: Final = (
    (r"the format is not known", "If it is a bank's own table, give the policy a mapping of its columns: "
     "`payonce reconcile map FILE` proposes one. Else ask for camt.053 or MT940, or export the report that is named."),
    (r"^the file is (an old Excel|PDF)", "Export it as CSV, or as .xlsx with a mapping."),
    (r"^the file is ", "Unpack it, and upload the file that is in it."),
    (r"unpacks to", "Save the sheet as CSV, and upload that."),
    (r"is not camt|is no bank statement", "Ask the bank for camt.053, camt.054 or camt.052."),
    (r"the file is empty", "Export it again: nothing arrived."),
    (r"is over|more than [0-9]+ |over [0-9]+ |split the", "Export it in parts, by day or by account."),
    (r"UTF-8|encoding|UTF-16|NUL|control character", "Export it as UTF-8. A spreadsheet that has saved it may have "
     "changed its encoding."),
    (r"cells, the header has", "A text that contains the separator lacks its quotes, or the line was cut. Export the "
     "report again, and don't save it from a spreadsheet."),
    (r"the header lacks|no line has the columns|more than once$", "Export the report with its standard columns, each "
     "once, in English where the gateway offers languages."),
    (r"the cell is empty|there is no |no word|empty or missing", "The one who made the file has to fill it: export it "
     "again with this field."),
    (r"decimals", "The amount has more decimals than its currency. Ask who made the file; don't round it."),
    (r"amount", "Export it with plain amounts: digits, one decimal sign, no thousands' signs and no currency sign."),
    (r"date|day of the form|time", "Export it with dates of the form that is named; a spreadsheet may have changed "
     "them."),
    (r"currency", "The currency has to be an ISO 4217 code, such as EUR."),
    (r"there twice|stated twice|is repeated", "One movement is told twice under one id. Export the report again; if "
     "it is the same, ask the gateway which line is right."),
    (r"net is not", "Amount, fee and net don't add up, so that a cell is wrong or in another column. Export it again."),
    (r"lost its end|no closing|is not closed|does not end|ends where", "The file was cut off. Download it again, and "
     "compare its size with what is offered."),
    (r"total|counts|the rows have|records make|says|balance", "The file's own totals contradict its lines: lines are "
     "missing or were changed. Get it again from who made it, and don't correct it by hand."),
    (r"prove itself", "The policy takes only statements whose balances prove them: ask for the statement of the day."),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in _ADVICE)


def advice_for(problem: str) -> str:
    """Return what to do about a refusal with this ``problem`` (``FileRejected.problem``)."""
    # What a file says is quoted in the problem, and must not choose the advice.
    said = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "…", problem)
    return next((advice for pattern, advice in _COMPILED if pattern.search(said)), AGAIN)
