"""A workstation on which nothing is wrong, and what doctor finds on it once something is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import keyring
from keyring.backends import SecretService

from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Result
from cardd.cli.doctor.examining import PATIENT, cause, examine
from cardd.cli.doctor.surroundings import Surroundings
from cardd.cli.program_places import client, personal
from cardd.cli.registering import Registration
from cardd.config.reference import toml
from cardd.system.peer import processes
from cardd_simulators.cards.interface import PoweredCard
from tests.cli.station import Station
from tests.rig.daemon import DaemonProcess
from tests.rig.here import use_here
from tests.rig.keyring import Keyring
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import inserted, simulated_card, wait_for_card

Sections = Mapping[str, Mapping[str, object]]


@dataclass
class Practice:
    """Real pcscd, real daemon, a simulated card, a keyring; ``home`` is the person's."""

    station: Station
    home: Path
    keyring: Keyring
    _slot: ExitStack

    @property
    def directory(self) -> Path:
        """Where the daemon and its state are."""
        return self.station.daemon.directory

    def configured(self, directory: Path, sections: Sections) -> Path:
        """Return a file with the daemon's settings, these changed."""
        daemon = self.station.daemon
        own: dict[str, Mapping[str, object]] = {
            "listen": {"tcp": daemon.port, "socket": daemon.socket},
            "state": {"directory": daemon.state},
            "prompt": {"pinentry": self.station.pinentry.path},
            "p11": {"socket": self.directory / "p11"},
            "trust": {"revocation": "offline"},  # the simulated card's certificates name a server that is nowhere
        }
        changed = {title: {**own.get(title, {}), **sections.get(title, {})} for title in {**own, **sections}}
        lines = [
            line
            for title, keys in changed.items()
            for line in (f"[{title}]", *(f"{key} = {toml(value)}" for key, value in keys.items()))
        ]
        file = directory / "doctor.toml"
        file.write_text("\n".join(lines))
        return file

    def put_in(self, card: PoweredCard | None = None) -> None:
        """Insert a card, a good one; the daemon has it."""
        self._slot.enter_context(inserted(card or simulated_card(), self.station.pcscd))
        self.station.wait_for_cards(1)

    def take_out(self) -> None:
        """Take the card out; pcscd and the daemon know."""
        self._slot.close()
        wait_for_card(self.station.pcscd, present=False)
        self.station.wait_for_cards(0)

    def surroundings(self, directory: Path, sections: Sections | None = None) -> Surroundings:
        """Return what doctor looks at: all real; the time service and processes of others are the machine's."""
        return Surroundings(
            self.configured(directory, sections or {}),
            usb=directory / "usb",
            synchronised=lambda: True,
            processes=self._processes,
        )

    def _processes(self) -> list[int]:
        """Return the processes of this practice: other tests run programs on this machine too."""
        return [pid for pid in processes() if f"HOME={self.home}\0".encode() in _environment_of(pid)]


@contextmanager
def practising(directory: Path) -> Iterator[Practice]:
    """Set all of it up, for this process too."""
    home = directory / "home"
    home.mkdir()
    around, before, ring = Keyring(directory), dict(os.environ), keyring.get_keyring()
    pcscd, pinentry = Pcscd(directory), ScriptedPinentry(directory, reads=0)
    daemon = DaemonProcess(directory, pinentry=pinentry.path, environment=pcscd.environment, is_read=False)
    with ExitStack() as ends:
        ends.callback(keyring.set_keyring, ring)
        ends.callback(_restore, before)
        for part in (around, pcscd, daemon):
            ends.callback(part.stop)
            part.start()
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "https_proxy", "http_proxy", "SUDO_UID"):
            os.environ.pop(name, None)
        os.environ |= {**around.environment, "HOME": str(home)}
        use_here(pcscd)
        keyring.set_keyring(SecretService.Keyring())  # type: ignore[no-untyped-call]
        _register(directory, home)
        practice = Practice(
            Station(pcscd, daemon, pinentry, simulated_card()), home, around, ends.enter_context(ExitStack())
        )
        practice.put_in()
        yield practice


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended
        return b""


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _register(directory: Path, home: Path) -> None:
    module = client()
    assert module is not None
    assert Registration(home / "record.json", home).put(personal(directory / "p11", module, home)) == []


async def first(surroundings: Surroundings) -> Result | None:
    """Return what doctor's first line is about, however slow this machine is just now."""
    return cause(await examine(CHECKS, CHECKS, surroundings, PATIENT))
