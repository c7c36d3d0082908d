"""Seeds of whole cards, key files, modules of PKCS#11, and the programs of a desktop."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dbus_fast import Message, Variant
from msgspec import Struct
from msgspec import inspect as inspected
from msgspec.inspect import type_info

from cardd.apdu import Protocol
from cardd.driver import CardDriver
from cardd.frames import framed
from cardd.model import CardKind
from cardd.system import pcsc_clients, peer
from cardd.system.dbus_menu import MENU
from cardd.system.tray import ITEM, WATCHER
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.pkcs11 import messages
from cardd_simulators.cards.interface import PoweredCard
from tests.drivers.channel import CountingChannel
from tests.fuzz.clients import KINDS, STATE
from tests.fuzz.dbus import CALL, OWNER, RETURN, SIGNAL, part
from tests.fuzz.desktop import SEAT_PATH, SESSION_PATH
from tests.fuzz.drivers import OPENING, READER, _used
from tests.fuzz.local import CLIENT, SERVER
from tests.rig.organisation import make
from tests.rig.simulator import simulated_card, simulated_cps4

PLAIN = {
    inspected.StrType: "a", inspected.BoolType: True, inspected.IntType: 1, inspected.FloatType: 1.0,
    inspected.BytesType: "YQ==", inspected.DateTimeType: "2026-12-01T00:00:00Z", inspected.DateType: "2026-12-01",
}  # fmt: skip
Said = tuple[int, int, str, list[Any]]  # a part of what a bus says: its kind, its name, its type, its body
ATRS = (
    "3BAC00402A001225006480000310009000",
    "3B9B188001001225006480040100009044",
    "3B8F80010031B86404B0ECC1739401808290000E",
)
VITALE, CPS2TER = "3B75130000439C09EA9000", "3B6F0000001225006480820212009000"


def drivers() -> dict[str, dict[str, bytes]]:
    """Of simulated cards, openssl's key files, and a module that signs with a card."""
    with TemporaryDirectory() as directory:
        made = make(Path(directory), ec=True)
        key_file = Path(directory) / "small.p12"
        key, certificate = (str(made.authentication.with_suffix(end)) for end in (".key", ".pem"))
        command = ["openssl", "pkcs12", "-export", "-inkey", key, "-in", certificate, "-iter", "1"]
        subprocess.run([*command, "-passout", f"pass:{OPENING}", "-out", key_file], check=True)
        opened = key_file.read_bytes()
    return {
        "cps3": {"": _asked_of(simulated_card(), Cps3Driver(), CardKind.CPS3)},
        "cps4": {"": _asked_of(simulated_cps4(), Cps4Driver(), CardKind.CPS4)},
        "probed": {str(number): bytes.fromhex(atr) for number, atr in enumerate((*ATRS, VITALE, CPS2TER))},
        "pinpad": {"features": bytes.fromhex("060442000DB607044200"), "answer": bytes.fromhex("6401")},
        "key_file": {"": opened},
        "gate": {"": _through_the_gate()},
    }


def _asked_of(card: PoweredCard, driver: CardDriver, kind: CardKind) -> bytes:
    """What a card answers, each behind its length."""
    answers: list[bytes] = []

    def process(command: bytes) -> bytes:
        answers.append(card.process(command))
        return answers[-1]

    _used(driver.open(CountingChannel(process, atr=card.power_on(), protocol=Protocol.T1), kind))
    return b"".join(len(answer).to_bytes(2) + answer for answer in answers)


def _through_the_gate() -> bytes:
    """What libpcsclite and pcscd say when a module signs."""
    reader = READER.encode().ljust(128, b"\0")
    state = messages.STATE.pack(reader, 0, messages.PRESENT, 0, bytes(33), 17, 1)
    command, sent = messages.Command, bytes.fromhex("0084000008")
    connect, transmit = messages.CONNECT.pack, messages.TRANSMIT.pack(7, 1, 8, 5, 1, 8, 10, 0)
    talk: tuple[tuple[int, bytes, bytes, bytes], ...] = (
        (command.VERSION, messages.VERSION.pack(4, 5, 0), b"", b""),
        (command.ESTABLISH_CONTEXT, struct.pack("=III", 0, 1, 0), b"", b""),
        (command.STATES, b"", b"", state + bytes(15 * messages.STATE.size)),
        (command.CONNECT, connect(1, reader, 2, 1, 0, 0, 0), b"", connect(1, reader, 2, 1, 7, 1, 0)),
        (command.BEGIN, messages.TRANSACTION_BEGIN.pack(7, 0), b"", b""),
        (command.TRANSMIT, transmit, sent, transmit + bytes(8) + b"\x90\x00"),
        (command.END, messages.TRANSACTION_END.pack(7, messages.LEAVE, 0), b"", b""),
        (command.DISCONNECT, messages.TRANSACTION_END.pack(7, messages.LEAVE, 0), b"", b""),
        (command.RELEASE_CONTEXT, struct.pack("=II", 1, 0), b"", b""),
    )  # fmt: skip
    asked = b"".join(messages.HEADER.pack(len(body), number) + body + more for number, body, more, _ in talk)
    answers = [answer or body for _, body, _, answer in talk]
    return len(asked).to_bytes(2) + asked + b"".join(len(answer).to_bytes(2) + answer for answer in answers)


def desktop() -> dict[str, dict[str, bytes]]:
    """Of a desktop where somebody works, with a panel that draws our menu, and of a daemon that uses a lent reader."""
    one = [["1", 1000, "camille", "seat0", SESSION_PATH]]
    logind: tuple[Said, ...] = (
        (RETURN, 0, "a(susso)", [one]),  # whose screen was locked
        (RETURN, 0, "a(susso)", [one]),
        *((RETURN, 0, "v", [Variant("b", False)]) for _ in range(2)),
        (RETURN, 0, "v", [Variant("s", "x11")]),
        (RETURN, 0, "v", [Variant("s", "user")]),
        (RETURN, 0, "v", [Variant("b", False)]),
        (RETURN, 0, "a(so)", [[["seat0", SEAT_PATH]]]),
        (RETURN, 0, "v", [Variant("(so)", ["1", SESSION_PATH])]),
        (RETURN, 0, "v", [Variant("s", "user")]),
        (RETURN, 0, "v", [Variant("b", False)]),
        (RETURN, 0, "v", [Variant("(uo)", [1000, SESSION_PATH])]),
        (RETURN, 0, "v", [Variant("b", True)]),
        (RETURN, 0, "o", ["/org/freedesktop/login1/user/_1000"]),
        (RETURN, 0, "v", [Variant("(so)", ["1", SESSION_PATH])]),
        (SIGNAL, 0, "b", [True]),
        (SIGNAL, 2, "so", ["1", SESSION_PATH]),
        (SIGNAL, 3, "", []),
        (SIGNAL, 5, "sa{sv}as", ["org.freedesktop.login1.Session", {"LockedHint": Variant("b", True)}, []]),
        (SIGNAL, 7, "sss", ["org.freedesktop.login1", OWNER, ""]),
    )
    notices: tuple[Said, ...] = (
        (RETURN, 0, "as", [["actions", "body-markup"]]),
        (RETURN, 0, "u", [5]),
        (SIGNAL, 0, "us", [5, "default"]),
        (SIGNAL, 1, "uu", [5, 2]),
        (RETURN, 0, "as", [["actions"]]),
        (RETURN, 0, "u", [6]),
        (RETURN, 0, "o", ["/org/freedesktop/portal/desktop/request/1"]),
    )
    pressed = [2, "clicked", Variant("s", ""), 0]
    panel: tuple[tuple[int, str, list[Any]], ...] = (
        (0, "iias", [0, -1, []]),
        (1, "aias", [[], ["label"]]),
        (2, "is", [1, "label"]),
        (3, "isvu", [1, "clicked", Variant("s", ""), 0]),
        (4, "a(isvu)", [[pressed]]),
        (5, "i", [0]),
        (6, "ai", [[1, 9]]),
        (7, "ss", [ITEM, "Title"]),
        (8, "s", [ITEM]),
        (10, "ss", [MENU, "Version"]),
        (11, "s", [MENU]),
        (13, "ii", [0, 0]),
        (15, "is", [1, "vertical"]),
        (16, "", []),
    )  # fmt: skip
    tray: list[Said] = [(RETURN, 0, "", []), *((CALL, *called) for called in panel)]
    tray += [(SIGNAL, 17, "sss", [WATCHER, "", OWNER]), (RETURN, 0, "", [])]
    asked = (
        b'{"call": "establish"}\n',
        b'{"call": "readers"}\n',
        b'{"call": "wait", "states": [["Lecteur A", 0]], "timeout": 0}\n',
        b'{"call": "connect", "reader": "Lecteur A"}\n',
        b'{"call": "begin", "handle": 1}\n',
        b'{"call": "transmit", "handle": 1}\n\0\x20\0\1\x041234',
        b'{"call": "control", "handle": 1, "code": 1}\n',
        b'{"call": "atr", "handle": 1}\n',
        b'{"call": "end", "handle": 1}\n',
        b'{"call": "reconnect", "handle": 1, "disposition": 1}\n',
        b'{"call": "disconnect", "handle": 1, "disposition": 1}\n',
    )
    return {
        "logind": {"": _said(logind)},
        "notifications": {"": _said(notices)},
        "tray": {"": _said(tray)},
        "lending": {"": b"".join(map(framed, asked))},
    }


def _said(parts: Iterable[Said]) -> bytes:
    return b"".join(part(kind, name, signature, _body(signature, body)) for kind, name, signature, body in parts)


def _body(signature: str, body: list[Any]) -> bytes:
    told = Message(path="/", interface="a.b", member="C", signature=signature, body=body)._marshall(False)
    size = int.from_bytes(told[4:8], "little")
    return bytes(told[-size:]) if size else b""


def local() -> dict[str, dict[str, bytes]]:
    """Of a person at a terminal, of the kernel and of systemd."""
    path = b"/run/pcscd/pcscd.comm\0"
    attributes = ((pcsc_clients.PEER, b"\2\0\0\0"), (pcsc_clients.UID, bytes(4)), (pcsc_clients.NAME, path))
    told = pcsc_clients.ANSWER.pack(1, 1, 1, 0, 7)
    for kind, value in attributes:
        told += pcsc_clients.ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)
    listed = pcsc_clients.HEADER.pack(16 + len(told), pcsc_clients.BY_FAMILY, 0, 1, 0) + told
    ends = peer._ID.pack(CLIENT.port, SERVER.port, CLIENT.address, SERVER.address) + peer._ID_TAIL.pack(0, 0, 0)
    owner = peer._ANSWER.pack(2, peer.STATES[0], 0, 0) + ends + peer._ANSWER_TAIL.pack(0, 0, 0, 1000, 7)
    typed = {"right": b"\x001234\n", "wrong": b"\x0012a\n12345678\n", "yes": b"\1y\n", "stopped": b"\0\x131234\n"}
    return {
        "terminal": {**typed, "always": b"\1a\n", "no": b"\1\n"},
        "sockets": {"": listed + pcsc_clients.HEADER.pack(16, pcsc_clients.DONE, 0, 1, 0)},
        "owner": {"": peer._HEADER.pack(16 + len(owner), peer.SOCK_DIAG_BY_FAMILY, 0, 1, 0) + owner},
        "inherited": {"": b"cardd.socket:agent:p11:program-12.345"},
        "document": {"": b"\0\x10\0\4edit", "none": b""},
        "ledger": {"": bytes((0, 1, 0, 0, 1, 0, 0, 2, 0, 17, 1, 1, 17, 1, 0, 34, 1, 2, 34, 1, 0))},
    }


def relay() -> dict[str, dict[str, bytes]]:
    """Of servers behind the relay; the first byte is the method."""
    ok, sized = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n"
    when, chunked = b"Date: Tue, 01 Dec 2026 00:00:00 GMT\r\n", b"Transfer-Encoding: chunked\r\n"
    return {
        "answer": {
            "sized": b"\0" + ok + sized + when + b"Set-Cookie: a=b\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nok",
            "head": b"\1" + ok + sized + b"\r\n",
            "chunks": b"\2HTTP/1.1 100 Continue\r\n\r\n" + ok + chunked + b"\r\n2\r\nok\r\n0\r\n\r\n",
            "until the end": b"\0" + ok + b"\r\nrest",
            "none": b"\0HTTP/1.1 204 No\r\n\r\n",
            "large": b"\0" + ok + b"Content-Length: 99999\r\n\r\n",
        }
    }


def clients() -> dict[str, dict[str, bytes]]:
    """Of a daemon that answers, a browser that comes back from Pro Santé Connect, and programs that use the relay."""
    problem = {"code": "pin.wrong", "title": "a", "detail": "b", "remedy": "c", "tries_left": 2, "cards": ["1"]}
    status = json.dumps({"name": "cardd", "version": "1", "state": "ready"}).encode()
    size = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(status)}\r\n\r\n".encode()
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    event = b'event: card.inserted\ndata: {"reader": "Lecteur A"}\n\n'
    host = b"Host: 127.0.0.1:@PORT@\r\nAccept-Language: en\r\n"
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15\r\n\r\nlogout_token=e1"
    return {
        "answer": {
            "problem": b"\0" + json.dumps(problem).encode(),
            "deep": b'\0{"code": "a", "b": ' + b"[" * 5000,
            **{kind.__name__: bytes((number,)) + _like(kind) for number, kind in enumerate(KINDS)},
        },
        "daemon": {"": size + status, "refused": b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}"},
        "events": {"": stream + f"{len(event):x}\r\n".encode() + event + b"\r\n0\r\n\r\n"},
        "callback": {
            "answer": b"GET /callback?state=" + STATE.encode() + b"&code=a HTTP/1.1\r\n" + host + b"\r\n",
            "error": b"GET /callback?state=" + STATE.encode() + b"&error=a HTTP/1.1\r\n" + host + b"\r\n",
            "foreign": b"GET /start/abc HTTP/1.1\r\n" + host + b"\r\n",
            "front": b"GET /logout?iss=a&sid=b HTTP/1.1\r\n" + host + b"\r\n",
            "back": b"POST /backchannel-logout HTTP/1.1\r\n" + host + form,
        },
        "relayed": {"plain": b"GET\n/lps/a.b\nq=1", "encoded": b"POST\n/lps%2Fa\n"},
        "headers": {"": b"Accept: */*\nX-More: a\nConnection: close, X-Hop\nX-Hop: 1\nSet-Cookie: a=b\nServer: x"},
        "language": {"header": b"en-GB;q=0.8, fr;q=0.9", "locale": b"fr_FR.UTF-8"},
        "code": {"": b"123 456", "secret": b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"},
    }


def _like(kind: type[Struct]) -> bytes:
    """An answer of this kind, with a value for each field that has no default."""
    return json.dumps(_value(type_info(kind))).encode()


def _value(kind: inspected.Type) -> Any:
    value: Any = PLAIN.get(type(kind))
    match kind:
        case inspected.StructType(fields=fields):
            value = {one.encode_name: _value(one.type) for one in fields if one.required}
        case inspected.UnionType(types=types):
            value = _value(types[0])
        case inspected.VarTupleType(item_type=item) | inspected.ListType(item_type=item):
            value = [_value(item)]
        case inspected.EnumType(cls=cls):
            value = next(iter(cls)).value
        case inspected.LiteralType(values=values):
            value = values[0]
    return value
