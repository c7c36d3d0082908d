"""What real conversations and files look like, to start from: ``python -m tests.fuzz.seeds`` keeps it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from io import BufferedRandom, BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from asn1crypto import pem, tsp
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import msgpack
from PIL import Image

from cardd.formats.cades import prepare_cades
from cardd.formats.document import new_document
from cardd.formats.jws import prepare_jws
from cardd.formats.options import (
    JwsOptions,
    Packaging,
    PadesOptions,
    Serialization,
    SetDocument,
    SubmissionSetOptions,
    XadesOptions,
)
from cardd.formats.pades import prepare_pades
from cardd.formats.pdf.host import SharedFile, _answered
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Asked, List, Place, Told
from cardd.formats.revocation import queries
from cardd.formats.submission_set import prepare_submission_set
from cardd.formats.xades import prepare_xades
from cardd.model import Algorithm, Identity, Message
from cardd.oidc.logout import EVENT
from cardd.tlv import encode
from cardd_drivers.pkcs11 import wire as module
from cardd_simulators.cards.behaviour import USUAL
from cardd_simulators.cards.contents import CardContents
from cardd_simulators.cards.files import File, Folder
from tests.fuzz.corpus import seed
from tests.fuzz.documents import ASKED, COVERED, DAY, MATERIAL, _path, certificates
from tests.fuzz.file_seeds import files
from tests.fuzz.machine_seeds import ATRS, clients, desktop, drivers, local, relay
from tests.fuzz.pdf import opened
from tests.fuzz.portal_seeds import portals
from tests.fuzz.programs import ADDRESS, BODIES, CHALLENGE, PAGE
from tests.fuzz.providers import CLIENT, DISCOVERED, ISSUER, JWK, NOW, _json, signed
from tests.p11.handshakes import transcript
from tests.rig.oidc.people import person, person_of_2026
from tests.rig.page_keys import BrowserKey
from tests.rig.pdf import pdf
from tests.rig.pens import SmallAuthority, der, finished
from tests.rig.revoking import OpensslResponder, ocsp_answer, revocation_list
from tests.rig.simulator import PIN, issue
from tests.rig.tsa import OpensslTsa

ORDER = b'<order xmlns="urn:x" Id="o"><!-- SIMULATION --><amount>10</amount><to>A</to></order>'
Seeds = dict[str, dict[str, bytes]]
FILES = {
    0xD003: "serial",
    0x2F00: "ef_dir",
    0x5031: "odf",
    0x7001: "aodf",
    0x7002: "prkdf",
    0x7005: "cdf",
    0x7006: "dodf",
    0xB002: "certificate",
}
ANSWERS = ("6110", "5A0A802500000199219000")  # each goes behind its length, in two bytes
RECORDED = Path(__file__).parents[1] / "p11" / "recorded"
PROGRAMS = ("ssh-keygen", "gnutls-cli-3.8", "curl", "nss", "openssl-3.5-provider", "p11tool-3.8")


def _files(folder: Folder) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for child in folder.children:
        if isinstance(child, File):
            found[child.identifier] = bytes(child.data)
        else:
            found |= _files(child)
    return found


def cards() -> Seeds:
    """Of a simulated card."""
    contents = _files(CardContents(issue(), len(PIN), USUAL).files())
    plain = {name: contents[identifier] for identifier, name in FILES.items()}
    plain["tlv"] = plain["descent"] = plain["announced_size"] = contents[0x5032]
    answers = [bytes.fromhex(answer) for answer in ANSWERS]
    plain["answers"] = plain["answers_t1"] = b"".join(len(answer).to_bytes(2) + answer for answer in answers)
    plain["directory_file"] = b"\x11" + plain["cdf"]  # 17 bytes for each READ BINARY
    plain["object_file"] = b"\x00" + plain["certificate"]
    plain["key"] = plain["certificate"]
    parts = (plain["cdf"][:200], plain["cdf"][200:400], plain["cdf"][400:], plain["certificate"])
    plain["masks"] = b"".join(b"\xb0" + len(part).to_bytes(2) + part for part in parts)
    made = {name: {"": data} for name, data in plain.items()}
    return {**made, "atr": {str(number): bytes.fromhex(atr) for number, atr in enumerate(ATRS)}}


def programs() -> Seeds:
    """Of recorded programs, agents as they speak, and requests of every kind."""
    recorded = {name: (RECORDED / f"{name}.hex").read_text().split() for name in PROGRAMS}
    calls = {name: b"".join(map(bytes.fromhex, frames[1:])) for name, frames in recorded.items()}
    key = BrowserKey()
    jwk, proof = key.jwk, key.proof(CHALLENGE, PAGE, ADDRESS)
    return {
        "p11_calls": calls,
        "p11_program": {name: b"\x01" + said for name, said in calls.items()},
        "p11_handshake": {"": transcript("portail.example")},
        "http": dict(_requests()),
        "body": {str(number): bytes((number,)) + b"{}" for number in range(len(BODIES))} | _bodies(),
        "page_proof": {"": f"{jwk['x']}\n{jwk['y']}\n{proof}".encode()},
        "pinentry": {
            "yes": b"OK Pleased to meet you\nOK\nD 12%2534\nOK\nOK\n",
            "no": b"OK\nS ERROR x\nERR 83886179 cancelled\nERR 83886194\n# a comment\nOK\n",
        },
        "agent": {
            name or "dialogs": f"OK cardd-agent{name} fr_FR.UTF-8\n".encode() + more
            for name, more in (("", b""), ("-witness", b"{}\n"), ("-notices", b"OPEN\n"), ("-readers", b""))
        },
        "witness": {"": json.dumps({"1": [["/usr/lib/firefox/firefox", 66306, 42, False]], "2": []}).encode()},
        "notice": {
            "link": b'{"link": "http://localhost:17463/#abc"}',
            "topic": b'{"topic": "agent_refused", "params": {"program": "SIMULATION"}}',
            "tray": json.dumps({"state": {"readers": "ready", "cards": [_CARD], "sessions": [_SESSION]}}).encode(),
        },
        "lent_reader": {
            str(number): bytes((number,)) + said
            for number, said in enumerate(
                (
                    b'{"readers": ["Lecteur A"]}\n',
                    b'{"states": [["Lecteur A", 34, "3B00"]]}\n',
                    b'{"states": null}\n',
                    b'{"handle": 1, "protocol": 0}\n',
                    b'{"protocol": 1}\n',
                    b"{}\n\x3b\x00",
                    b"{}\n\x90\x00",
                    b'{"error": "80100069"}\n',
                )
            )
        },
        "module": {
            "tokens": msgpack.encode(module.Reply(0, tokens=(_TOKEN,))),
            "description": msgpack.encode(
                module.Reply(0, description=module.Description(_TOKEN, (_CERTIFICATE,), (1,)))
            ),
        },
        "asked_of_module": {
            type(asked).__name__: len(told := msgpack.encode(asked)).to_bytes(4) + told + b"1234"
            for asked in (
                module.ListTokens(),
                module.Describe(slot=1),
                module.Login(slot=1, serial="1", secrets=(4,)),
                module.Sign(slot=1, key=b"1", algorithm="RS256", digest=bytes(32)),
            )
        },
    }


_CERTIFICATE = module.TokenCertificate(b"1", "SIMULATION", b"0")
_CARD = {"id": "1", "kind": "CPS3", "reader": "Lecteur A", "problem": "", "in_use": "", "pin": "yes"}
_SESSION = {"client": "LPS", "state": "active", "card": "yes"}
_TOKEN = module.TokenState(1, "Lecteur", "SIMULATION", "1", 0x40C, (4, 8), is_card=True)


def _requests() -> Iterator[tuple[str, bytes]]:
    host, json_type = b"Host: localhost\r\n", b"Content-Type: application/json\r\n"
    body = b'{"name": "SIMULATION", "vendor": "SIMULATION", "software_id": "lps"}'
    yield "status", b"GET /v1/status HTTP/1.1\r\n" + host + b"\r\n"
    yield "two", b"GET /openapi.json HTTP/1.1\r\n" + host + b"\r\nGET /v1/readers HTTP/1.1\r\n" + host + b"\r\n"
    size = f"Content-Length: {len(body)}\r\n\r\n".encode()
    yield "body", b"POST /v1/clients HTTP/1.1\r\n" + host + json_type + size + body
    chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    yield "chunks", b"POST /v1/sessions HTTP/1.1\r\n" + host + json_type + b"Authorization: Bearer abc\r\n" + chunked
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    yield "events", b"GET /v1/events HTTP/1.1\r\n" + host + upgrade + b"Sec-WebSocket-Version: 13\r\n\r\n"
    page = b"Origin: https://webps.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"
    fetch = b"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
    yield "status page", b"GET / HTTP/1.1\r\n" + host + fetch + b"Accept-Language: fr, en;q=0.5\r\n\r\n"
    link = b'{"link": "c2ltdWxhdGlvbg"}'
    own = b"Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"
    length = f"Content-Length: {len(link)}\r\n\r\n".encode()
    yield "link", b"POST /v1/status-page/sessions HTTP/1.1\r\n" + host + own + json_type + length + link
    upload = b"Content-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\nok"
    yield "document", b"POST /v1/sessions/a/documents HTTP/1.1\r\n" + host + b"Authorization: Bearer a.b\r\n" + upload
    yield "relay", b"GET /v1/sessions/a/upstreams/dmp/lps/x%2Fy?q=1 HTTP/1.1\r\n" + host + b"\r\n"
    yield "page", b"OPTIONS /v1/clients HTTP/1.1\r\nHost: 127.0.0.1:17463\r\n" + page + b"\r\n"


def _bodies() -> dict[str, bytes]:
    """Of the calls that have most in their bodies, as a program sends them."""
    told = {
        "name": "SIMULATION",
        "vendor": "SIMULATION",
        "software_id": "lps",
        "method": "cpx",
        "format": "raw",
        "algorithm": "RS256",
        "digest": "A" * 43 + "=",
        "document_name": "SIMULATION",
        "nonce": "A" * 44,
    }
    return {
        f"full {number}": bytes((number,))
        + json.dumps({name: told[name] for name in shape.types[0].__struct_fields__ if name in told}).encode()
        for number, shape in enumerate(BODIES)
    }


def documents() -> Seeds:
    """Of an authority that is made for them, with all of their material anew: each form, signed."""
    begun = datetime.now(UTC)
    root = SmallAuthority("AC SIMULATION", key=ec.derive_private_key(0xA, ec.SECP256R1()))
    root.ocsp, root.lists = ["http://ac.example/ocsp"], ["http://ac.example/crl"]
    pen = root.pen(ec.derive_private_key(0xB, ec.SECP256R1()), Algorithm.ES256)
    signer = pen.signer.certificate
    MATERIAL.write_bytes(pem.armor("CERTIFICATE", der(root.certificate)) + pem.armor("CERTIFICATE", signer))
    who = Identity("899700218896", "SIMULATION", "CAMILLE")
    with TemporaryDirectory() as directory:
        tsa = OpensslTsa(Path(directory), root)
        request = {"version": "v1", "nonce": ASKED.nonce, "cert_req": True, "message_imprint": _imprint(ASKED.digest)}
        stamped, token = tsa.answer(tsp.TimeStampReq(request).dump()), tsa.token(COVERED)
        refused = bytes(tsp.PKIStatusInfo({"status": "rejection"}).dump())
        responder = OpensslResponder(Path(directory) / "ocsp", root)
        responder.issued(signer, begun - DAY)
        question = queries(certificates()[1], _path().find_issuing_authority(certificates()[1]))[0]
        revoked, key = responder.answer(question.body or b""), ec.derive_private_key(0xC, ec.SECP256R1())
        by = (root.responder(key), key)
        plain = pen.write(prepare_cades(BytesIO(COVERED), pen.signer, begun))
        prepared = prepare_cades(BytesIO(COVERED), pen.signer, begun)
        value = pen.sign(prepared.message)
        with_time = finished(prepared, value, tsa.token(prepared.stamped(value)))
        process = PdfProcess()
        signed_pdf = pen.write(
            prepare_pades(new_document(pdf()), pen.signer, begun, PadesOptions(), process=process, who=who)
        )
        process.close()
    xades = {
        str(packaging): pen.write(prepare_xades(BytesIO(ORDER), pen.signer, begun, XadesOptions(packaging)))
        for packaging in (Packaging.ENVELOPED, Packaging.ENVELOPING)
    }
    jws = {
        str(kind): pen.write(prepare_jws(BytesIO(COVERED), pen.signer, begun, JwsOptions(kind)))
        for kind in Serialization
    }
    entry = SetDocument("1.2.250.1.99999.1", BytesIO(COVERED))
    whole = pen.write(prepare_submission_set(SubmissionSetOptions("1.2.250.1.99999.2", (entry,)), pen.signer, begun))
    raw_value = pen.sign(Message(sha256(COVERED).digest()))
    picture = BytesIO()
    Image.new("RGB", (3, 2), (0, 80, 160)).save(picture, "PNG")
    with opened(signed_pdf) as file:
        listed = _answered(List(), BufferedRandom(SharedFile(os.dup(file.fileno()))))
    return {
        "any": {"pem": pem.armor("CMS", plain), "cms": plain, **jws},
        "xml": {"plain": ORDER, **xades},
        "xades": xades,
        "submission_set": {"": whole},
        "jws": jws,
        "cms": {"plain": plain, "stamped": with_time},
        "raw": {"": bytes((len(raw_value),)) + raw_value + signer},
        "timestamp": {"": token},
        "timestamp_answer": {"granted": stamped, "refused": encode(0x30, refused)},
        "signer": {"": signer},
        "ocsp": {"good": ocsp_answer(root, signer), "by another": ocsp_answer(root, signer, by=by), "revoked": revoked},
        "revocation_list": {
            "none": revocation_list(root),
            "revoked": revocation_list(root, {signer: begun - DAY}),
            "of ended ones": revocation_list(root, keeps_since=begun - DAY),
        },
        "pdf.read": {"plain": pdf(), "signed": signed_pdf},
        "pdf.to_sign": {"plain": pdf(), "signed": signed_pdf},
        "pdf.picture": {"png": picture.getvalue()},
        "pdf.process": {"": msgpack.encode(Told(listed, None))},
        "pdf.asked": {"": msgpack.encode(Asked(Place(begun, 4096), None))},
    }


def _imprint(digest: bytes) -> dict[str, object]:
    return {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}


def providers() -> Seeds:
    """Answers of a right provider."""
    people = {"2023": person("899700218896", "ALICE"), "2026": person_of_2026("899700218896", "ALICE")}
    now = int(NOW.timestamp())
    header = b'{"alg": "ES256", "kid": "1"}'
    told = {
        "iss": ISSUER,
        "aud": CLIENT,
        "exp": now + 300,
        "iat": now,
        "nonce": "n",
        "sub": "s",
        "auth_time": now,
        "acr": "eidas1",
    }
    ended = {"iss": ISSUER, "aud": CLIENT, "iat": now, "jti": "1", "sid": "s", "events": {EVENT: {}}}
    tokens = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r", "id_token": "i.i.i"}
    refused = {"error": "invalid_grant", "error_description": "SIMULATION"}
    return {
        "discovery": {"": _json(DISCOVERED)},
        "tokens": {"right": b"\0" + _json(tokens), "refused": b"\1" + _json(refused)},
        "push": {
            "right": b"\0" + _json({"auth_req_id": "a", "expires_in": 120, "interval": 5}),
            "no": b"\1" + _json(refused),
        },
        "keys": {"": _json({"keys": [JWK]})},
        "token": {"": signed(header, b"{}").encode()},
        "id_token": {"": header + b"\n" + _json(told)},
        "logout": {"": header + b"\n" + _json(ended)},
        "userinfo": {name: _json(claims) for name, claims in people.items()},
        "editor": {
            "right": b"\0" + _json({"proxy_session_id": "a"}) + b"\n" + _json(people["2026"]),
            "no": b"\2" + _json({"message": "access_denied"}),
        },
        "http": {
            "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\n\r\nok",
            "chunks": b"HTTP/1.1 429 Busy\r\nRetry-After: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        },
        "tunnel": {"right": b"HTTP/1.1 200 OK\r\n\r\n", "no": b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"},
        "starttls": {
            "imap": b"\1* OK ready\r\n* CAPABILITY\r\na OK go\r\n",
            "smtp": b"\0220 ready\r\n250-SIMULATION\r\n250 STARTTLS\r\n220 go\r\n",
        },
    }


GROUPS: dict[str, Callable[[], Seeds]] = {
    "cards": cards,
    "clients": clients,
    "desktop": desktop,
    "drivers": drivers,
    "programs": programs,
    "documents": documents,
    "local": local,
    "portals": portals,
    "files": files,
    "providers": providers,
    "relay": relay,
}


def main() -> None:
    """Write the seeds of the groups that the command line names, all by default."""
    for group in sys.argv[1:] or GROUPS:
        for name, inputs in GROUPS[group]().items():
            seed(name if "." in name else f"{group}.{name}", inputs)


if __name__ == "__main__":
    main()
