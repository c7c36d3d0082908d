"""What real conversations and files look like, to start from: ``python -m tests.fuzz.seeds`` keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import msgpack

from cardd_drivers.pkcs11 import wire as module
from cardd_simulators.cards.behaviour import USUAL
from cardd_simulators.cards.contents import CardContents
from cardd_simulators.cards.files import File, Folder
from tests.fuzz.corpus import seed
from tests.fuzz.programs import ADDRESS, BODIES, CHALLENGE, PAGE
from tests.p11.handshakes import transcript
from tests.rig.page_keys import BrowserKey
from tests.rig.simulator import PIN, issue

Seeds = dict[str, dict[str, bytes]]
FILES = {
    0xD003: "serial",
    0x2F00: "ef_dir",
    0x5031: "odf",
    0x7001: "aodf",
    0x7002: "prkdf",
    0x7005: "cdf",
    0xB002: "certificate",
}
ATRS = (
    "3BAC00402A001225006480000310009000",
    "3B9B188001001225006480040100009044",
    "3B8F80010031B86404B0ECC1739401808290000E",
)
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
                (b'{"readers": ["Lecteur A"]}\n', b'{"states": [["Lecteur A", 34, "3B00"]]}\n', b'{"states": null}\n',
                 b'{"handle": 1, "protocol": 0}\n', b'{"protocol": 1}\n', b"{}\n\x3b\x00", b"{}\n\x90\x00",
                 b'{"error": "80100069"}\n')
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
    }  # fmt: skip


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
    yield "page", b"OPTIONS /v1/clients HTTP/1.1\r\nHost: 127.0.0.1:17463\r\n" + page + b"\r\n"


def _bodies() -> dict[str, bytes]:
    """Of the calls that have most in their bodies, as a program sends them."""
    told = {
        "name": "SIMULATION", "vendor": "SIMULATION", "software_id": "lps", "method": "cpx", "format": "raw",
        "algorithm": "RS256", "digest": "A" * 43 + "=", "document_name": "SIMULATION", "nonce": "A" * 44,
    }  # fmt: skip
    return {
        f"full {number}": bytes((number,))
        + json.dumps({name: told[name] for name in shape.types[0].__struct_fields__ if name in told}).encode()
        for number, shape in enumerate(BODIES)
    }


GROUPS: dict[str, Callable[[], Seeds]] = {"cards": cards, "programs": programs}


def main() -> None:
    """Write the seeds."""
    for group, made in GROUPS.items():
        for name, inputs in made().items():
            seed(f"{group}.{name}", inputs)


if __name__ == "__main__":
    main()
