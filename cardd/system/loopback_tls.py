"""The certificate of https on loopback: made by an authority that exists for a moment, read when it is new.

The authority's key signs one certificate and is dropped; it is on no disk. Its own certificate goes into browsers and
may vouch for this machine's loopback names only (RFC 5280 name constraints). What stays is the server's key, in the
state directory: who has it can be this machine's loopback, for browsers of this machine, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from cardd.values import Value

if TYPE_CHECKING:
    from cryptography import x509

FILE = "https.pem"
NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")
LIFETIME = timedelta(days=90)
CLOCKS_MAY_DIFFER = timedelta(hours=1)
ISSUER = "cardd, this machine only"
OTHERS = 0o077

log = logging.getLogger(__name__)


class Made(Value):
    """An authority's certificate, DER, and a server's certificate with its key, PEM."""

    authority: bytes
    server: bytes
    not_after: datetime


def make(now: datetime | None = None, names: tuple[str, ...] = NAMES, addresses: tuple[str, ...] = ADDRESSES) -> Made:
    """Make both. The authority may vouch for loopback alone, whatever the names that it is asked for."""
    from cryptography import x509  # noqa: PLC0415 - the daemon, and cardctl's other commands, do without
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    begin = (now or datetime.now(UTC)) - CLOCKS_MAY_DIFFER
    end = begin + LIFETIME
    above, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    ours = [*map(x509.DNSName, NAMES), *(x509.IPAddress(ip_network(address)) for address in ADDRESSES)]
    told = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(address)) for address in addresses)]
    for_servers = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])

    def unsigned(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        number = x509.random_serial_number()
        builder = x509.CertificateBuilder(authority, name, key.public_key(), number, begin, end)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)

    own = (
        unsigned(authority, above)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign"), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=ours, excluded_subtrees=None), critical=True)
        .add_extension(for_servers, critical=False)
        .sign(above, SHA256())
    )
    server = (
        unsigned(subject, below)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.SubjectAlternativeName(told), critical=False)
        .add_extension(for_servers, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        .sign(above, SHA256())
    )
    key = below.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Made(
        own.public_bytes(serialization.Encoding.DER), server.public_bytes(serialization.Encoding.PEM) + key, end
    )


def _usage(only: str) -> x509.KeyUsage:
    from cryptography.x509 import KeyUsage  # noqa: PLC0415

    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return KeyUsage(**{name: name == only for name in every})


def keep(directory: Path, content: bytes) -> None:
    """Write the server's file for the user whose directory it is, who may be another one than we. Raises OSError."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    part = f".{FILE}.{os.getpid()}"
    try:
        owner = os.fstat(folder)
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        with os.fdopen(opened, "wb") as file:
            if os.geteuid() != owner.st_uid:
                os.fchown(opened, owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(opened)
        os.rename(part, FILE, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        os.close(folder)


def forget(directory: Path) -> bool:
    """Remove the server's file; return whether there was one. Raises OSError."""
    file = directory / FILE
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


class Served:
    """What the daemon shakes hands with: the file as it is now. One that was renewed or removed needs no restart."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._seen: tuple[float, ...] | None = ()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return what a handshake needs, None where there is no https; why not is told in the log, once a change."""
        seen = self._look()
        if seen != self._seen:
            self._seen, self._context = seen, _loaded(self._file)
        return self._context

    def _look(self) -> tuple[float, ...] | None:
        try:
            found = self._file.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def shown(port: int, limit: float) -> bytes:
    """Return the certificate (DER) that is shown on this port, whoever made it. Raises OSError."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((ADDRESSES[0], port), limit) as plain, asking.wrap_socket(plain) as over:
        return over.getpeercert(binary_form=True) or b""


def validity(certificate: bytes) -> tuple[datetime, datetime]:
    """Return from when until when a certificate (DER) is good."""
    from cryptography import x509  # noqa: PLC0415

    found = x509.load_der_x509_certificate(certificate)
    return found.not_valid_before_utc, found.not_valid_after_utc


def _loaded(file: Path) -> ssl.SSLContext | None:
    """Return a context of this file; None, and a word in the log, where there is none, or others may read its key."""
    try:
        found = file.lstat()
        if found.st_mode & OTHERS or not stat.S_ISREG(found.st_mode):
            log.error("no https: others than cardd may read %s; run “cardctl https install” again", file)
            return None
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.load_cert_chain(file)
    except FileNotFoundError:
        log.warning("no https: there is no certificate yet; run “cardctl https install”")
        return None
    except (OSError, ssl.SSLError) as error:
        log.warning("no https: %s cannot be used (%s); run “cardctl https install” again", file, error)
        return None
    return made
