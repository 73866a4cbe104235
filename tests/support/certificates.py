"""Certificates made on the spot: an authority, and what it issues or would never issue."""

from __future__ import annotations

import ipaddress
import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
OTHER_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "crl_sign", "encipher_only", "decipher_only"),
)
PEM = serialization.Encoding.PEM


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _subject(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


@dataclass
class Authority:
    """A certificate authority with its files in ``folder``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        others = dict.fromkeys(OTHER_USAGES, False)
        built = (
            self._builder("payonce test authority", self.key, timedelta(0))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, **others), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(built.public_bytes(PEM))

    def issue(self, host: str, *, shifted: timedelta = timedelta(0), signs_itself: bool = False) -> Path:
        """Return a file with a certificate for ``host`` and its key, valid for a day around now plus ``shifted``."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = key if signs_itself else self.key
        built = (
            self._builder(host, key, shifted, issuer=host if signs_itself else None)
            .add_extension(x509.SubjectAlternativeName([_subject(host)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        file = self.folder / f"{next(self._numbers)}.pem"
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        file.write_bytes(built.public_bytes(PEM) + key.private_bytes(PEM, pkcs8, plain))
        return file

    def _builder(
        self, subject: str, key: ec.EllipticCurvePrivateKey, shifted: timedelta, issuer: str | None = None
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC) + shifted
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer or "payonce test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
