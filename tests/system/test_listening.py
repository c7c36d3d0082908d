"""The sockets that the daemon opens for itself: on this machine only, and never in another daemon's place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cardd.errors import AddressInUse, StateUnavailable
from cardd.system.listening import Listening, listen
from cardd.system.systemd import Inherited
from tests.rig.ports import free_port


class Listener:
    """Listens in a directory of its own until the test ends."""

    def __init__(self, directory: Path, opened: ExitStack) -> None:
        self.api, self.agents = directory / "cardd" / "cardd.sock", directory / "cardd" / "agent.sock"
        self._opened = opened

    def listen(self, inherited: Inherited | None = None, *, port: int = 0, https: int = 0) -> Listening:
        found = listen(inherited or Inherited(), port, self.api, self.agents, https=https)
        for one in (*found.api, *found.agents, *found.https):
            self._opened.enter_context(one)
        return found


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Listener]:
    with ExitStack() as opened:
        yield Listener(tmp_path, opened)


def test_the_api_is_on_both_loopback_families_and_on_the_unix_socket(here: Listener) -> None:
    four, six, unix = here.listen().api
    assert (four.getsockname()[0], six.getsockname()[0]) == ("127.0.0.1", "::1")
    assert four.getsockname()[1] == six.getsockname()[1]
    assert unix.getsockname() == str(here.api)


def test_every_user_may_connect_to_the_unix_sockets(here: Listener) -> None:
    here.listen()
    assert [path.stat().st_mode & 0o777 for path in (here.api, here.agents)] == [0o666, 0o666]


def test_a_socket_that_a_dead_daemon_left_is_replaced(here: Listener) -> None:
    for one in (found := here.listen()).api + found.agents:
        one.close()
    here.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(here.api))


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_socket_is_left_where_it_is(here: Listener, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("somebody's work")
    here.api.parent.mkdir()
    here.api.hardlink_to(tmp_path / "mine") if kind == "file" else here.api.symlink_to(tmp_path / "mine")
    with pytest.raises(StateUnavailable) as refused:
        here.listen()
    assert refused.value.params["file"] == str(here.api)
    assert here.api.read_text() == "somebody's work"


def test_a_daemon_that_listens_is_left_alone(here: Listener) -> None:
    here.listen()
    with pytest.raises(AddressInUse) as refused:
        here.listen()
    assert refused.value.params["address"] == str(here.api)


@pytest.mark.parametrize("family", [0, 1])
def test_a_port_that_another_program_has_is_told(here: Listener, family: int) -> None:
    address = ("127.0.0.1", "::1")[family]
    with socket.socket((socket.AF_INET, socket.AF_INET6)[family]) as other:
        other.bind((address, 0))
        other.listen()
        port: int = other.getsockname()[1]
        with pytest.raises(AddressInUse) as refused:
            here.listen(port=port)
    assert refused.value.params["address"] == f"{address}:{port}"


def test_a_directory_that_cannot_be_made_is_told(here: Listener) -> None:
    here.api.parent.write_text("a file where the directory should be")
    with pytest.raises(StateUnavailable) as refused:
        here.listen()
    assert refused.value.params["file"] == str(here.api)


def test_what_systemd_passed_is_not_opened_again(here: Listener) -> None:
    passed = here.listen()
    inherited = Inherited(passed.api[:2], passed.api[2:], passed.agents)
    assert here.listen(inherited) == passed


def test_what_systemd_passed_on_the_port_of_https_is_for_https(here: Listener) -> None:
    passed = here.listen(port=free_port(), https=free_port())
    https = passed.https[0].getsockname()[1]
    inherited = Inherited((*passed.api[:2], *passed.https), passed.api[2:], passed.agents)
    assert here.listen(inherited, https=https) == passed
