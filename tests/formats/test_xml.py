"""XML from outside: what is refused before anything is made of it."""

from __future__ import annotations

import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from cardd.errors import (
    DocumentEmpty,
    DocumentError,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentXmlDoctype,
    DocumentXmlLimits,
)
from cardd.formats.xml import DEPTH_MAX, NAMESPACES_MAX, TEXT_MAX, XML_MAX, canonical_document, parsed

LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
BOMBS = {
    "billion laughs": b'<!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b"]><a>&l9;</a>",
    "in an attribute": b'<!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b']><a b="&l9;"/>',
    "quadratic": b'<!DOCTYPE a [<!ENTITY l "' + b"x" * 100_000 + b'">]><a>' + b"&l;" * 10_000 + b"</a>",
    "a file": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><a>&f;</a>',
    "another DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "a parameter": b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/hostname">%p;]><a/>',
    "nothing else": b"<!DOCTYPE html><html/>",
    "behind a comment": b'<?xml version="1.0"?><!-- ' + b"x" * 10_000 + b" --><!DOCTYPE a []><a/>",
    "in UTF-16": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
}
MALFORMED = {
    "text": b"SIMULATION",
    "unclosed": b"<a><b></a>",
    "two roots": b"<a/><b/>",
    "half": b'<a b="',
    "prefix": b"<a:b/>",
    "entity": b"<a>&unknown;</a>",
    "zeros": bytes(100),
    "encoding": b'<?xml version="1.0" encoding="none"?><a/>',
    "wide encoding": b'<?xml version="1.0" encoding="shift-jis"?><a/>',
    "UTF-32": '<?xml version="1.0" encoding="UTF-32"?><!DOCTYPE a []><a/>'.encode("utf-32"),
    "bytes": b"<a>\xff\xfe</a>",
    "PDF": b"%PDF-1.7",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_document_type_is_refused_at_once_whatever_is_in_it(bomb: bytes) -> None:
    before = time.thread_time()
    with pytest.raises(DocumentXmlDoctype):
        parsed(BytesIO(bomb))
    assert time.thread_time() - before < 0.5


@pytest.mark.parametrize("document", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_xml_is_malformed(document: bytes) -> None:
    with pytest.raises(DocumentMalformed) as refused:
        parsed(BytesIO(document))
    assert refused.value.params == {"format": "XML"}


def test_nothing_and_too_much_are_told_apart() -> None:
    with pytest.raises(DocumentEmpty):
        parsed(BytesIO())
    with pytest.raises(DocumentTooLarge) as refused:
        parsed(BytesIO(b"<a>" + b" " * XML_MAX))
    assert refused.value.params == {"format": "XML", "limit": XML_MAX}


CROWD = "<a>" + "".join(f'<b xmlns:n{number}="urn:n">' for number in range(200))
CROWD += "<c " + " ".join(f'xmlns:m{number}="urn:m"' for number in range(100)) + "/>" + "</b>" * 200 + "</a>"


@pytest.mark.parametrize(
    "document",
    [b"<a>" * depth + b"</a>" * depth for depth in (DEPTH_MAX + 1, 1000, 1_000_000)]
    + [b"<a>" + b"x" * (TEXT_MAX + 1), CROWD.encode(), CROWD.encode("utf-16")],
    ids=["deep", "deeper", "deepest", "long", "namespaces", "namespaces in UTF-16"],
)
def test_deep_nesting_long_texts_and_crowds_of_namespaces_are_refused(document: bytes) -> None:
    with pytest.raises(DocumentXmlLimits) as refused:
        parsed(BytesIO(document))
    assert refused.value.params == {"depth": DEPTH_MAX, "text": TEXT_MAX, "namespaces": NAMESPACES_MAX}


def test_a_namespace_may_be_declared_again_and_again() -> None:
    document = b"<a>" + b'<b xmlns="urn:b"></b>' * 1000 + b"</a>"
    assert canonical_document(parsed(BytesIO(document))) == document


@pytest.mark.parametrize(
    "document",
    [
        b'<a x:y="1"><b xmlns="relative"/></a>',
        b'<a><x:y/><b xmlns="relative"/></a>',
        b'<a xmlns:x="urn:a" xmlns:y="urn:a" x:b="1" y:b="2"><b xmlns="relative"/></a>',
    ],
)
def test_a_prefix_is_wrong_whatever_the_parser_warns_of_later(document: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        parsed(BytesIO(document))


def test_the_deepest_document_that_is_taken() -> None:
    document = b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX
    assert canonical_document(parsed(BytesIO(document))) == document


def test_much_before_the_root_is_read_in_time() -> None:
    before = time.thread_time()
    assert parsed(BytesIO(b"<!-- " + b"x" * 9_000_000 + b" --><a/>")).tag == "a"
    assert time.thread_time() - before < 2


def test_a_file_beside_is_never_included(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("<secret/>")
    document = f'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="{tmp_path}/secret.xml"/></a>'
    assert b"<secret" not in canonical_document(parsed(BytesIO(document.encode())))


@given(binary(max_size=200))
def test_whatever_comes_is_read_or_refused_by_a_name(document: bytes) -> None:
    for octets in (document, b"<a>" + document + b"</a>"):
        with suppress(DocumentError):
            assert canonical_document(parsed(BytesIO(octets)))
