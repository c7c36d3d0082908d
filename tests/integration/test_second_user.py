"""Rule 6: another OS user of the machine has nothing of the first one's, whatever secrets they have come by."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.integration.workstation import DIGEST, LPS, Session, Workstation, text, wait_until
from tests.rig.logind import Bus, SimulatedLogind
from tests.rig.lps import Json, UnixConnection
from tests.rig.other_user import UID, needs_root, open_to_everybody, run
from tests.rig.simulator import simulated_card

pytestmark = needs_root

CALLS = """
def connection(where, port, path):
    if where == "unix":
        found = http.client.HTTPConnection("localhost", timeout=20)
        found.sock = socket.socket(socket.AF_UNIX)
        found.sock.connect(path)
        return found
    return http.client.HTTPConnection(where, port, timeout=20)

answers = []
for where, method, target, bearer, body in json.loads(sys.argv[3]):
    link = connection(where, int(sys.argv[1]), sys.argv[2])
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if bearer:
        headers["Authorization"] = "Bearer " + bearer
    link.request(method, target, json.dumps(body) if body is not None else None, headers)
    answer = link.getresponse()
    answers.append([answer.status, json.loads(answer.read() or b"{}")])
    link.close()
print(json.dumps(answers))
"""

Request = tuple[str, str, str | None, Json | None]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


WAYS = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")),
    "unix",
]


def as_other_user(workstation: Workstation, way: str, *requests: Request) -> list[tuple[int, Json]]:
    """Make these calls as the second user; status and answer of each."""
    open_to_everybody(workstation.directory)
    asked = json.dumps([(way, *request) for request in requests])
    where = (str(workstation.daemon.port), workstation.daemon.socket)
    told = run(CALLS, *where, asked, imports="import encodings.idna, http.client, json, socket")
    return [(status, answer) for status, answer in json.loads(told)]


def codes(answers: list[tuple[int, Json]]) -> list[tuple[int, object]]:
    return [(status, answer.get("code")) for status, answer in answers]


@pytest.mark.parametrize("way", WAYS)
def test_a_stolen_secret_or_token_is_worth_nothing_to_another_user(workstation: Workstation, way: str) -> None:
    with workstation.card(simulated_card()):
        lps = workstation.pair()
        session = workstation.log_in(lps)
        cards = f"/v1/cards/{workstation.cards()[0]['id']}/certificates"
        secret, token = lps.credential, session.lps.credential
        dialogs = len(workstation.pinentry.shown())
        sign: Json = {"document_name": "stolen", "digest": DIGEST}
        with_secret = as_other_user(
            workstation,
            way,
            ("GET", "/v1/readers", secret, None),
            ("GET", "/v1/events", secret, None),
            ("GET", cards, secret, None),
            ("POST", "/v1/sessions", secret, {"method": "cpx"}),
            ("DELETE", f"/v1/clients/{client_id(workstation)}", secret, None),
        )
        with_token = as_other_user(
            workstation,
            way,
            ("GET", session.path, token, None),
            ("POST", f"{session.path}/signatures", token, sign),
            ("POST", f"{session.path}/auth-tokens", token, {"nonce": "A" * 44}),
            ("DELETE", session.path, token, None),
        )
        assert codes(with_secret) == [(401, "client.unknown")] * 5
        assert codes(with_token) == [(401, "session.unknown")] * 4
        assert len(workstation.pinentry.shown()) == dialogs
        session.sign()


@pytest.mark.parametrize("way", WAYS)
def test_a_pairing_is_fetched_by_its_own_user_only(workstation: Workstation, way: str) -> None:
    place = ask_to_pair(workstation)
    [answered] = as_other_user(workstation, way, ("GET", place, None, None))
    assert codes([answered]) == [(404, "client.pairing_not_found")]
    assert "client_secret" not in answered[1]


def test_on_the_unix_socket_another_user_sees_and_ends_nothing(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        session: Session = workstation.log_in()
        answers = as_other_user(
            workstation,
            "unix",
            ("GET", "/v1/sessions", None, None),
            ("GET", "/v1/clients", None, None),
            ("GET", session.path, None, None),
            ("DELETE", session.path, None, None),
            ("DELETE", f"/v1/clients/{client_id(workstation)}", None, None),
        )
        assert answers[0] == (200, {"sessions": []})
        assert answers[1] == (200, {"clients": []})
        assert codes(answers[2:]) == [(401, "session.unknown"), (401, "session.unknown"), (404, "client.not_found")]
        session.sign()


@pytest.mark.parametrize("way", WAYS)
def test_another_users_pairing_never_asks_the_first_user(workstation: Workstation, way: str) -> None:
    [answered] = as_other_user(workstation, way, ("POST", "/v1/clients", None, LPS))
    assert codes([answered]) == [(503, "prompt.unavailable")]
    assert workstation.pinentry.shown() == []


@pytest.mark.parametrize("way", WAYS)
def test_another_user_reaches_no_reader_and_no_card(workstation: Workstation, way: str) -> None:
    with workstation.card(simulated_card()):
        card = f"/v1/cards/{workstation.cards()[0]['id']}"
        answers = as_other_user(
            workstation,
            way,
            ("GET", "/v1/readers", None, None),
            ("GET", "/v1/cards?pin=true", None, None),
            *(("POST", f"{card}/{act}", None, {}) for act in ("pin-changes", "pin-unblocks") for _ in range(2)),
        )
        refused = (403, "reader.not_yours") if way == "unix" else (401, "client.unknown")
        assert codes(answers) == [refused] * 6
        [seen] = cast(list[Json], workstation.local("/v1/cards?pin=true")["cards"])
        assert cast(Json, seen["pin"])["tries_left"] == 3


@pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="dbus is not installed")
def test_the_readers_go_with_the_screen_from_user_to_user(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.start()
    with logind_in_a_thread(bus.address, {"1": os.getuid(), "2": UID}, active="2") as switch:
        workstation = Workstation(tmp_path, environment={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        with workstation.running(), workstation.card(simulated_card()):
            asked = ("GET", "/v1/cards", None, None)
            assert codes(as_other_user(workstation, "unix", asked)) == [(200, None)]
            switch("1")
            wait_until(lambda: as_other_user(workstation, "unix", asked)[0][0] == 403)
            switch("2")
            wait_until(lambda: as_other_user(workstation, "unix", asked)[0][0] == 200)
    bus.stop()


@contextmanager
def logind_in_a_thread(address: str, sessions: dict[str, int], active: str) -> Iterator[Callable[[str], None]]:
    """Yield what shows another session on the screen."""
    loop = asyncio.new_event_loop()
    logind = SimulatedLogind(address, sessions)
    logind.active = active
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run_there(work: Coroutine[object, object, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    run_there(logind.__aenter__())
    try:
        yield lambda session: run_there(logind.switch(session))
    finally:
        run_there(logind.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def client_id(workstation: Workstation) -> str:
    [listed] = cast(list[Json], workstation.local("/v1/clients")["clients"])
    return text(listed, "id")


def ask_to_pair(workstation: Workstation) -> str:
    """Where the first user's program fetches its secret, which is ready there."""
    with closing(UnixConnection(workstation.daemon.socket)) as link:
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        link.request("POST", "/v1/clients", json.dumps(LPS), headers)
        answer = link.getresponse()
        answer.read()
        place = answer.headers["Location"]
    wait_until(lambda: "client_secret" in workstation.local(place))
    return place
