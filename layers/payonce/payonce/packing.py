"""Packs bytes for storage: DynamoDB bills each started kilobyte of an item, and documents of an API are mostly names.

The first byte says how the rest is packed, so that what was stored under an older dictionary stays readable: a
dictionary is never changed or removed, a better one gets the next number. RFC 1951 (deflate) and zlib's preset
dictionary; https://docs.python.org/3/library/zlib.html
"""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = 0
NEWEST = 1
# What documents of this API have in common. zlib finds what is nearest to the end with the fewest bits, so the most
# frequent comes last. Nothing depends on it but the size: any bytes are packed and come back as they were.
_DICTIONARIES: Mapping[int, bytes] = MappingProxyType(
    {
        NEWEST: (
            b'"customer_id":"cus_"order_id":"order-"channel":"web","campaign":"country":"DE""US""GB""source":"app"'
            b'"cart_id":"invoice_id":"user_id":"email":"@example.com""locale":"en"https://www.'
            b'{"type":"urn:payonce:problem:payment-declined","title":"The payment was declined","status":402,"detail":"'
            b'card_declined insufficient_funds expired_card do_not_honor","retryable":false,"code":"'
            b'"object":"refund","status":"succeeded","payment_id":"pay_01"object":"capture","status":"declined"'
            b"refund.succeeded_in_part capture.succeeded payment.authorized payment.declined payment.in_doubt"
            b'authorization_hold authorization_commitment"capture":"manual""status":"authorized""USD""GBP"'
            b'{"type":"payment.captured","entry":{"currency":"EUR","postings":[["gateway_receivable:stripe",1],'
            b'["gateway_receivable:sandbox_bank",1],["merchant_payable",-1]],"movement":["charge","stripe","pay_01",'
            b'"pm_","mer_01#create_payment#"]},"payment":["pay_01K-1","ch_3pi_3py_3"]}\n'
            b'{"id":"evt_pay_01K_1","type":"payment.captured","api_version":"2026-11-01","created_at_ms":1795000000000,'
            b'"sequence":1,"data":{"id":"pay_01K","object":"payment","status":"captured","amount_minor":1000,'
            b'"currency":"EUR","captured_minor":1000,"refunded_minor":0,"capturable_minor":0,"refundable_minor":1000,'
            b'"capture":"automatic","payment_method":"pm_1","reference":"order-1","metadata":{"order_id":"'
            b'"},"gateway":"stripe","attempts":1,"decline_code":null,"created_at_ms":1795000000000,'
            b'"updated_at_ms":1795000000000,"version":1}}'
        )
    }
)
MAX_BITS = -zlib.MAX_WBITS  # without zlib's header and checksum: the database keeps checksums of its own


def pack(data: bytes) -> bytes:
    """Return ``data`` in fewer bytes where that is possible, in at most one byte more otherwise."""
    packer = zlib.compressobj(9, zlib.DEFLATED, MAX_BITS, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARIES[NEWEST])
    packed = packer.compress(data) + packer.flush()
    return bytes([NEWEST]) + packed if len(packed) < len(data) else bytes([PLAIN]) + data


def unpack(packed: bytes) -> bytes:
    """Return the bytes that were packed. Raises ``ValueError`` for what ``pack`` has never returned."""
    if not packed or (packed[0] != PLAIN and packed[0] not in _DICTIONARIES):
        raise ValueError("these bytes were not packed here")
    if packed[0] == PLAIN:
        return packed[1:]
    unpacker = zlib.decompressobj(MAX_BITS, _DICTIONARIES[packed[0]])
    try:
        data = unpacker.decompress(packed[1:]) + unpacker.flush()
    except zlib.error as error:
        raise ValueError("these bytes were not packed here") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("these bytes were not packed here")
    return data
