"""PKCS#15 directories: what their records say, and that nothing in them can do more than be refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.errors import CarddError, CardGarbled
from cardd.tlv import encode
from cardd_drivers.pkcs15 import asn1
from cardd_drivers.pkcs15.objects import (
    Application,
    DirectoryType,
    KeyUsage,
    PasswordFlags,
    applications,
    certificate_files,
    directory_paths,
    passwords,
    private_keys,
)
from tests.drivers.small_card import AID, AODF, EF_DIR, ODF, files

# as OpenSC dumps the directory of a real card, with the extended access rules that only it has
REAL_PRKDF = bytes.fromhex(
    "306030200C0C4350535F505249565F5349470302078004010130093007030202040401013"
    "01D040EE828BD080F8025000001FF0010010303060040030204B002020081"
    "A11D301B30150400A1114F0DE828BD080F8025000001FF0010040002020800"
)
PARSERS: list[Callable[[bytes], object]] = [
    applications,
    lambda data: directory_paths(data, DirectoryType.CERTIFICATES),
    passwords,
    private_keys,
    certificate_files,
]


def test_ef_dir_lists_the_applications_in_its_order() -> None:
    contactless, contact = applications(EF_DIR)
    assert contactless.aid == AID[:-1] + b"\x20"
    assert contact == Application(AID, "CPS3", bytes.fromhex("3F000001"))


def test_an_application_resolves_absolute_and_relative_paths() -> None:
    contact = applications(EF_DIR)[1]
    assert contact.resolve(bytes.fromhex("7001")) == bytes.fromhex("3F0000017001")
    assert contact.resolve(bytes.fromhex("3F000002B001")) == bytes.fromhex("3F000002B001")
    assert Application(AID, "", path=b"").resolve(bytes.fromhex("7001")) is None


def test_the_odf_tells_each_directorys_path() -> None:
    assert directory_paths(ODF, DirectoryType.PRIVATE_KEYS) == [bytes.fromhex("3F0000017002")]
    assert directory_paths(ODF, DirectoryType.DATA) == []


def test_the_puk_is_told_from_the_pin() -> None:
    puk, pin = passwords(AODF)
    assert (pin.reference, pin.minimum, pin.maximum, pin.label) == (1, 4, 4, "Code porteur")
    assert pin.flags == PasswordFlags.INITIALIZED
    assert not pin.is_unblocking
    assert (puk.reference, puk.minimum, puk.maximum, puk.is_unblocking) == (2, 8, 8, True)


def test_a_real_cards_key_record_is_understood() -> None:
    (key,) = private_keys(REAL_PRKDF)
    assert (key.label, key.reference, key.usage) == ("CPS_PRIV_SIG", 0x81, KeyUsage.NON_REPUDIATION)
    assert (key.id, key.auth_id) == (AID + b"\x01", b"\x01")


def test_certificates_are_listed_with_their_files() -> None:
    found = certificate_files(files()["3F0000017005"])
    assert [(file.label, file.path.hex()) for file in found] == [
        ("Certificat d'Authentification CPS", "3f000001b0a2"),
        ("Certificat de Signature CPS", "3f000001b0a1"),
    ]


def test_records_of_other_types_are_passed_over() -> None:
    assert private_keys(encode(0xA0, b"\xff\xff") + REAL_PRKDF) == private_keys(REAL_PRKDF)


@pytest.mark.parametrize(("value", "number"), [("0081", 0x81), ("81", 0x81), ("01", 1), ("FF7F", None), ("0100", None)])
def test_a_reference_is_one_byte_however_it_was_signed(value: str, number: int | None) -> None:
    if number is None:
        with pytest.raises(CardGarbled):
            asn1.reference(bytes.fromhex(value))
    else:
        assert asn1.reference(bytes.fromhex(value)) == number


@pytest.mark.parametrize("read", [asn1.integer, asn1.bits, asn1.identifier])
@pytest.mark.parametrize("value", [b"", bytes(300)], ids=["nothing", "long"])
def test_what_no_directory_holds_is_garbled(read: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises(CardGarbled):
        read(value)


def test_a_label_shows_no_control_characters() -> None:
    assert asn1.label(b"\x1b[31mCPS\x00\xff" + b"x" * 1000).startswith("[31mCPS")
    assert len(asn1.label(b"x" * 1000)) == asn1.LABEL_MAX


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=300))
def test_garbage_only_raises_our_errors(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        found = parse(data)
    except CarddError:
        return
    assert isinstance(found, list)


@pytest.mark.parametrize("parse", PARSERS)
@given(whole=st.sampled_from([EF_DIR, ODF, AODF, REAL_PRKDF, files()["3F0000017005"]]), data=st.data())
def test_damaged_directories_only_raise_our_errors(
    parse: Callable[[bytes], object], whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse(bytes(damaged))
    except CarddError:
        return
    assert isinstance(found, list)
