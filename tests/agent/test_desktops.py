"""One agent for each desktop of a user, the installed one; who is asked where a user has several."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardd.errors import PromptUnavailable
from cardd.system.desktops import KnownDesktops, runs_installed, session_of
from cardd.system.logind import Desktops
from tests.agent.desk import Desk
from tests.agent.questions import US
from tests.rig.agent import agent_process
from tests.rig.other_user import needs_root, open_to_everybody, run
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.waiting import eventually

LOCAL, REMOTE = "1", "c7"


class TwoDesktops:
    """What the system tells of a user's two desktops: which processes are in the remote one, which are no agents."""

    def __init__(self) -> None:
        self.remote: set[int] = set()
        self.strangers: set[int] = set()
        self.shown = {LOCAL}

    async def settle(self) -> None:
        """All is known."""

    def desktop_of(self, _uid: int, pid: int) -> str:
        """The desktop of a process."""
        return REMOTE if pid in self.remote else LOCAL

    def is_shown(self, desktop: str) -> bool:
        """Whether it is on the screen."""
        return desktop in self.shown

    def is_installed_agent(self, _uid: int, pid: int) -> bool:
        """Whether this is the agent that root installed."""
        return pid not in self.strangers


@pytest.fixture
def two() -> TwoDesktops:
    return TwoDesktops()


@pytest.fixture
async def desk(tmp_path: Path, two: TwoDesktops) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, desktops=two)
    desk.start()
    yield desk
    await desk.stop()


def pinentries(directory: Path) -> tuple[ScriptedPinentry, ScriptedPinentry]:
    """The two desktops' own."""
    found = []
    for name, pin in (("local", "1111"), ("remote", "2222")):
        (directory / name).mkdir()
        found.append(ScriptedPinentry(directory / name, pin=pin, reads=0))
    return found[0], found[1]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Keep a process from connecting meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_each_desktop_of_a_user_has_its_agent_and_the_one_on_the_screen_is_asked(
    desk: Desk, two: TwoDesktops, tmp_path: Path
) -> None:
    local, remote = pinentries(tmp_path)
    with agent_process(desk.path, local.path):
        await desk.has(1)
        with agent_process(desk.path, remote.path) as second:
            with frozen(second.pid):
                two.remote.add(second.pid)
            await desk.has(2)
            assert await desk.ask() == b"1111"
            two.shown = {REMOTE}
            await desk.has(2)
            assert await desk.ask() == b"2222"
            two.shown = set()
            await desk.has(2)
            assert await desk.ask() in (b"1111", b"2222")  # where an agent came last
    assert desk.refused == []


async def test_a_second_agent_of_one_desktop_is_refused_whatever_the_other_desktop_has(
    desk: Desk, two: TwoDesktops, tmp_path: Path
) -> None:
    local, remote = pinentries(tmp_path)
    with agent_process(desk.path, local.path) as first, agent_process(desk.path, remote.path) as second:
        two.remote.add(second.pid)
        await eventually(lambda: desk.agents.waiting(US) == 2)
        with agent_process(desk.path, remote.path) as third:
            await eventually(lambda: bool(desk.refused))
            assert (desk.refused[-1].pid, desk.refused[-1].is_stranger) == (third.pid, False)
        assert desk.agents.waiting(US) == 2
        assert first.poll() is None


async def test_a_program_that_is_not_the_installed_agent_takes_no_place_though_it_came_first(
    desk: Desk, two: TwoDesktops, tmp_path: Path
) -> None:
    local, other = pinentries(tmp_path)
    with agent_process(desk.path, other.path) as squatter:
        with frozen(squatter.pid):
            two.strangers.add(squatter.pid)
        await eventually(lambda: len(other.shown()) == 1)
        assert "prompt.agents" in other.shown()[0].description
        with pytest.raises(PromptUnavailable):
            await desk.ask()
        with agent_process(desk.path, local.path):
            await desk.has(1)
            assert await desk.ask() == b"1111"


# --- what the system tells of a process ---

AGENT = "#!/usr/bin/python3\nimport time\nprint(flush=True)\ntime.sleep(60)\n"
PYTHON = "/usr/bin/python3"


def installed_in(directory: Path, name: str = "cardd-agent") -> Path:
    directory.mkdir(exist_ok=True)
    script = directory / name
    script.write_text(AGENT)
    script.chmod(0o755)
    return script


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    with subprocess.Popen(list(command), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@needs_root
def test_the_installed_agent_is_known_by_its_command_line(tmp_path: Path) -> None:
    script, other = installed_in(tmp_path / "root"), installed_in(tmp_path / "root", "other")
    planted = installed_in(tmp_path / "anybody")
    planted.parent.chmod(0o777)
    taken: list[tuple[str | Path, ...]] = [
        (script,),
        (PYTHON, "-I", script),
        (PYTHON, "-sE", "-P", script),
        (script, "--socket", "/x"),
        (script, "--pinentry", "/usr/bin/env"),
    ]
    refused: list[tuple[str | Path, ...]] = [
        (planted,),
        (other,),
        (PYTHON, other, script),
        (PYTHON, "-c", AGENT, "cardd-agent"),
        (PYTHON, "-X", "dev", script),
        (script, "--pinentry", planted),
        (script, f"--pinentry={planted}"),
        (script, "--pin", planted),
        (script, "--pinentry"),
    ]
    told = []
    for command in (*taken, *refused):
        with running(*command) as pid:
            told.append(runs_installed("cardd-agent", pid))
    assert told == [True] * len(taken) + [False] * len(refused)


@needs_root
def test_a_service_of_another_user_sees_as_much_of_the_agent(tmp_path: Path) -> None:
    script, planted = installed_in(tmp_path / "root"), installed_in(tmp_path / "anybody")
    (tmp_path / "root").chmod(0o755)
    open_to_everybody(planted.parent)
    look = "print([runs_installed('cardd-agent', int(pid)) for pid in sys.argv[1:]])"
    imports = "from cardd.system.desktops import runs_installed"
    with running(script) as one, running(planted) as other:
        assert run(look, str(one), str(other), imports=imports).strip() == "[True, False]"


@pytest.mark.parametrize(
    ("cgroup", "session"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "3"),
        ("0::/user.slice/user-1000.slice/session-c7.scope/more\n", "c7"),
        ("12:cpu:/\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n", "3"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/cardd-agent.service\n", None),
        # what the user may make in the part of the tree that is the user's own
        ("0::/user.slice/user-1000.slice/user@1000.service/session-3.scope\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/user.slice/user-1001.slice/session-3.scope\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_a_session_is_told_by_the_scope_that_logind_made(tmp_path: Path, cgroup: str, session: str | None) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "cgroup").write_text(cgroup)
    assert session_of(tmp_path / "77", 1000) == session
    known = KnownDesktops(is_any_agent=False, proc=tmp_path)
    known.changed(Desktops(sessions={"3": 1000, "2": 1000}, main={1000: "2"}))
    assert known.desktop_of(1000, 77) == ("3" if session == "3" else "2")


def test_without_logind_a_user_has_one_desktop() -> None:
    known = KnownDesktops(is_any_agent=False)
    known.changed(None)
    assert known.desktop_of(US, os.getpid()) == ""
    assert known.is_installed_agent(os.geteuid(), os.getpid())
    assert not known.is_installed_agent(os.geteuid() + 1, os.getpid())
