"""``cardctl verify``: whether a raw signature is a certificate's over a file, and whose certificate it is.

Works without the daemon and without a card. It does not judge the certificate's issuer: the chain of a real card is
``openssl verify``'s business, with the IGC-Santé roots.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.holders import shown
from cardd.cli.parser import Parser
from cardd.cli.terminal import pairs
from cardd.errors import CardIncomplete, InvalidRequest
from cardd.identity.cpx import facts_of, identity_of


def arguments(parser: Parser) -> None:
    """The file, its signature, and the certificate."""
    parser.add_argument("file", metavar=parser.words("file"), type=Path, help=parser.words("verify.file"))
    parser.add_argument("--signature", metavar="PATH", type=Path, help=parser.words("verify.signature"))
    parser.add_argument("--certificate", metavar="PATH", type=Path, help=parser.words("verify.certificate"))


async def run(context: Context) -> int:
    """Verify, and say who signed."""
    file: Path = context.arguments.file
    signature: Path = context.arguments.signature or file.with_name(file.name + ".sig")
    certificate = _certificate(context.arguments.certificate or signature.with_suffix(".pem"))
    is_valid = _verify(certificate, signature, file)
    _answer(context, certificate.public_bytes(Encoding.DER), is_valid=is_valid)
    return Exit.OK if is_valid else Exit.FAILED


def _certificate(path: Path) -> Certificate:
    content = path.read_bytes()
    try:
        return load_pem_x509_certificate(content) if b"-----BEGIN" in content else load_der_x509_certificate(content)
    except ValueError:
        raise InvalidRequest(where=str(path), why="X.509") from None


def _verify(certificate: Certificate, signature: Path, file: Path) -> bool:
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise InvalidRequest(where="--certificate", why="RSA")
    try:
        key.verify(signature.read_bytes(), file.read_bytes(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _answer(context: Context, der: bytes, *, is_valid: bool) -> None:
    facts = facts_of(der)
    try:
        holder = identity_of(der)
    except CardIncomplete:
        holder = None
    verdict = context.words("verify.valid" if is_valid else "verify.invalid")
    name = shown(context, holder) if holder else facts.subject
    entries = [
        (context.words("verify.holder"), name),
        (context.words("verify.subject"), facts.subject),
        (context.words("verify.issuer"), facts.issuer),
        (context.words("verify.serial"), facts.serial),
        (context.words("verify.validity"), f"{facts.not_before:%Y-%m-%d} – {facts.not_after:%Y-%m-%d}"),
    ]
    lines = [context.terminal.styled(verdict, "green" if is_valid else "red"), *pairs(entries)]
    if holder and holder.is_test:
        lines.append(context.words("verify.test"))
    lines.append(context.words("verify.chain"))
    context.answer({"valid": is_valid, "holder": holder, "certificate": facts}, lines)
