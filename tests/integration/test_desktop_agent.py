"""The daemon as it is installed: a service without a desktop, whose dialogs the agents of the desktops show."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic

import pytest

from cardd.system.audit_file import AuditReader
from tests.integration.workstation import LPS, Session, Workstation, expect, problem, text, wait_until
from tests.rig.agent import agent_process, other_users_agent
from tests.rig.lps import Json, Lps
from tests.rig.openssl import verifies
from tests.rig.other_user import needs_root, run
from tests.rig.simulator import PIN, simulated_card

DOCUMENT = "Compte rendu opératoire, SIMULATION".encode()
SIGN: Json = {"document_name": "cr.txt", "document": base64.b64encode(DOCUMENT).decode()}


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """Yield a workstation whose daemon has no pinentry: `workstation.pinentry` is what the desktop's agent starts."""
    with of_desktops(Workstation(tmp_path)) as workstation:
        yield workstation


@contextmanager
def of_desktops(workstation: Workstation) -> Iterator[Workstation]:
    """Run it so."""
    configuration = workstation.daemon.configuration
    settings = configuration.read_text().replace(str(workstation.pinentry.path), "/bin/false")
    settings = settings.replace("[prompt]\n", '[prompt]\nagents = "any"\n')  # of what root installed: tests/agent
    configuration.write_text(settings + '[access]\nowners = ["nobody"]\n')
    with workstation.running():
        yield workstation


def agents(workstation: Workstation) -> Path:
    """The agents' socket."""
    return workstation.daemon.socket.with_name("agent.sock")


def pair(workstation: Workstation) -> Lps:
    """A paired program, once the agent has come."""
    answered: list[tuple[int, Json]] = []

    def is_asked() -> bool:
        answered.append(workstation.lps().call("POST", "/v1/clients", LPS))
        return answered[-1][0] != 503

    wait_until(is_asked)
    return workstation.lps(text(expect(201, answered[-1]), "client_secret"))


def judge(directory: Path, signed: Json) -> None:
    """openssl finds the document signed."""
    certificate, signature = (base64.b64decode(text(signed, name)) for name in ("certificate", "signature"))
    assert verifies(directory, certificate, signature, DOCUMENT)


def sign(workstation: Workstation, session: Session) -> None:
    judge(workstation.directory, expect(200, session.lps.call("POST", f"{session.path}/signatures", SIGN)))


def test_a_login_and_a_signature_are_asked_for_on_the_desktop(workstation: Workstation) -> None:
    problem(503, "prompt.unavailable", workstation.lps().call("POST", "/v1/clients", LPS))
    with agent_process(agents(workstation), workstation.pinentry.path), workstation.card(simulated_card()):
        session = workstation.log_in(pair(workstation))
        sign(workstation, session)
        session.close()
    paired, login, signature = workstation.pinentry.shown()
    assert "SIMULATION" in paired.description
    assert "« LPS » demande d'ouvrir une session avec votre carte." in login.description
    assert "Document : « cr.txt »" in signature.description
    assert (paired.kind, login.kind, signature.kind) == ("confirm", "pin", "confirm")


def test_the_desktop_is_told_of_a_card_that_comes_in(workstation: Workstation) -> None:
    with socket.socket(socket.AF_UNIX) as desktop, desktop.makefile("rb") as told:
        desktop.connect(str(agents(workstation)))
        desktop.sendall(b"OK cardd-agent-notices fr\n")

        def hears_of_a_card() -> bool:
            with workstation.card(simulated_card()):
                return bool(select([desktop], [], [], 1)[0])

        wait_until(hears_of_a_card)  # the daemon may not know this desktop yet
        heard = json.loads(told.readline())
    assert (heard["topic"], heard["params"]["card"]) == ("card_in", "CPS3")


def test_the_pin_is_changed_from_the_tray_in_dialogs_that_name_the_agent(workstation: Workstation) -> None:
    with (
        agent_process(agents(workstation), workstation.pinentry.path, only="dialogs"),
        workstation.card(simulated_card()),
    ):
        lps = pair(workstation)
        with socket.socket(socket.AF_UNIX) as tray, tray.makefile("rb") as told:
            tray.connect(str(agents(workstation)))
            tray.sendall(b"OK cardd-agent-tray fr\n")
            states = (json.loads(line)["state"] for line in told)
            [card] = next(state["cards"] for state in states if state["cards"])
            workstation.pinentry.answer(f"pin:{PIN.decode()}", "pin:4826", "pin:4826")
            tray.sendall(f"PIN {card['id']}\n".encode())
            assert json.loads(told.readline()) == {"done": "PIN"}
            workstation.pinentry.answer("pin:4826")
            workstation.log_in(lps)
            [session] = json.loads(told.readline())["state"]["sessions"]
            assert (session["client"], session["state"]) == ("LPS", "active")
    dialogs = [shown for shown in workstation.pinentry.shown() if shown.kind == "pin"]
    assert len(dialogs) == 4
    assert "« cardd-agent » demande à changer le code porteur" in dialogs[0].description


def test_the_dialog_of_a_program_that_hung_up_leaves_the_desktop_to_the_next_one(workstation: Workstation) -> None:
    with agent_process(agents(workstation), workstation.pinentry.path), workstation.card(simulated_card()):
        lps = pair(workstation)
        workstation.pinentry.answer("hang")
        body = json.dumps({"method": "cpx"}).encode()
        with socket.create_connection(("127.0.0.1", workstation.daemon.port)) as connection:
            head = f"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1:{workstation.daemon.port}\r\n"
            head += f"Authorization: Bearer {lps.credential}\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_until(lambda: len(workstation.pinentry.shown()) == 2)
        began = monotonic()
        sign(workstation, workstation.log_in(lps))
        assert monotonic() - began < 15  # a dialog stays for 20 s


def test_a_second_agent_is_refused_told_to_the_user_and_recorded(workstation: Workstation) -> None:
    with agent_process(agents(workstation), workstation.pinentry.path):
        pair(workstation)
        with socket.socket(socket.AF_UNIX) as squatter:
            squatter.connect(str(agents(workstation)))
            squatter.sendall(b"OK cardd-agent fr\n")
            assert squatter.recv(3) == b"ERR"
        wait_until(lambda: len(workstation.pinentry.shown()) == 2)
    told = workstation.pinentry.shown()[-1]
    assert (told.kind, f"processus {os.getpid()}" in told.description) == ("message", True)
    rows = [
        (row.entry.outcome.value, row.entry.code, row.entry.uid)
        for row in AuditReader(workstation.daemon.state / "audit").tail(20)
        if row.entry.action == "agent.register"
    ]
    assert rows == [("done", None, os.getuid()), ("refused", "agent.refused", os.getuid())]


def test_after_a_wrong_pin_the_desktop_is_asked_again_at_once(workstation: Workstation) -> None:
    with agent_process(agents(workstation), workstation.pinentry.path), workstation.card(simulated_card()):
        lps = pair(workstation)
        workstation.pinentry.answer("pin:9999")
        sign(workstation, workstation.log_in(lps))
    first, second = (shown for shown in workstation.pinentry.shown() if shown.kind == "pin")
    assert (first.error, second.error) == ("", "Code faux. Essais restants : 2.")


def test_digits_that_were_typed_for_another_window_cost_no_try(tmp_path: Path) -> None:
    workstation = Workstation(tmp_path, is_read=True)
    pinentry = workstation.pinentry
    with (
        of_desktops(workstation),
        agent_process(agents(workstation), pinentry.path),
        workstation.card(simulated_card()),
    ):
        lps = pair(workstation)
        pinentry.answer(*["early:9999"] * 4)  # one more than the refusals that a program may have
        sign(workstation, workstation.log_in(lps))
    asked = [shown for shown in pinentry.shown() if shown.kind == "pin"]
    assert ["rien n'a été envoyé" in shown.error for shown in asked] == [False, True, True, True, True]
    assert all("Essais restants : 3." in shown.description for shown in asked)


def test_the_agent_finds_the_daemon_again_after_its_restart(workstation: Workstation) -> None:
    with agent_process(agents(workstation), workstation.pinentry.path), workstation.card(simulated_card()):
        pair(workstation)
        workstation.daemon.stop()
        workstation.daemon.start()
        workstation.wait_for_cards(1)
        sign(workstation, workstation.log_in(pair(workstation)))


def test_a_dialog_that_the_user_kills_is_told_and_the_next_one_serves(workstation: Workstation) -> None:
    with agent_process(agents(workstation), workstation.pinentry.path), workstation.card(simulated_card()):
        lps = pair(workstation)
        workstation.pinentry.answer("crash")
        problem(503, "prompt.unavailable", lps.call("POST", "/v1/sessions", {"method": "cpx"}))
        sign(workstation, workstation.log_in(lps))


CALLS = """
def call(path, bearer, body):
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + bearer} if bearer else {})
    link = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    link.request("POST", path, json.dumps(body), headers)
    answer = link.getresponse()
    return answer.status, json.loads(answer.read())

status = 503
while status == 503:  # until the agent has come
    time.sleep(0.02)
    status, paired = call("/v1/clients", None, json.loads(sys.argv[2]))
_, session = call("/v1/sessions", paired["client_secret"], {"method": "cpx"})
_, signed = call("/v1/sessions/%s/signatures" % session["id"], session["token"], json.loads(sys.argv[3]))
print(json.dumps(signed))
"""


@needs_root
def test_another_user_takes_the_card_over_and_signs_with_an_agent_of_their_own(workstation: Workstation) -> None:
    with (
        workstation.card(simulated_card()),
        agent_process(agents(workstation), workstation.pinentry.path),
        other_users_agent(agents(workstation), workstation.directory, PIN) as shown,
    ):
        left = workstation.log_in(pair(workstation))
        shown_before = len(workstation.pinentry.shown())
        port = str(workstation.daemon.port)
        modules = "import encodings.idna, http.client, json, time"
        printed = run(CALLS, port, json.dumps(LPS), json.dumps(SIGN), imports=modules)
        judge(workstation.directory, json.loads(printed))
        told = shown.read_text()
        assert "« cr.txt »" in told
        assert "Un autre utilisateur de cet ordinateur se sert de cette carte" in told
        ended = problem(401, "session.closed", left.ask_to_sign())
        assert "autre utilisateur" in text(ended, "detail")
    assert len(workstation.pinentry.shown()) == shown_before
