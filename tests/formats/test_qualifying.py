"""Distinguished names in a signature, judged by cryptography, which writes them by RFC 4514."""

from __future__ import annotations

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.x509.oid import NameOID

from cardd.formats.qualifying import name_of

COMMON, UNIT, SERIAL = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.SERIAL_NUMBER


def _name(*parts: x509.NameAttribute[str] | list[x509.NameAttribute[str]]) -> x509.Name:
    return x509.Name([x509.RelativeDistinguishedName(part if isinstance(part, list) else [part]) for part in parts])


@pytest.mark.parametrize(
    "name",
    [
        _name(x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(COMMON, "AC SIMULATION")),
        _name(*(x509.NameAttribute(COMMON, text) for text in ("a,b", "a+b", 'a"b', "a\\b", "<a>", "a;b", "é"))),
        _name(*(x509.NameAttribute(UNIT, text) for text in (" a", "#a", "a ", " ", "# a "))),
        _name([x509.NameAttribute(COMMON, "several"), x509.NameAttribute(UNIT, "parts")]),
    ],
    ids=["plain", "special", "ends", "several"],
)
def test_a_name_is_written_as_rfc_4514_has_it(name: x509.Name) -> None:
    written = name_of(asn1.Name.load(name.public_bytes()))
    assert sorted(written.split("+")) == sorted(name.rfc4514_string().split("+"))


def test_an_attribute_without_a_short_name_is_written_by_its_number() -> None:
    name = asn1.Name.load(_name(x509.NameAttribute(SERIAL, "8")).public_bytes())
    assert name_of(name) == "2.5.4.5=#130138"
