"""Who comes to the agents' socket: other users, strangers, too many; the desktop's own agent is served all the same."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from cardd.agent.server import AGENTS_MAX, AgentServer
from cardd.errors import PinFormat, PromptUnavailable
from tests.agent.desk import Desk
from tests.agent.questions import US
from tests.rig import other_user
from tests.rig.agent import OTHER_AGENT, agent_process, other_users_agent
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.waiting import eventually

GREETING = b"OK cardd-agent fr\n"

CROWD = """
links = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]
for link in links:
    link.connect(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):  # the daemon hangs up on those that are too many
        link.send(b"OK cardd-agent fr\\n")
sys.stdin.read()
"""


@pytest.fixture
def pinentry(tmp_path: Path) -> ScriptedPinentry:
    return ScriptedPinentry(tmp_path, pin="7319", reads=0)


class Visitor:
    """Something that connects and says what the test wants."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def come(self, says: bytes = b"") -> None:
        """Connect and say it."""
        self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        self._writer.write(says)

    async def is_sent_away(self) -> None:
        """Return once the other side has closed; it has said nothing."""
        with contextlib.suppress(ConnectionResetError):  # closed before it had read all
            assert await asyncio.wait_for(self._reader.read(), 10) == b""

    async def say(self, more: bytes) -> None:
        """Say more."""
        self._writer.write(more)
        await self._writer.drain()

    async def agree_until(self, command: bytes) -> str:
        """Say OK to each command up to this one, which is given."""
        while True:
            line = await asyncio.wait_for(self._reader.readline(), 10)
            await self.say(b"OK\n")
            if line.startswith(command):
                return line.decode()

    async def leave(self) -> None:
        """Close."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@other_user.needs_root
async def test_each_user_is_asked_by_their_own_agent_and_never_by_anothers(
    desk: Desk, pinentry: ScriptedPinentry, tmp_path: Path
) -> None:
    with other_users_agent(desk.path, tmp_path, b"2468") as shown:
        await desk.has(1, other_user.UID)
        assert desk.agents.waiting(US) == 0
        with pytest.raises(PromptUnavailable):
            await desk.ask()
        assert shown.read_text() == ""
        with agent_process(desk.path, pinentry.path):
            await desk.has(1)
            assert await desk.ask() == b"7319"
            assert shown.read_text() == ""
            assert await desk.ask(other_user.UID) == b"2468"
            assert "LPS de test" in shown.read_text()
            assert len(pinentry.shown()) == 1


@other_user.needs_root
async def test_no_other_program_of_the_user_looks_into_the_agent(desk: Desk, tmp_path: Path) -> None:
    program = tmp_path / "pinentry"
    other_user.open_to_everybody(tmp_path)
    with other_user.start(OTHER_AGENT, desk.path, program, imports="from cardd.cli.agent import main") as agent:
        await desk.has(1, other_user.UID)
        look = "try:\n    open(f'/proc/{sys.argv[1]}/mem')\nexcept PermissionError:\n    print('refused')"
        assert other_user.run(look, str(agent.pid)).strip() == "refused"
        agent.terminate()


@other_user.needs_root
async def test_a_pinentry_that_a_program_of_the_user_put_into_the_path_is_not_started(
    desk: Desk, pinentry: ScriptedPinentry, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = ScriptedPinentry(tmp_path / "theirs", pin="0000", reads=0)
    places = [tmp_path / name for name in ("users", "roots")]
    for place, program in zip(places, (theirs, pinentry), strict=True):
        place.mkdir()
        place.joinpath("pinentry").symlink_to(program.path)
    os.chown(places[0], other_user.UID, -1)
    with agent_process(desk.path, None, path=os.pathsep.join(map(str, places))):
        await desk.has(1)
        assert await desk.ask() == b"7319"


@other_user.needs_root
async def test_anothers_crowd_takes_no_place_of_ours(desk: Desk, pinentry: ScriptedPinentry, tmp_path: Path) -> None:
    other_user.open_to_everybody(tmp_path)
    with other_user.start(CROWD, desk.path, str(2 * AGENTS_MAX), imports="import contextlib, socket") as process:
        await desk.has(AGENTS_MAX, other_user.UID)
        with agent_process(desk.path, pinentry.path):
            await desk.has(1)
            assert await desk.ask() == b"7319"
        process.communicate()
    await desk.has(0, other_user.UID)


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"OK cardd-agent",
        b"\x00\xff\xfe\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OK Pleased to meet you\n",
        b"OK cardd-agents fr\n",
        b"ERR 1 no\n",
        b"OK " + b"A" * 5000,
    ],
    ids=["nothing", "half", "bytes", "http", "pinentry", "nearly", "error", "endless"],
)
async def test_a_stranger_is_sent_away_and_never_asked(desk: Desk, says: bytes) -> None:
    stranger = Visitor(desk.path)
    await stranger.come(says)
    await stranger.is_sent_away()
    assert desk.agents.waiting(US) == 0
    await stranger.leave()


async def test_a_process_that_the_daemon_started_is_nobodys_agent(desk: Desk) -> None:
    desk.children.add(os.getpid())
    visitor = Visitor(desk.path)
    await visitor.come(GREETING)
    await visitor.is_sent_away()
    assert desk.agents.waiting(US) == 0


async def test_an_agent_that_speaks_before_it_is_asked_is_sent_away(desk: Desk) -> None:
    hasty = Visitor(desk.path)
    await hasty.come(GREETING)
    await desk.has(1)
    await hasty.say(b"D 1234\nOK\n")
    await hasty.is_sent_away()
    assert desk.agents.waiting(US) == 0
    await hasty.leave()


@pytest.mark.parametrize("says", [b"OK cardd-agent tlh\n", b"OK cardd-agent\n", b"OK cardd-agent \xff\xfe {0} %s\n"])
async def test_a_language_that_we_do_not_speak_is_answered_in_french(desk: Desk, says: bytes) -> None:
    agent = Visitor(desk.path)
    await agent.come(says)
    await desk.has(1)
    asking = asyncio.ensure_future(desk.ask())
    assert "« LPS de test »" in await agent.agree_until(b"SETDESC")
    await agent.leave()
    with pytest.raises(PromptUnavailable):
        await asking


async def test_so_many_agents_of_one_user_and_no_more(desk: Desk) -> None:
    agents = [Visitor(desk.path) for _ in range(AGENTS_MAX)]
    for agent in agents:
        await agent.come(GREETING)
    await desk.has(AGENTS_MAX)
    further = Visitor(desk.path)
    await further.come(GREETING)
    await further.is_sent_away()
    await agents.pop().leave()
    await desk.has(AGENTS_MAX - 1)
    again = Visitor(desk.path)
    await again.come(GREETING)
    await desk.has(AGENTS_MAX)
    for agent in (*agents, further, again):
        await agent.leave()


async def test_strangers_who_say_nothing_count_among_the_many(desk: Desk) -> None:
    with ExitStack() as open_sockets:
        # at one go, so that none of them has been given up when the last one comes
        crowd = [open_sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(AGENTS_MAX + 1)]
        for stranger in crowd:
            stranger.connect(str(desk.path))
        crowd[-1].send(GREETING)
        crowd[-1].setblocking(False)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.get_running_loop().sock_recv(crowd[-1], 1) == b""
        assert desk.agents.waiting(US) == 0


async def test_strangers_who_say_nothing_hold_their_places_for_a_moment_only(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    crowd = [Visitor(desk.path) for _ in range(AGENTS_MAX)]
    for stranger in crowd:
        await stranger.come()
    with agent_process(desk.path, pinentry.path):
        for stranger in crowd:
            await stranger.is_sent_away()
            await stranger.leave()
        await desk.has(1)
        assert await desk.ask() == b"7319"


async def test_of_too_many_who_say_nothing_the_oldest_is_sent_away(tmp_path: Path, pinentry: ScriptedPinentry) -> None:
    desk = Desk(tmp_path)
    desk.silent_max, desk.greeting_timeout = 4, 60
    desk.start()
    crowd = [Visitor(desk.path) for _ in range(6)]
    for stranger in crowd:
        await stranger.come()
    for stranger in crowd[:2]:
        await stranger.is_sent_away()
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        assert await desk.ask() == b"7319"
    for stranger in crowd:
        await stranger.leave()
    await desk.stop()


async def test_an_agent_comes_to_a_daemon_with_more_than_a_thousand_open_files(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    with ExitStack() as many:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        many.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        while many.enter_context(socket.socket()).fileno() < 1100:
            pass
        with agent_process(desk.path, pinentry.path):
            await desk.has(1)
            assert await desk.ask() == b"7319"


async def test_agents_are_accepted_again_after_file_descriptors_ran_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as agent:
        with no_further_file():
            agent.connect(str(desk.path))
            agent.send(GREETING)
            await eventually(lambda: "no file descriptor was left" in caplog.text)
            assert desk.agents.waiting(US) == 0
        await desk.has(1)


@pytest.mark.parametrize(
    "says", [b"S x\n", b"# x\n", b"D 1\n", b"OK\nD x\n", b"S x\nOK\n"], ids=lambda says: says.decode()
)
async def test_an_agent_that_talks_without_end_freezes_nobody(desk: Desk, says: bytes) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as agent:
        agent.connect(str(desk.path))
        agent.send(GREETING)
        await desk.has(1)
        talker = threading.Thread(target=talk_without_end, args=(agent, says))
        talker.start()
        with pytest.raises((PromptUnavailable, PinFormat)):
            await asyncio.wait_for(desk.ask(), 10)
        talker.join()


@pytest.mark.parametrize("turns", range(4))
async def test_an_agent_that_comes_as_the_daemon_stops_is_hung_up_on(
    tmp_path: Path, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as agent:
        listener.bind(str(tmp_path / "agents"))
        listener.listen()
        agents = AgentServer()
        agents.start(listener)
        for _ in range(3):
            await asyncio.sleep(0)
        agent.connect(str(tmp_path / "agents"))
        for _ in range(turns):
            await asyncio.sleep(0)
        with warnings.catch_warnings(record=True) as lost:
            warnings.simplefilter("always")
            await agents.stop()
            await asyncio.sleep(0)
        assert lost == []
        assert caplog.records == []


def talk_without_end(agent: socket.socket, says: bytes) -> None:
    """Wait for the first question, then say this until the other side has hung up."""
    agent.recv(1, socket.MSG_PEEK)
    with contextlib.suppress(OSError):
        while True:
            agent.sendall(says * 10_000)


@contextmanager
def no_further_file() -> Iterator[None]:
    """Let this process open nothing inside the ``with``."""
    gc.collect()  # what is closed inside would give its number
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_who_has_no_agent_and_no_pinentry_cannot_be_asked_and_that_is_known_before(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.start()
    with pytest.raises(PromptUnavailable):
        desk.dialogs.ensure_reachable(other_user.UID)
    desk.dialogs.ensure_reachable(US)  # by a pinentry of the daemon's own
    with agent_process(desk.path, "/bin/false"):
        await desk.has(1)
        async with desk.agents.conversation(US):
            desk.dialogs.ensure_reachable(US)
            assert desk.agents.has_agent(US)
    await eventually(lambda: not desk.agents.has_agent(US))
    await desk.stop()
