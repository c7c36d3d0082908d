"""Who sits at the machine, over a real bus with a simulated logind; the accounts where nobody tells."""

from __future__ import annotations

import asyncio
import pwd
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from cardd.system.logind import Desktops, Logind
from cardd.system.people import Accounts
from tests.rig.logind import PROPERTIES, SEAT, SEAT_PATH, Bus, SimulatedLogind
from tests.rig.waiting import eventually

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="dbus is not installed")

DOCTOR, OTHER = 1000, 1001


@pytest.fixture
async def logind(bus: Bus) -> AsyncIterator[SimulatedLogind]:
    async with SimulatedLogind(bus.address, {"1": DOCTOR, "2": OTHER}) as logind:
        logind.active = "1"
        yield logind


class Seated:
    """A running watch, and what it told last; it had told nothing while ``told`` is empty."""

    def __init__(self, address: str) -> None:
        self.told: list[Desktops | None] = []
        self.watch = Logind(lambda _kind, _uid: None, self.told.append, address=address, pause=0.01)

    async def has(self, *uids: int) -> Desktops:
        """Return what was told, once these users sit at the machine."""
        await eventually(lambda: bool(self.told) and self.told[-1] is not None and self.told[-1].seated == set(uids))
        assert self.told[-1] is not None
        return self.told[-1]


@pytest.fixture
async def seated(bus: Bus) -> AsyncIterator[Seated]:
    seated = Seated(bus.address)
    await seated.watch.start()
    yield seated
    await seated.watch.stop()


async def test_the_user_of_the_active_session_sits_there(logind: SimulatedLogind, seated: Seated) -> None:
    desktops = await seated.has(DOCTOR)
    assert desktops == Desktops(
        frozenset({DOCTOR}), {"1": DOCTOR, "2": OTHER}, frozenset({"1"}), {DOCTOR: "1", OTHER: "2"}
    )


async def test_a_switch_of_users_is_told(logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    await logind.switch("2")
    await seated.has(OTHER)
    await logind.switch(None)  # between two sessions, or with a greeter that logind does not count
    await seated.has()


async def test_a_user_is_away_whose_desktops_are_all_locked(logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    await logind.log_in("3", DOCTOR)
    await logind.hint("1", locked=True)
    await eventually(lambda: seated.told[-1] is not None and seated.told[-1].locked == {"1"})
    assert seated.told[-1] is not None
    assert seated.told[-1].away == frozenset()
    await logind.hint("3", locked=True)
    await eventually(lambda: seated.told[-1] is not None and seated.told[-1].away == {DOCTOR})
    await logind.hint("1", locked=False)
    await eventually(lambda: seated.told[-1] is not None and not seated.told[-1].away)


async def test_a_greeter_is_nobody(logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    logind.sessions["9"], logind.greeters = 117, {"9"}
    await logind.switch("9")
    await seated.has()


async def test_a_remote_session_is_on_no_screen_here(logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    logind.remote = {"5"}
    await logind.log_in("5", OTHER)
    await eventually(lambda: seated.told[-1] is not None and "5" in seated.told[-1].sessions)
    await seated.has(DOCTOR)
    await logind.switch("5")  # a seat that shows a remote session is none of ours
    await seated.has()


async def test_the_end_of_a_session_and_of_its_desktop_is_told(logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    logind.texts = {"2"}
    await logind.log_in("3", DOCTOR)
    await eventually(lambda: seated.told[-1] is not None and seated.told[-1].sessions == {"1": DOCTOR, "3": DOCTOR})
    assert seated.told[-1] is not None
    assert seated.told[-1].main == {DOCTOR: "1"}
    logind.active = "3"
    await logind.log_out("1")
    await eventually(
        lambda: seated.told[-1] == Desktops(frozenset({DOCTOR}), {"3": DOCTOR}, frozenset({"3"}), {DOCTOR: "3"})
    )


async def test_a_switch_that_logind_could_not_tell_of_at_once_is_asked_for_again(
    logind: SimulatedLogind, seated: Seated
) -> None:
    await seated.has(DOCTOR)
    logind.faults = 3
    await logind.switch("2")
    await seated.has(OTHER)


async def test_another_program_of_the_bus_seats_nobody(bus: Bus, logind: SimulatedLogind, seated: Seated) -> None:
    await seated.has(DOCTOR)
    told = len(seated.told)
    logind.active = "2"  # what would be learned if the signal counted
    other = await MessageBus(bus.address).connect()
    changed = Message.new_signal(SEAT_PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", [SEAT, {}, ["ActiveSession"]])
    await other.send(changed)
    await other.call(Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"))
    await asyncio.sleep(0.1)
    assert len(seated.told) == told
    other.disconnect()


async def test_who_sat_there_does_so_while_logind_restarts(bus: Bus, seated: Seated) -> None:
    await eventually(lambda: seated.told == [None])
    async with SimulatedLogind(bus.address, {"1": DOCTOR}) as logind:
        logind.active = "1"
        await seated.has(DOCTOR)
    async with SimulatedLogind(bus.address, {"1": DOCTOR, "2": OTHER}) as logind:
        logind.active = "2"
        await seated.has(OTHER)
    assert None not in seated.told[1:]


async def test_without_a_bus_nobody_tells(tmp_path: Path) -> None:
    seated = Seated(f"unix:path={tmp_path}/absent")
    await seated.watch.start()
    await eventually(lambda: seated.told == [None])
    await seated.watch.stop()


# --- the accounts ---

SYSTEM = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/sh\n"
)
MARTIN = "martin:x:1000:1000:Dr Martin:/srv/martin:/bin/bash\n"


@pytest.mark.parametrize(
    ("accounts", "alone"),
    [
        (SYSTEM, None),
        (SYSTEM + MARTIN, 1000),
        (SYSTEM + MARTIN + "backup2:x:1001:1001::/srv/b:/usr/sbin/nologin\n", 1000),
        (SYSTEM + MARTIN + "secretariat:x:1001:1001::/srv/s:/bin/bash\n", None),
        (SYSTEM + MARTIN + "# +::::::\n+@doctors\n", 1000),
    ],
    ids=["nobody", "one", "one who logs in", "two", "lines that are none"],
)
def test_the_only_person_with_an_account_is_found(tmp_path: Path, accounts: str, alone: int | None) -> None:
    (tmp_path / "passwd").write_text(accounts)
    assert Accounts(tmp_path / "passwd").only_one() == alone


def test_a_name_is_asked_for_once_and_a_missing_one_seldom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def getpwnam(name: str) -> pwd.struct_passwd:
        asked.append(name)
        return pwd.getpwuid({"root": 0}[name])

    monkeypatch.setattr("cardd.system.people.pwd.getpwnam", getpwnam)
    accounts = Accounts(tmp_path / "absent")
    found = [accounts.uid(name) for name in ("root", "nobody.here") * 50]
    assert (set(found), sorted(asked)) == ({0, None}, ["nobody.here", "root"])


def test_accounts_have_names_and_a_missing_list_nobody(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "absent")
    assert (accounts.name(0), accounts.name(54321), accounts.only_one()) == ("root", None, None)
