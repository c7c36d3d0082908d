"""A driver from a separate package, built and installed from the page that explains how to write one."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from tests.integration.workstation import DIGEST, Workstation, text
from tests.rig.example_card import ExampleCard
from tests.rig.example_driver import installed
from tests.rig.lps import Json


def test_the_daemon_finds_it_and_signs_with_its_card(tmp_path: Path) -> None:
    with (
        Workstation(tmp_path, environment={"PYTHONPATH": str(installed())}).running() as workstation,
        workstation.card(ExampleCard()),
    ):
        [card] = workstation.cards()
        assert (card["kind"], card["atr"]) == ("other", "3B800181")
        signed: Json = workstation.log_in().sign()
        key = load_der_x509_certificate(base64.b64decode(text(signed, "certificate"))).public_key()
        assert isinstance(key, RSAPublicKey)
        value, digest = base64.b64decode(text(signed, "signature")), base64.b64decode(DIGEST)
        key.verify(value, digest, PKCS1v15(), Prehashed(SHA256()))
