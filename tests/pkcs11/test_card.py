"""What a token tells and does as a card, beyond the contract that every driver keeps."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.x509 import load_der_x509_certificate

from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CardRemoved,
    NewPinRefused,
    PinFormat,
    PinRefused,
    PinWrong,
    PukBlocked,
    PukRefused,
    PukWrong,
)
from cardd.model import Algorithm, KeyPurpose, Message, PinInfo
from cardd.secret import Secret
from cardd_drivers.pkcs11.module import Module
from tests.pkcs11.conftest import connection, log_in
from tests.pkcs11.shim import GET_TOKEN_INFO, KEYPAD, LOGIN, TYPED, flagged
from tests.rig.openssl import verifies
from tests.rig.softhsm import IDS, OFFICER, PIN, SoftHsm

Load = Callable[[str], Module]
Shim = Callable[[Mapping[int, str]], str]
DOCUMENT = b"SIMULATION"
INFO_SHA512 = bytes.fromhex("3051300D060960864801650304020305000440")
FINAL_TRY, LOCKED = 0x20000, 0x40000


def accepted(card: Card, algorithm: Algorithm, directory: Path) -> bool:
    """Whether openssl accepts a signature of the card's signature key."""
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    value = card.sign(key, algorithm, Message(hashlib.sha256(DOCUMENT).digest()))
    if algorithm is Algorithm.ES256:
        value = encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    certificate = next(one.der for one in card.certificates() if one.key_id == key.id)
    return verifies(directory, certificate, value, DOCUMENT, pss=algorithm is Algorithm.PS256)


def tool(hsm: SoftHsm, label: str, *arguments: str) -> None:
    command = ("pkcs11-tool", "--module", hsm.module, "--token-label", label, "--login", "--pin", PIN, *arguments)
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def demand_the_pin_each_time(hsm: SoftHsm, label: str, private: Path) -> None:
    """Replace the signature key by the same one with CKA_ALWAYS_AUTHENTICATE."""
    der = hsm.directory / "private.der"
    subprocess.run(
        ["openssl", "pkey", "-traditional", "-in", str(private), "-outform", "DER", "-out", str(der)], check=True
    )
    identifier = IDS["signature"]
    tool(hsm, label, "--delete-object", "--type", "privkey", "--id", identifier)
    kept = ("--id", identifier, "--label", "signature SIMULATION", "--usage-sign", "--always-auth")
    tool(hsm, label, "--write-object", str(der), "--type", "privkey", *kept)


@pytest.mark.parametrize(
    ("label", "algorithms"),
    [("EC SIMULATION", [Algorithm.ES256]), ("RSA SIMULATION", [Algorithm.RS256, Algorithm.PS256])],
)
def test_a_key_that_wants_the_pin_each_time_signs_until_the_logout(
    tokens: SoftHsm, hsm: SoftHsm, load: Load, label: str, algorithms: list[Algorithm]
) -> None:
    demand_the_pin_each_time(hsm, label, tokens.directory / label / "signature.key")
    line = connection(load(hsm.module), label)
    card = line.open()
    for _ in range(2):
        log_in(card)
        for algorithm in algorithms * 2:
            assert accepted(card, algorithm, hsm.directory), algorithm
        line.end(reset=True)


def test_an_authentication_key_signs_other_hashes_and_a_signature_key_none(hsm: SoftHsm, load: Load) -> None:
    card = connection(load(hsm.module), "RSA SIMULATION").open()
    log_in(card)
    proving, signing = (card.info.key(purpose) for purpose in (KeyPurpose.AUTHENTICATION, KeyPurpose.SIGNATURE))
    assert proving
    assert signing
    der = next(one.der for one in card.certificates() if one.key_id == proving.id)
    public = load_der_x509_certificate(der).public_key()
    assert isinstance(public, RSAPublicKey)
    digest = hashlib.sha512(DOCUMENT).digest()

    public.verify(card.authenticate_info(proving, INFO_SHA512 + digest), DOCUMENT, PKCS1v15(), SHA512())
    public.verify(card.authenticate_pss(proving, "sha512", digest), DOCUMENT, PSS(MGF1(SHA512()), 64), SHA512())
    with pytest.raises(AlgorithmUnsupported):
        card.authenticate_info(signing, INFO_SHA512 + digest)
    with pytest.raises(AlgorithmUnsupported):
        card.authenticate_pss(signing, "sha512", digest)


def test_two_tokens_of_one_module_sign_side_by_side(hsm: SoftHsm, load: Load, tmp_path: Path) -> None:
    module = load(hsm.module)
    ec, rsa = (connection(module, label) for label in ("EC SIMULATION", "RSA SIMULATION"))
    cards = [line.open() for line in (ec, rsa)]
    for card in cards:
        log_in(card)
    assert accepted(cards[0], Algorithm.ES256, tmp_path)
    assert accepted(cards[1], Algorithm.PS256, tmp_path)
    ec.end(reset=True)
    assert accepted(cards[1], Algorithm.RS256, tmp_path)


def test_a_pin_is_not_shown_to_another_token_in_the_same_slot(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    """The serial number is that of the token that the PIN was typed for."""
    swapped = "ulong code = REAL(6)(slot, info); if (there(\"swapped\")) info[80] = 'X'; return code;"
    told = '(ulong session, ulong user, byte *pin, ulong size) { close(creat(DIRECTORY "/told", 0600)); return 0xA0; }'
    module = load(shim({6: f"(ulong slot, byte *info) {{ {swapped} }}", LOGIN: told}))
    card = connection(module).open()
    (hsm.directory.parent / "swapped").touch()
    with pytest.raises(CardRemoved):
        log_in(card)
    assert not (hsm.directory.parent / "told").exists()


def test_the_tokens_flags_tell_the_last_try_and_the_blocked_pin(load: Load, shim: Shim) -> None:
    card = connection(load(shim(flagged(FINAL_TRY)))).open()
    assert card.pin_status().tries_left == 1
    with pytest.raises(PinWrong) as wrong:
        log_in(card, "9753")
    assert wrong.value.params["tries_left"] == 1


def test_a_blocked_pin_has_no_tries(load: Load, shim: Shim) -> None:
    assert connection(load(shim(flagged(LOCKED)))).open().pin_status().tries_left == 0


def test_a_wrong_pin_is_told_without_a_count_where_the_token_gives_none(hsm: SoftHsm, load: Load) -> None:
    with pytest.raises(PinRefused):
        log_in(connection(load(hsm.module)).open(), "9753")


def test_a_token_with_a_keypad_asks_for_its_pin_itself(load: Load, shim: Shim, tmp_path: Path) -> None:
    line = connection(load(shim({LOGIN: TYPED, **flagged(KEYPAD)})))
    assert line.has_pinpad
    card = line.open()
    card.verify(None)
    assert accepted(card, Algorithm.ES256, tmp_path)


def test_an_authoritys_certificate_is_no_key(hsm: SoftHsm, load: Load, tmp_path: Path) -> None:
    authority = tmp_path / "authority.der"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "authority.key"),
         "-outform", "DER", "-out", str(authority), "-subj", "/CN=AUTORITE SIMULATION",
         "-addext", "keyUsage=critical,keyCertSign,digitalSignature"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    written = ("--write-object", str(authority), "--type", "cert", "--id", "ca", "--label", "AUTORITE")
    tool(hsm, "EC SIMULATION", *written)
    card = connection(load(hsm.module)).open()
    assert {key.id for key in card.info.keys} == set(IDS.values())


def test_a_certificate_without_a_name_takes_no_other_along(tokens: SoftHsm, hsm: SoftHsm, load: Load) -> None:
    nameless = shutil.copy(tokens.directory / "EC SIMULATION" / "signature.der", hsm.directory / "nameless.der")
    tool(hsm, "EC SIMULATION", "--write-object", str(nameless), "--type", "cert")
    card = connection(load(hsm.module)).open()
    assert {key.id for key in card.info.keys} == set(IDS.values())


def lengths(minimum: int, maximum: int) -> dict[int, str]:
    """A C_GetTokenInfo that tells these lengths of a PIN."""
    told = f"*(ulong *)(info + 136) = {maximum}ul; *(ulong *)(info + 144) = {minimum}ul;"  # CK_TOKEN_INFO
    code = f"ulong code = REAL({GET_TOKEN_INFO})(slot, info); {told} return code;"
    return {GET_TOKEN_INFO: f"(ulong slot, byte *info) {{ {code} }}"}


def pin_of(card: Card) -> PinInfo:
    assert card.info.pin
    return card.info.pin


def test_a_pin_is_as_long_as_the_token_tells(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    counted = f"""(ulong session, ulong user, byte *pin, ulong size) {{
        close(creat(DIRECTORY "/told", 0600));
        return REAL({LOGIN})(session, user, pin, size);
    }}"""
    card = connection(load(shim({LOGIN: counted, **lengths(4, 8)}))).open()
    assert (pin_of(card).minimum, pin_of(card).maximum) == (4, 8)
    for impossible in ("123", "123456789"):
        with pytest.raises(PinFormat) as told:
            log_in(card, impossible)
        assert (told.value.params["minimum"], told.value.params["maximum"]) == (4, 8)
    assert not (hsm.directory.parent / "told").exists(), "nothing was sent"
    log_in(card)


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 0), (9, 4), (2**64 - 1, 2**64 - 1)])
def test_lengths_that_cannot_be_are_not_believed(load: Load, shim: Shim, minimum: int, maximum: int) -> None:
    card = connection(load(shim(lengths(minimum, maximum)))).open()
    assert 1 <= pin_of(card).minimum <= pin_of(card).maximum <= 255
    log_in(card)


def unblock(card: Card, puk: str, new: str) -> None:
    with Secret.of(puk.encode()) as officer, Secret.of(new.encode()) as chosen:
        card.unblock_pin(officer, chosen)


def test_a_failed_unblock_says_which_code_was_refused(hsm: SoftHsm, load: Load) -> None:
    card = connection(load(hsm.module)).open()
    for wrong in ("97539753", "975"):
        with pytest.raises(PukRefused):
            unblock(card, wrong, "8642")
    with pytest.raises(NewPinRefused) as refused:
        unblock(card, OFFICER, "864")
    assert refused.value.params["minimum"] == 4
    unblock(card, OFFICER, "8642")
    log_in(card, "8642")


@pytest.mark.parametrize(("flag", "error"), [(0x200000, PukWrong), (0x400000, PukBlocked)])
def test_the_tokens_flags_tell_of_the_unblocking_code_too(
    load: Load, shim: Shim, flag: int, error: type[Exception]
) -> None:
    card = connection(load(shim(flagged(flag | LOCKED)))).open()
    with pytest.raises(error):
        unblock(card, "97539753", "8642")


def test_a_new_pin_that_the_token_refuses_is_not_taken_for_the_old_one(hsm: SoftHsm, load: Load) -> None:
    card = connection(load(hsm.module)).open()
    with Secret.of(PIN.encode()) as old, Secret.of(b"864") as new, pytest.raises(NewPinRefused):
        card.change_pin(old, new)
    log_in(card)


def test_keys_that_nothing_can_be_signed_with_are_told(hsm: SoftHsm, load: Load, tmp_path: Path) -> None:
    hsm.holding("P-384", *made_p384(tmp_path))
    card = connection(load(hsm.module), "P-384").open()
    assert (card.info.keys, card.info.unusable) == ((), ("EC secp384r1",))


def made_p384(directory: Path) -> tuple[bytes, bytes]:
    """Return a certificate for signatures and its key, PEM."""
    certificate, key = directory / "p384.pem", directory / "p384.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout",
         str(key), "-out", str(certificate), "-subj", "/CN=SIMULATION",
         "-addext", "keyUsage=critical,digitalSignature"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate.read_bytes(), key.read_bytes()
