"""A PDF process that was taken over by a document: whatever it answers, the daemon makes nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from asn1crypto import cms
from msgspec import msgpack

from cardd.errors import (
    CarddError,
    DocumentMalformed,
    DocumentUnsupported,
    InternalError,
    PdfDamaged,
    PdfProcessFailed,
    PdfTooComplex,
)
from cardd.formats.cades import prepare_cades
from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions
from cardd.formats.pades import prepare_pades, verify_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Found, Later, List, Listed, Placed, Refused, Told
from cardd.formats.sealed import Layout
from cardd.formats.verified import Flaw
from cardd.model import Identity
from tests.rig.pdf import pdf
from tests.rig.pens import Pen

# in the host's place: answers each request with these octets and goes on, or ends after some
ANSWERING = """
import socket, sys
octets, times = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
daemon = socket.socket(fileno=int(sys.argv[3]))
while times:
    head, *_ = socket.recv_fds(daemon, 4, 1)
    if not head: break
    daemon.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    daemon.sendall(octets)
    times -= 1
"""


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def told(answer: Answer) -> bytes:
    return framed(msgpack.encode(Told(answer, None)))


def listed(kind: str = "/ETSI.CAdES.detached", ranges: tuple[int, ...] = (0, 1, 2, 3), contents: bytes = b"") -> bytes:
    return told(Listed((Found(kind, ranges, contents, None, Later.NOTHING),)))


@contextmanager
def answering(octets: bytes, times: int = -1, limit: float = 20) -> Iterator[PdfProcess]:
    process = PdfProcess(limit=limit, command=(sys.executable, "-I", "-S", "-c", ANSWERING, octets.hex(), str(times)))
    yield process
    process.close()


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        ((8 * 1024 * 1024 + 1).to_bytes(4, "big"), PdfProcessFailed),
        (framed(b"no msgpack"), PdfProcessFailed),
        (framed(b"\x81\xa1a" * 2000), PdfProcessFailed),
        (told(Placed(0, 1, b"")), InternalError),
        (told(Refused(PdfDamaged.code, {"why": "it"})), PdfDamaged),
        (told(Refused("unknown", {})), PdfTooComplex),
        (told(Refused(PdfTooComplex.code, {}, leaving=True)), PdfTooComplex),
        (listed(kind="/adbe.x509.rsa_sha1"), DocumentUnsupported),
        (listed(ranges=(0, 1, 2)), DocumentMalformed),
        (listed(ranges=(0, 1, 2, -3)), DocumentMalformed),
        (listed(contents=b"\x30"), DocumentMalformed),
        (listed(contents=b"no CMS"), DocumentMalformed),
    ],
)
def test_an_answer_that_cannot_be_is_no_verdict(octets: bytes, error: type[CarddError]) -> None:
    with answering(octets) as process, new_document(pdf()) as document, pytest.raises(CarddError) as refused:
        verify_pades(document, process)
    assert type(refused.value) is error


def message(pen: Pen, now: datetime, covered: bytes, signers: int = 1) -> bytes:
    """A signature of these octets, apart, by so many signers."""
    with new_document(covered) as document:
        made = cms.ContentInfo.load(pen.write(prepare_cades(document, pen.signer, now, detached=True)))
    infos = made["content"]["signer_infos"]
    made["content"]["signer_infos"] = [infos[0]] * signers
    return bytes(made.dump(force=True))


def test_a_signature_that_leaves_out_more_than_itself_does_not_hold(card: Pen, now: datetime) -> None:
    content = pdf()
    contents = message(card, now, content[:20] + content[-20:])
    octets = listed(ranges=(0, 20, len(content) - 20, 20), contents=contents)
    with answering(octets) as process, new_document(content) as document:
        [found] = verify_pades(document, process)
    assert found.flaw is Flaw.CONTENT


def test_a_signature_of_two_is_not_taken(card: Pen, now: datetime) -> None:
    octets = listed(ranges=(0, 1, 1, 1), contents=message(card, now, b"%P", signers=2))
    with answering(octets) as process, new_document(pdf()) as document, pytest.raises(DocumentUnsupported):
        verify_pades(document, process)


def test_a_list_is_no_place_for_a_signature(card: Pen, now: datetime) -> None:
    who = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE")
    with answering(listed()) as process, new_document(pdf()) as document, pytest.raises(InternalError):
        prepare_pades(document, card.signer, now, PadesOptions(), process=process, who=who)


def test_a_layout_that_the_file_cannot_have_is_the_process_s_fault(card: Pen, now: datetime) -> None:
    octets = framed(msgpack.encode(Told(Placed(0, 1, b""), Layout([2**63], 5, 0))))
    who = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE")
    with answering(octets) as process, new_document(pdf()) as document, pytest.raises(PdfProcessFailed):
        prepare_pades(document, card.signer, now, PadesOptions(), process=process, who=who)


def test_an_answer_that_stops_on_the_way_is_late() -> None:
    octets = framed(bytes(9))[:-1]
    with (
        answering(octets, limit=0.3) as process,
        new_document(pdf()) as document,
        pytest.raises(PdfTooComplex),
    ):
        verify_pades(document, process)


def test_a_process_that_left_between_two_documents_is_replaced() -> None:
    with answering(told(Listed(())), times=1) as process, new_document(pdf()) as document:
        for _ in range(3):
            assert verify_pades(document, process) == []


def test_a_process_that_cannot_be_started_is_no_fault_of_the_document() -> None:
    process = PdfProcess(command=("/nonexistent/python",))
    with new_document(pdf()) as document, pytest.raises(PdfProcessFailed):
        verify_pades(document, process)


def test_the_process_is_not_told_the_password_of_the_network_s_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://cardd:secret-SIMULATION@proxy.example:3128")
    telling = f"import os; open({str(tmp_path / 'told')!r}, 'w').write(repr(dict(os.environ)))"
    process = PdfProcess(command=(sys.executable, "-I", "-S", "-c", telling))
    with new_document(pdf()) as document, pytest.raises(PdfProcessFailed):
        process.ask(document, List())
    process.close()
    told = (tmp_path / "told").read_text()
    assert "PATH" in told
    assert "secret-SIMULATION" not in told
