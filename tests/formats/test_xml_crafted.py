"""XML signatures written by hand (``xml_signing``), field by field; xmlsec1 judges some of them too."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentMissing,
    DocumentError,
    DocumentMalformed,
    DocumentUnsupported,
)
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import C14N
from cardd.formats.xmldsig import BASE64, DS, ENVELOPED, XADES
from cardd.model import Algorithm
from tests.formats.xml_signing import (
    EXCLUSIVE,
    HASHES,
    METHODS,
    OCTETS,
    ORDER,
    WHOLE,
    Reference,
    held,
    properties,
    read,
    signature,
    with_properties,
)
from tests.rig.pens import Pen, SmallAuthority
from tests.rig.tsa import OpensslTsa
from tests.rig.xml_judges import xmlsec_accepts


def xmlsec(directory: Path, document: str, pen: Pen) -> bool:
    (file := directory / "document.xml").write_bytes(document.encode())
    return xmlsec_accepts(file, pen.roots, "--id-attr:Id", "part", "--id-attr:Id", "Object")


@pytest.fixture
def mine(authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey) -> Pen:
    return authority.pen(ec_key, Algorithm.ES256)


def test_a_plain_signature_of_the_document_is_read(mine: Pen, tmp_path: Path) -> None:
    document = ORDER.replace("@", signature(mine, WHOLE))
    found = read(document)
    assert (found.format, found.flaw, found.scope, found.algorithm) == (Format.XADES, None, Scope.WHOLE, "ES256")
    assert (found.certificate, found.chain) == (mine.signer.certificate, mine.signer.chain)
    assert (found.digest, found.signed_at, found.timestamp) == (sha256(OCTETS).digest(), None, None)
    assert xmlsec(tmp_path, document, mine)


@pytest.mark.parametrize("algorithm", sorted(METHODS))
def test_each_algorithm_is_read_with_its_own_kind_of_key_and_with_no_other(
    mine: Pen, authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, algorithm: str
) -> None:
    other = authority.pen(rsa_key, Algorithm.RS256)
    own, wrong = (mine, other) if algorithm.startswith("ES") else (other, mine)
    found = read(ORDER.replace("@", signature(own, WHOLE, algorithm=algorithm)))
    assert (found.flaw, found.algorithm) == (None, algorithm)
    assert read(ORDER.replace("@", signature(wrong, WHOLE, algorithm=algorithm))).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_value_has_the_length_of_its_curve(authority: SmallAuthority, curve: ec.EllipticCurve) -> None:
    pen = authority.pen(ec.generate_private_key(curve), Algorithm.ES256)
    assert read(ORDER.replace("@", signature(pen, WHOLE))).intact
    assert read(ORDER.replace("@", signature(pen, WHOLE, value=bytes(64)))).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize("by", HASHES)
def test_each_hash_of_what_is_covered_is_read_and_sha1_is_weak(mine: Pen, by: str) -> None:
    found = read(ORDER.replace("@", signature(mine, Reference("", OCTETS, (ENVELOPED, EXCLUSIVE), by))))
    assert (found.flaw, found.digest) == (Flaw.WEAK if by == "1" else None, sha256(OCTETS).digest())


def test_one_weak_hash_among_several_is_enough(mine: Pen) -> None:
    part = b'<part Id="p">1</part>'
    for hashed, flaw in (("256", None), ("1", Flaw.WEAK)):
        references = (Reference("", b"<order>" + part + b"</order>", (ENVELOPED, EXCLUSIVE)),
                      Reference("#p", part, by=hashed))  # fmt: skip
        found = read(f"<order>{part.decode()}{signature(mine, *references)}</order>")
        assert (found.flaw, found.scope) == (flaw, Scope.WHOLE)
        each = [sha256(reference.octets).digest() for reference in references]
        assert found.digest == sha256(b"".join(each)).digest()


@pytest.mark.parametrize("changed", ["first", "second"])
def test_of_several_things_that_are_covered_each_is_as_it_was(mine: Pen, tmp_path: Path, changed: str) -> None:
    first, second = '<part Id="p">1</part>', '<part Id="q">2</part>'
    made = signature(mine, Reference("#p", first.encode()), Reference("#q", second.encode()))
    document = f"<order>{first}{second}{made}</order>"
    assert (read(document).flaw, read(document).scope, xmlsec(tmp_path, document, mine)) == (None, Scope.PART, True)
    part = first if changed == "first" else second
    tampered = document.replace(part, part.replace(">", ">9", 1))
    assert (read(tampered).flaw, xmlsec(tmp_path, tampered, mine)) == (Flaw.CONTENT, False)


def test_what_tells_the_key_is_no_content(mine: Pen) -> None:
    made = signature(mine, WHOLE)
    key = made[made.index("<KeyInfo") : made.index("</KeyInfo>") + 10].replace("<KeyInfo", f'<KeyInfo xmlns="{DS}"')
    found = read(ORDER.replace("@", signature(mine, WHOLE, Reference("#k", key.encode()))))
    assert (found.flaw, found.scope, found.digest) == (None, Scope.WHOLE, sha256(OCTETS).digest())
    with pytest.raises(DocumentUnsupported) as refused:
        read(ORDER.replace("@", signature(mine, Reference("#k", key.encode()))))
    assert refused.value.params == {"format": "XAdES", "what": "references"}


# --- what is held by the signature


@pytest.mark.parametrize(
    ("content", "changed", "scope"),
    [
        ('<dose xmlns="">10</dose>', '<dose xmlns="">10</dose>', Scope.WHOLE),
        ('<dose xmlns="">10</dose>', '<!-- a note --><dose xmlns="">10</dose>', Scope.WHOLE),
        ('<dose xmlns="">10</dose>', '<dose xmlns="">10</dose><!-- a note -->', Scope.WHOLE),
        ('<dose xmlns="">10</dose>', '<dose xmlns=""><!-- -->10</dose>', Scope.PART),
        ('<dose xmlns="">10</dose>', '<dose xmlns="">10<!-- --></dose>', Scope.PART),
        ("dose 10", "dose 1<!-- -->0", Scope.PART),
        ('<a xmlns=""></a> 10', '<a xmlns=""></a> 1<!-- -->0', Scope.PART),
        ('<a xmlns=""></a> 10', '<a xmlns=""></a><!-- --> 10', Scope.PART),
    ],
    ids=["none", "before", "behind", "at its beginning", "at its end", "in it", "behind an element", "between"],
)
def test_an_object_is_the_whole_document_where_no_comment_cuts_a_text(
    mine: Pen, content: str, changed: str, scope: Scope
) -> None:
    written, octets = held(content)
    made = signature(mine, Reference("#h", octets), objects=written)
    found = read(made.replace(f">{content}</Object>", f">{changed}</Object>"))
    assert (found.flaw, found.scope) == (None, scope)


def test_a_second_object_that_is_not_covered_makes_it_a_part(mine: Pen) -> None:
    first, octets = held("10")
    for objects, scope in ((first, Scope.WHOLE), (first + "<Object>9</Object>", Scope.PART)):
        assert read(signature(mine, Reference("#h", octets), objects=objects)).scope is scope
    second = '<Object Id="i">9</Object>'
    both = (Reference("#h", octets), Reference("#i", second.replace("<Object", f'<Object xmlns="{DS}"').encode()))
    assert read(signature(mine, *both, objects=first + second)).scope is Scope.WHOLE


def test_base64_that_is_covered_says_nothing_of_the_element_around_it(mine: Pen, tmp_path: Path) -> None:
    reference = Reference("#h", b"dose 10", (BASE64,))
    for attributes, scope in (
        ("", Scope.WHOLE),
        (f' Encoding="{BASE64}"', Scope.WHOLE),
        (' Encoding="gzip"', Scope.PART),
        (' MimeType="text/html"', Scope.PART),
        (' dose="100"', Scope.PART),
    ):
        written, _ = held(b64encode(b"dose 10").decode(), attributes)
        document = signature(mine, reference, objects=written)
        assert (read(document).flaw, read(document).scope) == (None, scope)
        assert xmlsec(tmp_path, document, mine)


# --- the signed properties


@pytest.mark.parametrize("name", ["SigningCertificate", "SigningCertificateV2"])
@pytest.mark.parametrize("by", HASHES)
def test_the_certificate_is_the_one_that_the_signed_properties_name(mine: Pen, name: str, by: str) -> None:
    own, above = mine.signer.certificate, mine.signer.chain[0]
    found = read(with_properties(mine, properties(own, by, name=name)))
    assert (found.flaw, found.certificate, found.chain, found.scope) == (None, own, (above,), Scope.WHOLE)
    assert read(with_properties(mine, properties(b"another", by, name=name))).flaw is Flaw.CERTIFICATE
    of_above = read(with_properties(mine, properties(above, by, name=name)))
    assert (of_above.flaw, of_above.certificate, of_above.chain) == (Flaw.SIGNATURE, above, (own,))


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        (" 2026-01-02T03:04:05Z ", "2026-01-02T03:04:05+00:00"),
    ],
    ids=["UTC", "a zone", "no zone", "space"],
)
def test_the_time_that_is_claimed_is_told_in_utc_where_it_is_signed(mine: Pen, time: str, told: str) -> None:
    written = properties(mine.signer.certificate, time=f"<SigningTime>{time}</SigningTime>")
    signed_at = read(with_properties(mine, written)).signed_at
    assert signed_at is not None
    assert signed_at.isoformat() == told
    assert read(with_properties(mine, written, covered=False)).signed_at is None


def test_properties_that_nobody_signed_name_no_certificate(mine: Pen) -> None:
    found = read(with_properties(mine, properties(mine.signer.chain[0]), covered=False))
    assert (found.flaw, found.certificate) == (None, mine.signer.certificate)


def test_a_hash_of_the_certificate_that_is_not_known_is_malformed(mine: Pen) -> None:
    told = properties(mine.signer.certificate).replace(HASHES["256"], "urn:unknown")
    with pytest.raises(DocumentMalformed) as refused:
        read(with_properties(mine, told))
    assert refused.value.params == {"format": "XAdES"}


# --- the rest of the signature


@pytest.mark.parametrize(
    ("old", "new_one", "scope"),
    [
        ("<KeyInfo", "<!-- a note --><KeyInfo", Scope.WHOLE),
        ("<X509Data>", "<X509Data><!-- a note -->", Scope.WHOLE),
        ("</KeyInfo>", "9</KeyInfo>", Scope.PART),
        ("<X509Data>", "9<X509Data>", Scope.PART),
        ("<X509Data>", '<X509Data dose="9">', Scope.PART),
        ("</X509Data>", '<dose xmlns="">9</dose></X509Data>', Scope.PART),
        ("</X509Data>", '<KeyName><dose xmlns="">9</dose></KeyName></X509Data>', Scope.PART),
        ("</SignatureValue>", "</SignatureValue>9", Scope.PART),
    ],
)
def test_what_a_signature_holds_beside_its_parts_makes_it_a_part(
    mine: Pen, old: str, new_one: str, scope: Scope
) -> None:
    found = read(ORDER.replace("@", signature(mine, WHOLE).replace(old, new_one)))
    assert (found.flaw, found.scope) == (None, scope)


def test_eight_signatures_are_read_and_no_more(mine: Pen) -> None:
    made = signature(mine, Reference("#p", b'<part Id="p">1</part>'))
    document = '<order><part Id="p">1</part>{}</order>'
    found = verify_xades(BytesIO(document.format(made * 8).encode()))
    assert [(one.intact, one.scope) for one in found] == [(True, Scope.PART)] * 8
    with pytest.raises(DocumentUnsupported) as refused:
        verify_xades(BytesIO(document.format(made * 9).encode()))
    assert refused.value.params == {"format": "XAdES", "what": "signatures"}


def test_an_algorithm_that_is_not_known_is_refused_by_its_end(mine: Pen) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        read(ORDER.replace("@", signature(mine, WHOLE).replace(METHODS["ES256"], "urn:" + "x" * 47 + "y")))
    assert refused.value.params == {"format": "XAdES", "what": "x" * 47 + "y"}


def test_the_kind_of_what_is_in_base64_is_the_one_that_was_signed(mine: Pen) -> None:
    told = properties(mine.signer.certificate).replace(
        "</SignedProperties>",
        '<SignedDataObjectProperties><DataObjectFormat ObjectReference="#r"><MimeType>text/html</MimeType>'
        "</DataObjectFormat></SignedDataObjectProperties></SignedProperties>",
    )
    qualifying = f'<Object><QualifyingProperties xmlns="{XADES}" Target="#x">{told}</QualifyingProperties></Object>'
    references = (Reference("#h", b"dose 10", (BASE64,)), Reference("#s", told.encode()))
    for kind, scope in (("text/html", Scope.WHOLE), ("text/plain", Scope.PART)):
        written, _ = held(b64encode(b"dose 10").decode(), f' MimeType="{kind}"')
        found = read(signature(mine, *references, objects=written + qualifying))
        assert (found.flaw, found.scope) == (None, scope)


def test_the_timestamp_of_the_value_is_told(mine: Pen, tsa: OpensslTsa) -> None:
    def stamped(token: bytes, form: str) -> VerifiedSignature:
        method = f'<CanonicalizationMethod xmlns="{DS}" Algorithm="{form}"/>' if form else ""
        stamp = f"{method}<EncapsulatedTimeStamp>{b64encode(token).decode()}</EncapsulatedTimeStamp>"
        unsigned = f"<UnsignedSignatureProperties><SignatureTimeStamp>{stamp}</SignatureTimeStamp>"
        written = f"<UnsignedProperties>{unsigned}</UnsignedSignatureProperties></UnsignedProperties>"
        objects = f'<Object><QualifyingProperties xmlns="{XADES}" Target="#x">{written}</QualifyingProperties></Object>'
        return read(made.replace("</Signature>", f"{objects}</Signature>"))

    made = ORDER.replace("@", signature(mine, WHOLE))
    value = made[made.index("<SignatureValue") : made.index("<KeyInfo")]
    token = tsa.token(value.replace("<SignatureValue", f'<SignatureValue xmlns="{DS}"').encode())
    for form in ("", EXCLUSIVE):
        stamp = stamped(token, form).timestamp
        assert stamp is not None
        assert stamp.flaw is None
    other = stamped(tsa.token(b"something else"), EXCLUSIVE).timestamp
    assert other is not None
    assert other.flaw is Flaw.IMPRINT
    with pytest.raises(DocumentMalformed) as refused:
        stamped(b"0\x00", EXCLUSIVE)
    assert refused.value.params == {"format": "XAdES"}


# --- what a reference covers


def scope_of(pen: Pen, document: str, *references: Reference) -> Scope:
    """The scope of an intact signature at the mark of the document."""
    found = read(document.replace("@", signature(pen, *references)))
    assert found.flaw is None
    return found.scope


@pytest.mark.parametrize(
    ("value", "scope"),
    [("t:dose", Scope.PART), ("a t:dose", Scope.PART), ("at:dose", Scope.WHOLE), ("tt:dose", Scope.WHOLE),
     ("a.t:dose", Scope.WHOLE), ("a-t:dose", Scope.WHOLE), ("\u00e9t:dose", Scope.WHOLE), ("t dose", Scope.WHOLE)],
)  # fmt: skip
def test_a_value_whose_prefix_is_not_covered_makes_it_a_part(mine: Pen, value: str, scope: Scope) -> None:
    document = f'<order Id="o" xmlns:t="urn:x"><dose kind="{value}"></dose>@</order>'
    octets = f'<order Id="o"><dose kind="{value}"></dose></order>'.encode()
    assert scope_of(mine, document, Reference("", octets, (ENVELOPED, EXCLUSIVE))) is scope
    inclusive = octets.replace(b' Id="o"', b' xmlns:t="urn:x" Id="o"')
    assert scope_of(mine, document, Reference("", inclusive, (ENVELOPED, C14N))) is Scope.WHOLE
    assert scope_of(mine, document, Reference("", inclusive, (ENVELOPED, EXCLUSIVE), prefixes="t")) is Scope.WHOLE


def test_the_default_namespace_is_covered_where_it_is_listed(mine: Pen) -> None:
    document = '<order xmlns="urn:o"><x:part xmlns:x="urn:x" Id="p">1</x:part>@</order>'
    octets = b'<x:part xmlns="urn:o" xmlns:x="urn:x" Id="p">1</x:part>'
    assert scope_of(mine, document, Reference("#p", octets, prefixes="#default")) is Scope.PART
    moved = document.replace("urn:o", "urn:n").replace(
        "@", signature(mine, Reference("#p", octets, prefixes="#default"))
    )
    assert read(moved).flaw is Flaw.CONTENT


@pytest.mark.parametrize(("count", "scope"), [(32, Scope.WHOLE), (33, Scope.PART)])
def test_more_prefixes_than_are_looked_for_make_it_a_part(mine: Pen, count: int, scope: Scope) -> None:
    declared = "".join(f' xmlns:n{number}="urn:{number}"' for number in range(count))
    assert scope_of(mine, ORDER.replace(" Id", f"{declared} Id"), WHOLE) is scope


def test_an_instruction_around_a_root_that_is_named_makes_it_a_part(mine: Pen) -> None:
    named, note = Reference("#o", OCTETS, (ENVELOPED, EXCLUSIVE)), "<!-- a note -->"
    assert scope_of(mine, f"{note}{ORDER}{note}", named) is Scope.WHOLE
    for before, behind in (("<?xml-stylesheet href='x'?>", ""), ("", "<?show x?>")):
        assert scope_of(mine, f"{before}{ORDER}{behind}", named) is Scope.PART


def test_an_instruction_around_the_root_is_covered_with_the_whole_document(mine: Pen) -> None:
    whole = Reference("", b"<?show x?>\n" + OCTETS + b"\n<?show y?>", (ENVELOPED, EXCLUSIVE))
    document = f"<?show x?>{ORDER}<?show y?>"
    assert scope_of(mine, document, whole) is Scope.WHOLE
    assert read(document.replace("@", signature(mine, whole)).replace("?show y", "?show z")).flaw is Flaw.CONTENT


@pytest.mark.parametrize(
    ("uri", "form", "covers", "scope"),
    [("#o", f"{EXCLUSIVE}WithComments", True, Scope.WHOLE), ("#o", EXCLUSIVE, False, Scope.PART),
     ("", f"{EXCLUSIVE}WithComments", False, Scope.PART)],
)  # fmt: skip
def test_a_comment_in_a_text_is_covered_only_by_a_name_and_a_form_with_comments(
    mine: Pen, uri: str, form: str, covers: bool, scope: Scope
) -> None:
    octets = b'<order Id="o">1<!-- a note -->0</order>' if covers else OCTETS
    document = '<order Id="o">1<!-- a note -->0@</order>'
    assert scope_of(mine, document, Reference(uri, octets, (ENVELOPED, form))) is scope


@pytest.mark.parametrize(
    "inside", ["@", "7@0", "<a></a>@0", "7<a></a>8@0", "7<a></a>8<b></b>@", "7<a></a>8<b></b>9@0<c></c>"]
)
def test_the_text_around_a_signature_is_covered_where_it_stands_and_by_each_reference(mine: Pen, inside: str) -> None:
    document = f'<order Id="o">{inside}</order>'
    octets = document.replace("@", "").encode()
    each = [Reference(uri, octets, (ENVELOPED, EXCLUSIVE)) for uri in ("", "#o", "")]
    assert scope_of(mine, document, *each) is Scope.WHOLE


def test_a_document_elsewhere_is_covered_by_its_octets(mine: Pen) -> None:
    made = signature(mine, Reference("order.xml", OCTETS, ())).encode()
    (found,) = verify_xades(BytesIO(made), BytesIO(OCTETS))
    assert (found.flaw, found.scope, found.digest) == (None, Scope.DETACHED, sha256(OCTETS).digest())
    (changed,) = verify_xades(BytesIO(made), BytesIO(OCTETS + b"9"))
    assert changed.flaw is Flaw.CONTENT
    with pytest.raises(DocumentContentMissing):
        verify_xades(BytesIO(made))


def test_no_base64_covers_nothing(mine: Pen) -> None:
    found = read(signature(mine, Reference("#h", b"", (BASE64,)), objects='<Object Id="h"></Object>'))
    assert (found.flaw, found.scope) == (None, Scope.WHOLE)


LONG = "x" * 48
# fmt: off
REFUSED: dict[str, tuple[str, Reference, type[DocumentError], dict[str, str]]] = {
    "two canonical forms": (ORDER, Reference("", OCTETS, (EXCLUSIVE, C14N)),
                            DocumentUnsupported, {"format": "XML", "what": EXCLUSIVE[-48:]}),
    "a transform that nobody knows": (ORDER, Reference("", OCTETS, (ENVELOPED, "urn:" + LONG)),
                                      DocumentUnsupported, {"format": "XML", "what": LONG}),
    "elsewhere and transformed": (ORDER, Reference("order.xml", OCTETS, (C14N, EXCLUSIVE)),
                                  DocumentUnsupported, {"format": "XML", "what": C14N}),
    "enveloped by another": ('<order><part Id="p">1</part>@</order>', Reference("#p", b"", (ENVELOPED,)),
                             DocumentAmbiguous, {"what": "enveloped-signature", "why": "moved"}),
    "a name of two": (f'<order><a Id="{LONG}y"/><b ID="{LONG}y"/>@</order>', Reference(f"#{LONG}y", b""),
                      DocumentAmbiguous, {"what": f'Id="{LONG}"', "why": "moved"}),
    "a name of nobody": (ORDER, Reference("#nobody", b""), DocumentMalformed, {"format": "XML"}),
}
# fmt: on


@pytest.mark.parametrize("case", REFUSED)
def test_a_reference_that_could_be_read_in_two_ways_is_refused_by_name(mine: Pen, case: str) -> None:
    document, reference, error, params = REFUSED[case]
    with pytest.raises(error) as refused:
        read(document.replace("@", signature(mine, reference)))
    assert refused.value.params == params


def test_a_second_digest_is_refused_and_so_is_an_unknown_hash(mine: Pen) -> None:
    made = ORDER.replace("@", signature(mine, WHOLE))
    with pytest.raises(DocumentAmbiguous) as twice:
        read(made.replace("</DigestValue>", "</DigestValue><DigestValue>AAAA</DigestValue>"))
    assert twice.value.params == {"what": "DigestValue", "why": "twice"}
    with pytest.raises(DocumentUnsupported) as unknown:
        read(made.replace(HASHES["256"], "urn:unknown"))
    assert unknown.value.params == {"format": "XML", "what": "urn:unknown"}
