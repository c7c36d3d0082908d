"""Remote desktops: readers that only a session's own PC/SC knows, which its agent lends for its own user alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from cardd.cli.doctor.surroundings import Surroundings
from tests.cli.doctor import code
from tests.integration.test_pin_leaks import PIN, found_in_memory
from tests.integration.test_second_user import as_other_user
from tests.integration.workstation import Workstation, text, wait_until
from tests.rig.agent import agent_process
from tests.rig.other_user import needs_root
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import plugged, simulated_card

LENT = '[access]\nlent_readers = true\nowners = ["nobody"]\n'  # who may use this machine's readers, and not these


class RemoteDesktop:
    """A session with a PC/SC of its own, beside a workstation whose own PC/SC has nothing of it."""

    def __init__(self, directory: Path, extra: str = LENT) -> None:
        (directory / "session").mkdir()
        self.pcscd = Pcscd(directory / "session", name="Redirected")
        self.workstation = Workstation(directory, extra=extra, pin=PIN)
        self.agents = self.workstation.daemon.socket.with_name("agent.sock")
        configuration = self.workstation.daemon.configuration
        settings = configuration.read_text().replace("[prompt]\n", '[prompt]\nagents = "any"\n')
        configuration.write_text(settings)

    @contextmanager
    def running(self) -> Iterator[RemoteDesktop]:
        self.pcscd.start()
        try:
            with self.workstation.running():
                yield self
        finally:
            self.pcscd.stop()

    @contextmanager
    def agent(self) -> Iterator[Popen[bytes]]:
        pinentry = self.workstation.pinentry.path
        with agent_process(self.agents, pinentry, environment=self.pcscd.environment) as process:
            yield process

    @property
    def readers(self) -> list[str]:
        told = self.workstation.local("/v1/readers").get("readers", [])
        assert isinstance(told, list)
        return [reader["name"] for reader in told if "Redirected" in reader["name"]]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteDesktop]:
    with RemoteDesktop(tmp_path).running() as remote:
        yield remote


def doctor(remote: RemoteDesktop) -> str:
    """What doctor finds in the session, where the service is another user's."""
    daemon = remote.workstation.daemon
    os.chown(daemon.socket, 65534, 65534)
    session = Surroundings(config_file=daemon.configuration, base=daemon.socket, environment=remote.pcscd.environment)
    found = asyncio.run(code("lending", session))
    os.chown(daemon.socket, 0, 0)
    return found


@needs_root
def test_a_reader_is_lent_to_its_own_user_until_the_agent_leaves(remote: RemoteDesktop) -> None:
    workstation = remote.workstation
    with remote.agent() as agent, plugged(simulated_card(pin=PIN.encode()), remote.pcscd.ports[0]):
        [card] = workstation.wait_for_cards(1)
        assert card["reader"] == "Redirected 0 00 00 (remote desktop 1)"
        assert doctor(remote) == "lending.ok"
        session = workstation.log_in()
        session.sign()
        assert found_in_memory(agent.pid, PIN) == []
        assert len(found_in_memory(workstation.daemon.pid, PIN)) == 1  # that is held
        asked = [("GET", path, None, None) for path in ("/v1/readers", "/v1/cards")]
        others = as_other_user(workstation, "unix", *asked)
        assert [status for status, _ in others] == [200, 200]
        assert not any(name in json.dumps(others) for name in ("Redirected", text(card, "id")))

        agent.send_signal(signal.SIGKILL)
        wait_until(lambda: workstation.cards() == [] and remote.readers == [])
        assert session.ask_to_sign()[0] == 401
    with remote.agent(), plugged(simulated_card(pin=PIN.encode()), remote.pcscd.ports[1]) as seat:
        # its pcscd may take a moment to see that the other reader's card has gone
        wait_until(lambda: ["00 01" in text(card, "reader") for card in workstation.cards()] == [True])
        session = workstation.log_in()
        seat.stop()
        workstation.wait_for_cards(0)
        assert session.lps.call("GET", session.path)[0] == 401
    assert PIN not in workstation.daemon.log.read_text()
