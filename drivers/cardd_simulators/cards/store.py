"""The authorities and the cards' keys on disk: made once, since RSA-4096 keys take seconds, and used again.

The directory is private (0700): ``chain.pem`` has the authorities for ``openssl verify -CAfile``, and each card has a
folder of its own. A card once issued keeps its serial number and its content, because the official middleware keeps
what it read of a card under that number; a card whose certificates end within a month is issued anew, with another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cardd.values import Value
from cardd_simulators.cards.behaviour import USUAL, Behaviour
from cardd_simulators.cards.certificates import (
    LIFE,
    Authority,
    Holder,
    authentication_certificate,
    make_persons_authority,
    make_root,
    signature_certificate,
    technical_certificate,
)
from cardd_simulators.cards.profiles import Profile

CARD_KEY_SIZE = 2048
CERTIFICATES = {
    "signature": signature_certificate,
    "authentication": authentication_certificate,
    "technical": technical_certificate,
}
LIVES = {"cps4": 6 * timedelta(days=365)}  # of the others, LIFE
RENEWED_BEFORE = timedelta(days=30)
CONTENT_VERSION = "2"  # of the files a card is given: to be raised when they change, so that serial numbers change too


class Credential(Value):
    """A private key and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


class Issued(Value):
    """What makes a card: its holder, ``serial`` (eight digits), and its keys."""

    profile: Profile
    serial: str
    signature: Credential
    authentication: Credential
    technical: Credential

    @property
    def card_number(self) -> str:
        """Return the ten digits of the certificates and of the token's label."""
        return card_number(self.serial)


def card_number(serial: str) -> str:
    """Return the number printed on the card, from its chip's serial number; how real ones are tied is not known."""
    return f"26{serial}"


def default_directory() -> Path:
    """``$XDG_CACHE_HOME/cardd/simulation``: it may be deleted at any time, and is made again."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cardd" / "simulation"


class Store:
    """The fictitious PKI in one directory. Several processes may use it at once."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or default_directory()

    @property
    def chain(self) -> Path:
        """Return the PEM file with the authority for persons and the root; there once a card has been issued."""
        return self.directory / "chain.pem"

    @property
    def authorities(self) -> list[bytes]:
        """Return the authorities of ``chain`` (DER), of which a card does not bring along the one that issued it."""
        return [found.public_bytes(Encoding.DER) for found in x509.load_pem_x509_certificates(self.chain.read_bytes())]

    def issue(
        self, profile: Profile, pin_length: int, generation: str = "cps3", behaviour: Behaviour = USUAL
    ) -> Issued:
        """Return the card of this profile, made at the first call.

        What a card's files tell, its PIN's length, generation and behaviour, has a part: another file system is
        another card.
        """
        with self._locked():
            persons = self._authorities()
            name = "-".join([profile.name, str(pin_length), *behaviour.names])
            folder = self.directory / (name if generation == "cps3" else f"{generation}-{name}")
            folder.mkdir(mode=0o700, exist_ok=True)
            life = LIVES.get(generation, LIFE)
            known = self._load(folder, profile, behaviour)
            if known and _is_of(known, persons) and _lives(known.signature.certificate, life):
                return known
            return self._make(folder, profile, behaviour, persons, life)

    def path(self, name: str, suffix: str = "pem") -> Path:
        """Return the file in which ``credential`` keeps what has this name; other forms of it may be put beside."""
        return self.directory / f"{name}.{suffix}"

    def credential(self, name: str, certify: Callable[[rsa.RSAPublicKey, Authority], x509.Certificate]) -> Credential:
        """Return a key that is no card's, with the certificate that ``certify`` makes for it at the first call."""
        with self._locked():
            persons = self._authorities()
            known = _load_credential(self.path(name))
            if known and _is_by(known.certificate, persons):
                return known
            key = rsa.generate_private_key(65537, CARD_KEY_SIZE)
            made = Credential(key, certify(key.public_key(), persons))
            _write_credential(self.path(name), made)
            return made

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _authorities(self) -> Authority:
        """Return the authority for persons; the chain is written when it was not there."""
        path = self.directory / "persons.pem"
        if self.chain.exists() and (known := _load_credential(path)):
            return Authority(known.certificate, known.key)
        root = make_root()
        persons = make_persons_authority(root)
        _write_credential(path, Credential(persons.key, persons.certificate))
        chain = (persons.certificate, root.certificate)
        _write(self.chain, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain))
        return persons

    def _load(self, folder: Path, profile: Profile, behaviour: Behaviour) -> Issued | None:
        serial = folder / "serial"
        if not serial.exists():
            return None
        content, _, number = serial.read_text("ascii").partition(" ")
        loaded = {name: _load_credential(folder / f"{name}.pem", behaviour.shift) for name in CERTIFICATES}
        found = {name: credential for name, credential in loaded.items() if credential}
        complete = found.keys() == loaded.keys() and content == _content(profile)
        return Issued(profile, number, **found) if complete else None

    def _make(
        self, folder: Path, profile: Profile, behaviour: Behaviour, persons: Authority, life: timedelta
    ) -> Issued:
        keys = {name: rsa.generate_private_key(65537, CARD_KEY_SIZE) for name in CERTIFICATES}
        serial = _serial(folder.name, keys["signature"].public_key(), _content(profile))
        holder = Holder(profile, card_number(serial), behaviour, life)
        made = {
            name: Credential(keys[name], certify(holder, keys[name].public_key(), persons))
            for name, certify in CERTIFICATES.items()
        }
        for name, credential in made.items():
            _write_credential(folder / f"{name}.pem", credential)
        _write(folder / "serial", f"{_content(profile)} {serial}".encode())
        return Issued(profile, serial, **made)


def _is_of(card: Issued, persons: Authority) -> bool:
    """Return whether this authority issued the card; a PKI that was made anew did not issue the old one's cards."""
    return _is_by(card.signature.certificate, persons)


def _is_by(certificate: x509.Certificate, persons: Authority) -> bool:
    known = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    return known.value == persons.key_identifier


def _content(profile: Profile) -> str:
    """Stands for everything that a card tells and that is not drawn at random."""
    return sha256(f"{CONTENT_VERSION} {profile}".encode()).hexdigest()


def _serial(name: str, key: rsa.RSAPublicKey, content: str) -> str:
    """Eight digits, of which 99 show that the card is none: another for each card and for each PKI."""
    seed = sha256(f"{name} {key.public_numbers().n} {content}".encode()).digest()
    return f"99{int.from_bytes(seed, 'big') % 10**6:06}"


def _lives(certificate: x509.Certificate, life: timedelta) -> bool:
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc == life


def _load_credential(path: Path, shift: timedelta = timedelta(0)) -> Credential | None:
    """Return what ``_write_credential`` wrote; None when there is nothing, or when the certificate ends soon.

    ``shift`` is how much later than usual it is meant to end.
    """
    if not path.exists():
        return None
    pem = path.read_bytes()
    key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)  # our own; the check takes 0.3 s
    certificate = x509.load_pem_x509_certificate(pem)
    ends_soon = certificate.not_valid_after_utc - shift < datetime.now(UTC) + RENEWED_BEFORE
    if not isinstance(key, rsa.RSAPrivateKey) or ends_soon:
        return None
    return Credential(key, certificate)


def _write_credential(path: Path, credential: Credential) -> None:
    key = credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(path, key + credential.certificate.public_bytes(Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    """Replace the file in one step: another process, or an end in the middle, never leaves half of it."""
    fresh = path.with_suffix(".new")
    with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    fresh.replace(path)
