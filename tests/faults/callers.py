"""Faults of clients: those that leave, crowd, dawdle and repeat themselves; another person's; programs of PKCS#11."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count

from cardd.model import Outcome
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.faults.watched import AUTHENTICATE, FETCH, Go, of
from tests.faults.work import Caller, Opened, Problem, Program
from tests.integration.workstation import wait_until
from tests.p11.programs import AUTHENTICATION, MODULES
from tests.rig.agent import other_users_agent
from tests.rig.lps import Json
from tests.rig.other_user import run
from tests.rig.softhsm import PIN

_numbers = count(1)


def asked(name: str, **more: object) -> Json:
    """Return a request for a signature."""
    digest = b64encode(hashlib.sha256(name.encode()).digest()).decode()
    return {"document_name": name, "digest": digest, "batch": {"name": "again", "count": 5000}, **more}


def head_and_body(site: Site, session: Opened, name: str) -> bytes:
    """Return the whole request as bytes, under the name as its key."""
    body = json.dumps(asked(name)).encode()
    lines = (
        f"POST {session.path}/signatures HTTP/1.1",
        f"Host: 127.0.0.1:{site.station.daemon.port}",
        f"Authorization: Bearer {session.token}",
        f"Idempotency-Key: {name}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def connected(site: Site) -> socket.socket:
    """Return a connection."""
    return socket.create_connection(("127.0.0.1", site.station.daemon.port), 10)


def session_of(site: Site) -> Opened:
    """Return an open session, whoever ended the one before."""
    assert site.work
    program, found = site.work.programs[0], list[Opened]()

    def is_there() -> bool:
        with suppress(Problem, OSError):
            session = program.session()
            if program.is_open(session):
                found.append(session)
            else:
                program.drop(session)
        return bool(found)

    wait_until(is_there)
    return found[-1]


def signs(site: Site, name: str) -> str:
    """Ask under the key until it is signed; return the signature."""
    caller, found = Caller(site.station.daemon.port), list[str]()

    def is_signed() -> bool:
        session = session_of(site)
        with suppress(Problem, OSError):
            answer = caller.ask("POST", f"{session.path}/signatures", asked(name), session.token, Idempotency_Key=name)
            found.append(str(answer["signature"]))
        return bool(found)

    wait_until(is_signed)
    return found[-1]


def signed_once(site: Site, name: str, times: int = 2) -> None:
    """Ask again and again: one signature, one row."""
    values = {signs(site, name) for _ in range(times)}
    rows = [row for row in site.audit.about(name) if row.entry.outcome is Outcome.DONE]
    assert (len(values), len(rows)) == (1, 1), (len(values), len(rows))


def new_name() -> str:
    """Return a name that no other piece of work has."""
    return f"own-{next(_numbers)}-{time.monotonic_ns():x}"


def leaves(site: Site, share: float, pause: float) -> None:
    """Send so much of a request, and hang up."""
    name = new_name()
    whole = head_and_body(site, session_of(site), name)
    with connected(site) as link:
        link.sendall(whole[: round(len(whole) * share)])
        time.sleep(pause)
    signed_once(site, name)


for told, share, pause in (
    ("of its request's head", 0.3, 0.0),
    ("of its request's body", 0.95, 0.0),
    ("before it has read the answer", 1.0, 0.0),
    ("with its answer unread", 1.0, 0.5),
):
    add(Listed.LEAVING, told, partial(leaves, share=share, pause=pause), within=2)


@fault(Listed.LEAVING, "while the card signs for it", within=2)
def leaves_the_card(site: Site) -> None:
    """Hang up at the card's command."""
    name = new_name()
    digest = hashlib.sha256(name.encode()).digest()
    with connected(site) as link:

        def hangs_up(go: Go) -> bytes:
            link.close()
            return go()

        met = site.card.meet(lambda apdu: digest in apdu, hangs_up)
        link.sendall(head_and_body(site, session_of(site), name))
        assert met.was.wait(20), "the card was never asked so"
    signed_once(site, name)


@fault(Listed.LEAVING, "while its PIN is asked for", within=6)
def leaves_a_dialog(site: Site) -> None:
    """Hang up while the dialog is open."""
    assert site.work
    shown = len(site.station.pinentry.shown())
    site.station.pinentry.answer("hang")
    body = json.dumps({"method": "cpx", "card": site.knows_cards()[0]["id"]}).encode()
    head = (
        f"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1:{site.station.daemon.port}\r\n"
        f"Authorization: Bearer {site.work.programs[0].secret}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connected(site) as link:
        link.sendall(head.encode() + body)
        wait_until(lambda: len(site.station.pinentry.shown()) > shown)


@fault(Listed.STREAMS, "of one person's programs", within=4)
def streams(site: Site) -> None:
    """Have another program ask for a thousand: each is given, refused, or ended to make room; work goes on."""
    secret = Program(site, "Écran").secret
    head = (
        f"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{site.station.daemon.port}\r\n"
        f"Authorization: Bearer {secret}\r\n\r\n"
    ).encode()
    told = Counter[bytes]()
    with ExitStack() as open_:
        links = [open_.enter_context(connected(site)) for _ in range(1000)]
        for link in links:
            with suppress(OSError):
                link.sendall(head)
        began = time.monotonic()
        wait_until(lambda: site.work is not None and site.work.since(began) is not None)
        for link in links:
            with suppress(ConnectionError):
                told[link.recv(len("HTTP/1.1 200"))[-3:]] += 1
    assert set(told) <= {b"200", b"429", b""}, told
    assert told[b"200"]
    assert told[b"429"]


@fault(Listed.CONNECTIONS, "300 with half a head", within=4)
def half_open(site: Site) -> None:
    """Begin requests, and never end them."""
    with ExitStack() as open_:
        for _ in range(300):
            with suppress(OSError):
                open_.enter_context(connected(site)).sendall(b"GET /v1/status HTTP/1.1\r\nHost: loc")
        time.sleep(3)


@fault(Listed.CONNECTIONS, "60 that send one byte at a time", within=4)
def slow(site: Site) -> None:
    """Send a body very slowly."""
    whole = head_and_body(site, session_of(site), new_name())
    cut = whole.index(b"\r\n\r\n") + 4
    with ExitStack() as open_:
        links = [open_.enter_context(connected(site)) for _ in range(60)]
        for link in links:
            link.sendall(whole[:cut])
        for place in range(cut, cut + 30):
            for link in links:
                with suppress(OSError):
                    link.sendall(whole[place : place + 1])
            time.sleep(0.1)


@fault(Listed.CONNECTIONS, "40 that ask and never read", within=4)
def never_read(site: Site) -> None:
    """Ask without end for what is long."""
    ask = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{site.station.daemon.port}\r\n\r\n".encode()
    with ExitStack() as open_:
        for _ in range(40):
            link = open_.enter_context(connected(site))
            link.setblocking(False)
            with suppress(OSError):
                for _ in range(200):
                    link.sendall(ask)
        time.sleep(3)


def replayed(site: Site, between: str) -> None:
    """Ask under one key before and after something happened."""
    name = new_name()
    first = signs(site, name)
    if between == "card":
        site.pull()
        site.insert()
    else:
        number = {"killed": 9, "stopped": 15}[between]
        with site.restarts():
            os.kill(site.pid, number)
    assert signs(site, name) == first
    signed_once(site, name)
    refused = ""
    session = session_of(site)
    try:
        Caller(site.station.daemon.port).ask(
            "POST", f"{session.path}/signatures", asked(new_name()), session.token, Idempotency_Key=name
        )
    except Problem as problem:
        refused = str(problem)
    assert refused == "request.idempotency_key_reused", refused


for told, between in (
    ("whose daemon was killed", "killed"),
    ("whose daemon was stopped", "stopped"),
    ("whose card was out", "card"),
):
    add(Listed.REPLAYED, told, partial(replayed, between=between), within=15, thrown=1)


@fault(Listed.REPLAYED, "twenty at the same time", within=2)
def at_once(site: Site) -> None:
    """Ask under one key from many connections."""
    name = new_name()
    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(lambda _: signs(site, name), range(20)))) == 1
    signed_once(site, name)


def dies_in_a_call(site: Site, kind: int) -> None:
    """Kill a program that signs through PKCS#11 while the card works for it."""
    data = site.station.directory / "data"
    data.write_bytes(new_name().encode())
    around = {**os.environ, "P11_KIT_SERVER_ADDRESS": f"unix:path={site.station.directory / 'p11'}"}
    given = (
        "--slot-index",
        "0",
        "--sign",
        "-m",
        "SHA256-RSA-PKCS",
        "--id",
        AUTHENTICATION,
        "-i",
        data,
        "-o",
        "/dev/null",
    )
    with site.at_rest():
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(["pkcs11-tool", "--module", MODULES[0], *given], env=around, **quiet)  # type: ignore[call-overload]

        def dies(go: Go) -> bytes:
            process.kill()
            return go()

        site.meets(of(kind), dies)
        process.wait(10)


add(Listed.PROGRAM, "at INTERNAL AUTHENTICATE", partial(dies_in_a_call, kind=AUTHENTICATE), within=2, thrown=1)
add(Listed.PROGRAM, "at GET RESPONSE", partial(dies_in_a_call, kind=FETCH), within=2, thrown=1)


OTHERS_WORK = """
def ask(method, path, body, bearer=None):
    link = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + bearer} if bearer else {})}
    link.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = link.getresponse()
    told = json.loads(answer.read() or b"{}")
    link.close()
    return answer.status, told

def until(*asked):
    for _ in range(60):
        status, told = ask(*asked)
        if status < 300:
            return told
        time.sleep(0.2)
    sys.exit(str(told))

maker = {"name": "Autre", "vendor": "SIMULATION", "software_id": "other"}
secret = until("POST", "/v1/clients", maker)["client_secret"]
signed = number = 0
while not signed and number < 50:
    opened = until("POST", "/v1/sessions", {"method": "cpx", "card": sys.argv[2]}, secret)
    path, token, status = "/v1/sessions/" + opened["id"], opened["token"], 200
    while status == 200 and number < 50:
        body = {"document_name": f"{sys.argv[3]}-{number}", "digest": "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="}
        status, _ = ask("POST", path + "/signatures", body, token)
        signed += status == 200
        number += 1
print(signed)
"""


@fault(Listed.USERS, "both log in with one card, each ends the other's session", within=4, thrown=1)
def two_users(site: Site) -> None:
    """Let another user of the machine pair, log in, and sign until they are logged out."""
    name = new_name()
    card = str(site.knows_cards()[0]["id"])
    with other_users_agent(site.station.directory / "agent.sock", site.station.directory, PIN.encode()):
        asked = (str(site.station.daemon.port), card, name)
        signed = int(run(OTHERS_WORK, *asked, imports="import encodings.idna, http.client, json, time"))
    rows = site.audit.about(*(f"{name}-{number}" for number in range(50)))
    done = sum(row.entry.outcome is Outcome.DONE for row in rows)
    assert 0 < signed == done, f"the other user has {signed} signatures, and {done} rows"
