"""What is kept of a card that has proved itself, and how the card is known again when it is put in anew.

A card is kept once it has signed under one of its certificates: then it has that certificate's private key, which no
other card has. When its serial number is read again, that certificate's public key is compared where it stood. A card
that copies serial number and certificate is taken for the one that it copies, as it is by a driver that reads all of
it; one that lies in its directories is never kept for a card that it is not, as it cannot sign with that card's key.

The public key is compared as it stands in the certificate, with its header and exponent: a number without them may
be found elsewhere in a certificate, and be one that somebody can sign with.
"""

from __future__ import annotations

from cardd.errors import CardGarbled, CardRefused
from cardd.model import CardCertificate
from cardd.tlv import SEQUENCE, parse_one
from cardd.values import Value
from cardd_drivers.cps3.contents import Contents
from cardd_drivers.pkcs15.asn1 import BIT_STRING
from cardd_drivers.pkcs15.files import Files

NAMES_BEFORE_KEY = 4  # sequences before the public key: algorithm, issuer, validity, subject (RFC 5280, section 4.1)


class KnownCard(Value):
    """A card's directories and certificates, and the public key that tells it: its file's path and where in it."""

    contents: Contents
    certificates: tuple[CardCertificate, ...]
    path: bytes
    offset: int
    public_key: bytes

    def is_in(self, files: Files) -> bool:
        """Return whether the card in the reader has this public key where it stood."""
        try:
            files.select_listed(self.contents.application, self.path)
            return files.read_range(self.offset, len(self.public_key)) == self.public_key
        except (CardRefused, CardGarbled):
            return False


def proven(contents: Contents, certificates: tuple[CardCertificate, ...], key_id: str) -> KnownCard | None:
    """Return what to keep of a card that has signed with this key; None where its certificate has another form."""
    path = next((file.path for file in contents.files if file.id.hex() == key_id), None)
    der = next((found.der for found in certificates if found.key_id == key_id), None)
    if path is None or der is None:
        return None
    try:
        public_key = _public_key(der)
    except CardGarbled:
        return None
    offset = der.find(public_key) if public_key else -1
    return None if offset < 0 else KnownCard(contents, certificates, path, offset, public_key)


def _public_key(der: bytes) -> bytes:
    """Return the RSAPublicKey of a certificate; empty where there is none. Raises CardGarbled."""
    body = parse_one(der).find(SEQUENCE)
    parts = [part for part in body.children if part.tag == SEQUENCE] if body else []
    if len(parts) <= NAMES_BEFORE_KEY:
        return b""
    bits = parts[NAMES_BEFORE_KEY].find(BIT_STRING)
    return parse_one(bits.value[1:]).encode() if bits else b""
