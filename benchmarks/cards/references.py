"""Ordinary references of shops, banks, carriers and programs, none of which is a card number.

Formats: EAN, GTIN, SSCC (https://ref.gs1.org/standards/genspecs/), IBAN registry
(https://www.swift.com/resource/iban-registry-pdf), RF creditor references (ISO 11649), IMEI (3GPP TS 23.003), UPS and
USPS numbers (https://en.wikipedia.org/wiki/Tracking_number), Adyen's pspReference
(https://docs.adyen.com/development-resources/testing/), ULID (https://github.com/ulid/spec).
"""

from __future__ import annotations

import hashlib
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.cards.numbers import some_digits, with_check_digit

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

BASE62 = string.ascii_letters + string.digits
UPPER36 = string.ascii_uppercase + string.digits
ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Country: the lengths of its account number's parts; letters are a bank's code.
IBANS = {
    "DE": "n18",
    "FR": "n23",
    "GB": "a4n14",
    "NL": "a4n10",
    "ES": "n20",
    "IT": "a1n22",
    "AT": "n16",
    "BE": "n12",
    "CH": "n17",
    "PL": "n24",
    "SE": "n20",
    "NO": "n11",
    "DK": "n14",
    "FI": "n14",
    "PT": "n21",
}
PHONES = (
    ("+49", "170 #######"),
    ("+49", "(0)30 ########"),
    ("+1", "(4##) 5##-####"),
    ("+44", "20 #### ####"),
    ("+33", "6 ## ## ## ##"),
    ("+86", "138 #### ####"),
    ("+91", "98### #####"),
    ("+7", "9## ###-##-##"),
    ("+55", "11 9####-####"),
    ("+380", "44 ### ## ##"),
)
VAT_IDS = ("DE#########", "ATU########", "FR###########", "IT###########", "NL#########B##")


def _hex(random: Random, digits: int) -> str:
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def _uuid(random: Random) -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128), version=4)


def _from(random: Random, alphabet: str, count: int) -> str:
    return "".join(random.choices(alphabet, k=count))


def _filled(random: Random, pattern: str) -> str:
    return "".join(random.choice(string.digits) if sign == "#" else sign for sign in pattern)


def _moment(random: Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randrange(10 * 365 * 86_400_000_000))


def _epoch(random: Random, digits: int) -> str:
    return str(int(_moment(random).timestamp() * 1_000_000) * 1000 + random.randrange(1000))[:digits]


def _gs1(body: str) -> str:
    total = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def _iban(random: Random) -> str:
    country, pattern = random.choice([*IBANS.items()])
    account = "".join(
        _from(random, string.digits if kind == "n" else string.ascii_uppercase, count)
        for kind, count in _parts(pattern)
    )
    return country + _mod97(account + country) + account


def _parts(pattern: str) -> list[tuple[str, int]]:
    parts: list[tuple[str, int]] = []
    for sign in pattern:
        if sign.isalpha():
            parts.append((sign, 0))
        else:
            kind, count = parts[-1]
            parts[-1] = (kind, count * 10 + int(sign))
    return parts


def _mod97(text: str) -> str:
    return f"{98 - int(''.join(str(int(sign, 36)) for sign in text) + '00') % 97:02}"


def _in_fours(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _creditor_reference(random: Random) -> str:
    body = some_digits(random, random.randint(8, 21))
    return "RF" + _mod97(body + "RF") + body


def _ean(random: Random) -> str:
    prefixes = ("20", "30", "37", "40", "45", "49", "50", "54", "69", "76", "80", "87", "90")
    return _gs1(random.choice(prefixes) + some_digits(random, 10))


def _cut(text: str, separator: str, *sizes: int) -> str:
    return separator.join(text[sum(sizes[:at]) :][:size] for at, size in enumerate(sizes))


def _snowflake(random: Random) -> str:
    since_2010 = int(_moment(random).timestamp() * 1000) - 1_288_834_974_657
    return str((since_2010 << 22) + random.getrandbits(22))


def _word(random: Random) -> str:
    if random.random() < 0.3:
        return some_digits(random, random.randint(1, 6))
    return _from(random, string.ascii_lowercase, 6)


def _routing(random: Random) -> str:
    while True:
        number = random.choice(("0", "1", "2", "3")) + some_digits(random, 8)
        if sum(int(digit) * weight for digit, weight in zip(number, (3, 7, 1) * 3, strict=True)) % 10 == 0:
            return number


def _phone(random: Random) -> tuple[str, str]:
    country, pattern = random.choice(PHONES)
    return country, _filled(random, pattern)


def _e164(random: Random) -> str:
    country, rest = _phone(random)
    return country + "".join(sign for sign in rest.replace("(0)", "") if sign.isdigit())


def _coordinates(random: Random) -> str:
    return f"{random.uniform(-90, 90):.14f}, {random.uniform(-180, 180):.13f}"


def _hashed(random: Random, name: str) -> str:
    return hashlib.new(name, random.randbytes(16), usedforsecurity=False).hexdigest()


MANY = 200_000
SOME = 5_000
REFERENCES: dict[str, tuple[int, Callable[[Random], str]]] = {
    "`pm_`, `tok_`, `src_` and a UUID in hex": (MANY, lambda r: random_token(r)),
    "`tok`, `txn` and a UUID in hex": (SOME * 5, lambda r: r.choice(("tok", "txn")) + _uuid(r).hex),
    "UUID with hyphens": (SOME * 4, lambda r: str(_uuid(r))),
    "UUID in capitals": (SOME, lambda r: str(_uuid(r)).upper()),
    "UUID v7 with hyphens": (SOME, lambda r: _uuid7(r)),
    "ULID": (SOME, lambda r: "01" + _from(r, ULID, 24)),
    "`pi_` and 24 of base 62": (SOME, lambda r: "pi_3" + _from(r, BASE62, 23)),
    "base64url of 16 bytes": (SOME, lambda r: _from(r, BASE62 + "-_", 22)),
    "Adyen, 16 letters and digits": (SOME, lambda r: _from(r, UPPER36, 16)),
    "Adyen, 16 digits (85, 88)": (SOME, lambda r: r.choice(("85", "88")) + some_digits(r, 14)),
    "Mongo ObjectId": (SOME, lambda r: f"{int(_moment(r).timestamp()):08x}" + _hex(r, 16)),
    "hexadecimal of 16 (trace spans)": (SOME, lambda r: _hex(r, 16)),
    "SHA-1": (SOME, lambda r: _hashed(r, "sha1")),
    "SHA-256": (SOME, lambda r: _hashed(r, "sha256")),
    "EAN-13": (SOME, _ean),
    "EAN-13, grouped": (SOME, lambda r: _cut(_ean(r), " ", 1, 6, 6)),
    "EAN-13 x quantity": (SOME, lambda r: f"{_gs1('40' + some_digits(r, 10))} x {r.randint(1, 20)}"),
    "EAN-13 and a price": (SOME, lambda r: f"{_gs1('40' + some_digits(r, 10))} {r.randint(100, 9999)}"),
    "several EAN-13": (SOME, lambda r: ", ".join(_gs1("40" + some_digits(r, 10)) for _ in range(3))),
    "UPC-A and a price": (SOME, lambda r: f"{_gs1(some_digits(r, 11))} {r.randint(100, 9999)}"),
    "GTIN-14": (SOME, lambda r: _gs1(r.choice("12345678") + some_digits(r, 12))),
    "UPC-A": (SOME, lambda r: _gs1(some_digits(r, 11))),
    "SSCC-18": (SOME, lambda r: _gs1(some_digits(r, 17))),
    "ISBN-13": (SOME, lambda r: _gs1("978" + some_digits(r, 9))),
    "ISBN-13 with hyphens": (SOME, lambda r: _cut(_gs1("978" + some_digits(r, 9)), "-", 3, 1, 4, 4, 1)),
    "IMEI": (SOME, lambda r: with_check_digit(r.choice(("35", "86", "01", "99")), 15, r)),
    "ICCID (SIM card)": (SOME, lambda r: with_check_digit("89" + r.choice(("49", "44", "01", "33")), 19, r)),
    "epoch, seconds": (SOME, lambda r: _epoch(r, 10)),
    "epoch, milliseconds": (SOME, lambda r: _epoch(r, 13)),
    "epoch, microseconds": (SOME, lambda r: _epoch(r, 16)),
    "epoch, nanoseconds": (SOME, lambda r: _epoch(r, 19)),
    "`order_` epoch ms `_` counter": (SOME, lambda r: f"order_{_epoch(r, 13)}_{r.randrange(10_000):04}"),
    "epoch ms `-` counter": (SOME, lambda r: f"{_epoch(r, 13)}-{r.randrange(1000)}"),
    "ISO 8601": (SOME, lambda r: _moment(r).isoformat(timespec="seconds")),
    "ISO 8601, microseconds": (SOME, lambda r: _moment(r).isoformat(timespec="microseconds")),
    "ISO 8601, basic": (SOME, lambda r: _moment(r).strftime("%Y%m%dT%H%M%SZ")),
    "date and time, 14 digits": (SOME, lambda r: _moment(r).strftime("%Y%m%d%H%M%S")),
    "date, time, ms, 17 digits": (SOME, lambda r: _moment(r).strftime("%Y%m%d%H%M%S%f")[:17]),
    "date, time, µs, 20 digits": (SOME, lambda r: _moment(r).strftime("%Y%m%d%H%M%S%f")),
    "date time with a space": (SOME, lambda r: _moment(r).strftime("%Y-%m-%d %H:%M:%S")),
    "`order-2026-11-28-000123456`": (SOME, lambda r: f"order-{_moment(r):%Y-%m-%d}-{some_digits(r, 9)}"),
    "`ORD20261128000123456`": (SOME, lambda r: f"ORD{_moment(r):%Y%m%d}{some_digits(r, 9)}"),
    "`20261128-00012345`": (SOME, lambda r: f"{_moment(r):%Y%m%d}-{some_digits(r, 8)}"),
    "`RE-2026/11/000123`": (SOME, lambda r: f"RE-{_moment(r):%Y/%m}/{some_digits(r, 6)}"),
    "`2026-11-28/000123456789`": (SOME, lambda r: f"{_moment(r):%Y-%m-%d}/{some_digits(r, 12)}"),
    "`INV-2026-00012345`": (SOME, lambda r: f"INV-{_moment(r):%Y}-{some_digits(r, 8)}"),
    "Amazon order (3-7-7)": (SOME, lambda r: _filled(r, r.choice(("1##", "3##", "4##", "7##")) + "-#######-#######")),
    "customer / order / line": (SOME, lambda r: _filled(r, "customer ######, order ########, line #")),
    "several amounts": (SOME, lambda r: " ".join(f"{r.uniform(1, 999):.2f}" for _ in range(4))),
    "amounts with thousands": (SOME, lambda r: " + ".join(f"{r.uniform(1e3, 1e6):,.2f}" for _ in range(2))),
    "phone, E.164": (SOME, _e164),
    "phone, written": (SOME, lambda r: " ".join(_phone(r))),
    "two phones": (SOME, lambda r: f"{' '.join(_phone(r))} / {' '.join(_phone(r))}"),
    "IBAN": (SOME * 4, _iban),
    "IBAN in fours": (SOME * 4, lambda r: _in_fours(_iban(r))),
    "`IBAN: ` and in fours, then text": (SOME, lambda r: f"IBAN: {_in_fours(_iban(r))} order {r.randrange(100_000)}"),
    "IBAN in fours, small letters": (SOME, lambda r: _in_fours(_iban(r)).lower()),
    "`IBAN` glued to it": (SOME, lambda r: "IBAN" + _iban(r)),
    "BIC and account": (SOME, lambda r: f"{_from(r, string.ascii_uppercase, 8)} {some_digits(r, 10)}"),
    "RF creditor reference": (SOME, _creditor_reference),
    "RF creditor reference in fours": (SOME, lambda r: _in_fours(_creditor_reference(r))),
    "UPS": (SOME, lambda r: "1Z" + _from(r, UPPER36, 6) + some_digits(r, 10)),
    "DHL, 20 digits (00340434)": (SOME, lambda r: _gs1("00340434" + some_digits(r, 11))),
    "USPS, 22 digits": (SOME, lambda r: _gs1("94001" + some_digits(r, 16))),
    "USPS, 22 digits in fours": (SOME, lambda r: _in_fours(_gs1("94001" + some_digits(r, 16)))),
    "S10 post item": (SOME, lambda r: f"R{_from(r, string.ascii_uppercase, 1)}{some_digits(r, 9)}DE"),
    "US routing and account": (SOME, lambda r: f"{_routing(r)} {some_digits(r, r.randint(8, 12))}"),
    "sort code and account": (SOME, lambda r: _filled(r, "##-##-## ########")),
    "VAT ids": (SOME, lambda r: _filled(r, r.choice(VAT_IDS))),
    "IPv4 and port": (SOME, lambda r: ".".join(str(r.randrange(256)) for _ in range(4)) + f":{r.randrange(65536)}"),
    "two IPv4": (SOME, lambda r: " ".join(".".join(str(r.randrange(256)) for _ in range(4)) for _ in range(2))),
    "IPv6": (SOME, lambda r: ":".join(_hex(r, 4) for _ in range(8))),
    "MAC": (SOME, lambda r: ":".join(_hex(r, 2) for _ in range(6))),
    "coordinates": (SOME, _coordinates),
    "a float": (SOME, lambda r: str(r.random())),
    "AWS ARN": (SOME, lambda r: f"arn:aws:lambda:eu-central-1:{some_digits(r, 12)}:function:pay-{r.randrange(1000)}"),
    "W3C traceparent": (SOME, lambda r: f"00-{_hex(r, 32)}-{_hex(r, 16)}-01"),
    "snowflake id (18 or 19 digits)": (SOME, _snowflake),
    "random words and numbers": (SOME, lambda r: " ".join(_word(r) for _ in range(12))),
}
DECIMAL_LENGTHS = range(10, 21)


def random_token(random: Random) -> str:
    """Return a payment method's token as gateways make them."""
    return random.choice(("pm_", "tok_", "src_")) + _uuid(random).hex


def _uuid7(random: Random) -> str:
    milliseconds = int(_moment(random).timestamp() * 1000)
    value = milliseconds << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)
    return str(uuid.UUID(int=value))
