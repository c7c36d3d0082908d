"""openssl as the judge of what the simulated card makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardd_simulators.cards.store import Credential


def run(*arguments: str | Path) -> str:
    """Run openssl and give what it printed; a failure fails the test."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accepts(
    signature: bytes, document: bytes, by: Credential, directory: Path, digest: str = "sha256", *, pss: bool = False
) -> bool:
    """Whether this is the credential's PKCS#1 v1.5 signature of the document, or its PSS signature."""
    (directory / "signature").write_bytes(signature)
    (directory / "document").write_bytes(document)
    command: list[str | Path] = ["openssl", "dgst", f"-{digest}", "-verify", public_key(by, directory), "-signature"]
    command[2:2] = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if pss else []
    command += [directory / "signature", directory / "document"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=20)
    return done.stdout == b"Verified OK\n"


def public_key(of: Credential, directory: Path) -> Path:
    """Return the card's public key as a PEM file."""
    path = directory / "public.pem"
    pem = of.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(pem)
    return path


def certificate(of: Credential, directory: Path) -> Path:
    """Return the card's certificate as a PEM file."""
    path = directory / "certificate.pem"
    path.write_bytes(of.certificate.public_bytes(Encoding.PEM))
    return path
