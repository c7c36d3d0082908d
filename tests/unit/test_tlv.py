"""BER-TLV: what is written reads back, and hostile bytes end in one kind of error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd import tlv
from cardd.errors import CardGarbled
from cardd.tlv import Tlv
from tests.rig.saml import card_key, in_other_orders

KEY = card_key()
SIGNATURE = KEY.certificate.signature
CERTIFICATE = KEY.signer.certificate
tags = st.sampled_from([0x04, 0x30, 0x5A, 0x61, 0x7F41, 0xBF8101, 0xA0])


@given(st.lists(st.builds(Tlv, tags, st.binary(max_size=400)), max_size=8))
def test_data_objects_read_back_as_they_were_written(objects: list[Tlv]) -> None:
    assert list(tlv.parse(b"".join(item.encode() for item in objects))) == objects


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_data_objects_or_garbled(raw: bytes, padded: bool) -> None:
    try:
        objects = list(tlv.parse(raw, padded=padded))
    except CardGarbled:
        return
    assert sum(len(item.value) for item in objects) <= len(raw)


def test_padding_ends_a_file_only_where_padding_is_allowed() -> None:
    raw = bytes.fromhex("5A0101FFFF")
    assert [item.tag for item in tlv.parse(raw, padded=True)] == [0x5A]
    with pytest.raises(CardGarbled):
        list(tlv.parse(raw))


@pytest.mark.parametrize("raw", ["", "5A", "7F", "5A05AA", "3080", "5A84FFFFFFFF", "5A83FFFF", "7F818181818101"])
def test_cut_indefinite_and_gigantic_lengths_are_garbled(raw: str) -> None:
    with pytest.raises(CardGarbled):
        tlv.parse_one(bytes.fromhex(raw))


def test_more_objects_than_any_card_has_are_garbled() -> None:
    with pytest.raises(CardGarbled):
        list(tlv.parse(b"\x04\x00" * (tlv.MAX_NODES + 1)))


def test_a_descendant_is_found_by_its_tags() -> None:
    chv = tlv.parse_one(bytes.fromhex("7016BF810112A0109A01039B0103A1088C06F300001 3FF00".replace(" ", "")))
    left = chv.find(0xBF8101, 0xA0, 0x9B)
    assert left is not None
    assert left.value == b"\x03"
    assert chv.find(0xBF8101, 0x5A) is None


@given(st.integers(0, 70000))
def test_the_size_of_a_whole_object_is_known_from_its_beginning(size: int) -> None:
    whole = tlv.encode(0x30, bytes(size))
    assert tlv.announced_size(whole[:5]) == len(whole)


def test_the_names_of_a_certificate_are_put_in_der_s_order() -> None:
    assert tlv.in_order(CERTIFICATE) == CERTIFICATE
    in_order = {tlv.in_order(other)[: -len(SIGNATURE)] for other in in_other_orders(KEY)}
    assert in_order == {CERTIFICATE[: -len(SIGNATURE)]}


@given(st.binary(max_size=64), st.integers(0, 400))
def test_nothing_is_lost_of_what_is_no_certificate(garbage: bytes, cut: int) -> None:
    assert sorted(tlv.in_order(garbage)) == sorted(garbage)
    assert tlv.in_order(CERTIFICATE[:cut]) == CERTIFICATE[:cut]
