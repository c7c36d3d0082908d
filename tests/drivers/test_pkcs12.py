"""The organisation's key files as a card; openssl makes them and judges what they sign."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec as curves
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CarddError,
    CardGarbled,
    CardIncomplete,
    PinRefused,
    PinRequired,
    StateUnavailable,
)
from cardd.model import Algorithm, KeyPurpose, Message
from cardd.secret import Secret
from cardd_drivers.pkcs12.source import FilesConnection
from tests.rig.organisation import PASSWORD, Organisation, make

DOCUMENT = b"SIMULATION"
DIGEST = hashlib.sha256(DOCUMENT).digest()
PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make(tmp_path_factory.mktemp("rsa"))


@pytest.fixture(scope="module")
def ec(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make(tmp_path_factory.mktemp("ec"), ec=True)


def connection_to(files: Organisation) -> FilesConnection:
    return FilesConnection({KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature})


def unlocked(files: Organisation) -> Card:
    card = connection_to(files).open()
    card.verify(Secret.of(PASSWORD.encode()))
    return card


def accepts(files: Organisation, name: str, signature: bytes, directory: Path, *options: str) -> bool:
    pem, value, document = directory / "public.pem", directory / "signature", directory / "document"
    certificate = str(files.certificate(name))
    pem.write_bytes(subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout)  # fmt: skip  # noqa: E501
    value.write_bytes(signature)
    document.write_bytes(DOCUMENT)
    judged = ["openssl", "dgst", "-sha256", *options, "-verify", str(pem), "-signature", str(value), str(document)]
    return subprocess.run(judged, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("algorithm", "options"), [(Algorithm.RS256, ()), (Algorithm.PS256, PSS)])
def test_rsa_keys_sign_and_authenticate(
    rsa: Organisation, tmp_path: Path, algorithm: Algorithm, options: tuple[str, ...]
) -> None:
    card = unlocked(rsa)
    signing, proving = card.info.key(KeyPurpose.SIGNATURE), card.info.key(KeyPurpose.AUTHENTICATION)
    assert signing
    assert proving
    assert accepts(rsa, "signature", card.sign(signing, algorithm, Message(DIGEST)), tmp_path, *options)
    assert accepts(rsa, "authentication", card.authenticate(proving, algorithm, DIGEST), tmp_path, *options)


def test_an_elliptic_key_signs_as_jose_writes_it(ec: Organisation, tmp_path: Path) -> None:
    card = unlocked(ec)
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    value = card.sign(key, Algorithm.ES256, Message(DIGEST))
    assert len(value) == 64
    der = encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    assert accepts(ec, "signature", der, tmp_path)
    with pytest.raises(AlgorithmUnsupported):
        card.sign(key, Algorithm.RS256, Message(DIGEST))


def test_files_of_older_tools_open_too(tmp_path: Path) -> None:
    assert len(unlocked(make(tmp_path, legacy=True)).certificates()) == 2


def test_no_key_does_the_others_work(rsa: Organisation) -> None:
    card = unlocked(rsa)
    key = card.info.key(KeyPurpose.AUTHENTICATION)
    assert key
    with pytest.raises(AlgorithmUnsupported):
        card.sign(key, Algorithm.RS256, Message(DIGEST))


def test_the_end_of_the_transaction_locks_the_keys(rsa: Organisation) -> None:
    connection = connection_to(rsa)
    card = connection.open()
    card.verify(Secret.of(PASSWORD.encode()))
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    connection.end(reset=True)
    with pytest.raises(PinRequired):
        card.sign(key, Algorithm.RS256, Message(DIGEST))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, StateUnavailable),
        (b"", CardGarbled),
        (b"PK\x03\x04 no PKCS#12", CardGarbled),
        (b"\x30\x82" + bytes(2_000_000), CardGarbled),
        (b"\x30\x03\x02\x01\x03", PinRefused),
    ],
)
def test_what_is_no_key_file_is_told(tmp_path: Path, content: bytes | None, error: type[CarddError]) -> None:
    path = tmp_path / "file.p12"
    if content is not None:
        path.write_bytes(content)
    card = FilesConnection({KeyPurpose.SIGNATURE: path}).open()
    with pytest.raises(error):
        card.verify(Secret.of(b"x"))


@pytest.mark.parametrize("password", [b"faux", "accentué".encode("latin-1"), PASSWORD.encode() + b"\0"])
def test_a_wrong_password_opens_nothing(rsa: Organisation, password: bytes) -> None:
    card = connection_to(rsa).open()
    with pytest.raises(PinRefused):
        card.verify(Secret.of(password))
    assert card.certificates() == ()


def self_issued(key: curves.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> x509.Certificate:
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now := datetime.now(UTC), now + timedelta(1))
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


@pytest.mark.parametrize(
    ("key", "has_key", "error"),
    [
        (curves.generate_private_key(curves.SECP256R1()), False, CardIncomplete),
        (curves.generate_private_key(curves.SECP384R1()), True, AlgorithmUnsupported),
        (ed25519.Ed25519PrivateKey.generate(), True, AlgorithmUnsupported),
    ],
    ids=["no key", "P-384", "Ed25519"],
)
def test_a_key_that_cannot_sign_here_is_told(
    tmp_path: Path,
    key: curves.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    has_key: bool,
    error: type[CarddError],
) -> None:
    own, locked = self_issued(key), BestAvailableEncryption(b"x")
    if has_key:
        content = serialize_key_and_certificates(None, key, own, None, locked)
    else:
        content = serialize_key_and_certificates(None, None, None, [own], locked)
    (tmp_path / "file.p12").write_bytes(content)
    card = FilesConnection({KeyPurpose.SIGNATURE: tmp_path / "file.p12"}).open()
    with pytest.raises(PinRequired):
        card.verify(None)
    with pytest.raises(error):
        card.verify(Secret.of(b"x"))
