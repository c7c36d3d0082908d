"""The patient's INS: its form, its key and its OID."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.errors import AssertionInsFormat, AssertionInsKey, AssertionInsOid
from cardd.formats.saml.checks import NIA, NIR, OIDS, TEST, key_of, resource_id
from cardd.formats.saml.request import Patient

NUMBERS = st.from_regex(r"[0-9]{5}([0-9]{2}|2[AB])[0-9]{6}", fullmatch=True).filter(str.isascii)


def test_a_patient_is_named_as_the_dmp_does() -> None:
    assert resource_id(Patient("185059999900181", TEST)) == "185059999900181^^^&1.2.250.1.213.1.4.10&ISO^NH"


@pytest.mark.parametrize(
    ("number", "key"),
    [("1850599999001", "81"), ("1631278477042", "94"), ("2620875032039", "77"), ("1891275125012", "82")],
)
def test_the_key_is_that_of_published_examples(number: str, key: str) -> None:
    assert key_of(number) == key


def test_corsica_counts_as_19_and_18() -> None:
    assert key_of("185052A999001") == key_of("1850519999001")
    assert key_of("185052B999001") == key_of("1850518999001")
    assert resource_id(Patient("185052A999001" + key_of("185052A999001"), NIR))


@settings(deadline=None)
@given(number=NUMBERS, oid=st.sampled_from(OIDS))
def test_every_number_is_taken_with_its_own_key(number: str, oid: str) -> None:
    assert resource_id(Patient(number + key_of(number), oid)).startswith(number)


@settings(deadline=None)
@given(number=NUMBERS, place=st.integers(0, 14), digit=st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_found(number: str, place: int, digit: str) -> None:
    good = number + key_of(number)
    bad = good[:place] + digit + good[place + 1 :]
    if bad != good:
        with pytest.raises((AssertionInsKey, AssertionInsFormat)):
            resource_id(Patient(bad, NIR))


@settings(deadline=None)
@given(number=NUMBERS, key=st.integers(0, 99))
def test_no_number_has_two_keys(number: str, key: int) -> None:
    if f"{key:02}" != key_of(number):
        with pytest.raises(AssertionInsKey):
            resource_id(Patient(f"{number}{key:02}", NIA))


@pytest.mark.parametrize(
    "ins",
    [
        "",
        "18505999990018",
        "1850599999001811",
        "18505999990018A",
        "185059999900181 ",
        "1850599999001٨١",
        "18505\n99900181",
    ],
)
def test_what_is_no_ins_is_refused(ins: str) -> None:
    with pytest.raises(AssertionInsFormat):
        resource_id(Patient(ins, NIR))


@pytest.mark.parametrize("oid", ["", "1.2.250.1.213.1.4.2", "1.2.250.1.213.1.4.100", "urn:oid:1.2.250.1.213.1.4.8"])
def test_an_oid_that_is_no_ins_s_is_refused(oid: str) -> None:
    with pytest.raises(AssertionInsOid):
        resource_id(Patient("185059999900181", oid))
