"""A workstation: real pcscd, the real daemon as a process, a person who answers its dialogs, practice software."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import cast
from urllib.parse import quote

from cardd_simulators.cards.interface import PoweredCard
from cardd_simulators.cards.vpcd import VpcdSlot
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, Lps, UnixConnection
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import READING, ScriptedPinentry
from tests.rig.simulator import PIN, plugged
from tests.rig.vcard import Answer, VirtualCard, always_ok

ROOT = Path(__file__).parents[2]
LIMIT = 15.0
LPS: Json = {"name": "LPS", "vendor": "SIMULATION", "software_id": "integration"}
DIGEST = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="


class Workstation:
    """pcscd and the daemon run while it does; cards come and go."""

    def __init__(
        self,
        directory: Path,
        *,
        pin: str = PIN.decode(),
        extra: str = "",
        environment: dict[str, str] | None = None,
        devices: int = 1,
        descriptors: int | None = None,
        is_read: bool = False,
    ) -> None:
        self.directory = directory
        self.pcscd = Pcscd(directory, devices)
        self.pinentry = ScriptedPinentry(directory, pin=pin, reads=READING if is_read else 0)
        around = {**self.pcscd.environment, **(environment or {})}
        self.daemon = DaemonProcess(
            directory,
            pinentry=self.pinentry.path,
            environment=around,
            extra=extra,
            descriptors=descriptors,
            is_read=is_read,
        )
        self._opened = ExitStack()

    @contextmanager
    def running(self) -> Iterator[Workstation]:
        """Start everything; end it with the ``with``."""
        self.pcscd.start()
        try:
            with self._opened:
                self.daemon.start()
                yield self
        finally:
            self.daemon.stop()
            self.pcscd.stop()

    @contextmanager
    def card(self, card: PoweredCard, slot: int = 0) -> Iterator[VpcdSlot]:
        """Keep a card in the slot inside the ``with``, which begins when the daemon has seen it."""
        before = len(self.cards())
        with plugged(card, self.pcscd.ports[slot]) as seat:
            self.wait_for_cards(before + 1)
            yield seat

    @contextmanager
    def foreign_card(self, answer: Answer = always_ok, *, atr: bytes) -> Iterator[VirtualCard]:
        """Yield a workstation with a card that is none of ours, in the first slot."""
        card = VirtualCard(self.pcscd.ports[0], answer, atr)
        card.insert()
        self.wait_for_cards(1)
        try:
            yield card
        finally:
            card.pull()
            self.wait_for_cards(0)

    def lps(self, credential: str | None = None) -> Lps:
        """A program that calls over TCP."""
        lps = Lps(self.daemon.port, credential)
        self._opened.callback(lps.close)
        return lps

    def pair(self) -> Lps:
        """A program that the user has accepted."""
        return self.lps(text(expect(201, self.lps().call("POST", "/v1/clients", LPS)), "client_secret"))

    def log_in(self, lps: Lps | None = None, card: str | None = None) -> Session:
        """A session of this program, or of a new one."""
        body: Json = {"method": "cpx", **({"card": card} if card else {})}
        return self.session(expect(201, (lps or self.pair()).call("POST", "/v1/sessions", body)))

    def session(self, opened: Json) -> Session:
        """The session that a login opened."""
        return Session(self.lps(text(opened, "token")), text(opened, "id"))

    def local(self, path: str) -> Json:
        """What anyone of the daemon's own user reads on the Unix socket."""
        with closing(UnixConnection(self.daemon.socket)) as connection:
            connection.request("GET", path)
            return cast(Json, json.loads(connection.getresponse().read()))

    def status_page(self) -> str:
        """What `cardctl open` opens: an address of the status page that serves once."""
        return text(cast(Json, json.loads(self.tell("/v1/status-page/links"))), "url")

    def tell(self, path: str) -> bytes:
        """Post nothing there, as anyone of the daemon's own user may on the Unix socket."""
        with closing(UnixConnection(self.daemon.socket)) as connection:
            connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
            return connection.getresponse().read()

    def shut_out(self, origin: str) -> None:
        """Do what ``cardctl origins revoke`` does."""
        with closing(UnixConnection(self.daemon.socket)) as connection:
            connection.request("DELETE", f"/v1/origins/{quote(origin, safe='')}")
            assert connection.getresponse().status == 204

    def cards(self) -> list[Json]:
        """The cards that the daemon knows; none while it has no PC/SC."""
        return cast(list[Json], self.local("/v1/cards").get("cards", []))

    def wait_for_cards(self, count: int) -> list[Json]:
        """Return once the daemon knows so many cards."""
        wait_until(lambda: len(self.cards()) == count)
        return self.cards()

    def wait_for_state(self, state: str) -> None:
        """Return once the daemon's status is this."""
        wait_until(lambda: self.local("/v1/status")["state"] == state)


class Session:
    """An open session, as its program uses it."""

    def __init__(self, lps: Lps, identifier: str) -> None:
        self.lps = lps
        self.id = identifier
        self.path = f"/v1/sessions/{identifier}"

    def ask_to_sign(self, name: str = "compte-rendu.txt", **more: object) -> tuple[int, Json]:
        """Ask for one signature; status and answer."""
        return self.lps.call("POST", f"{self.path}/signatures", {"document_name": name, "digest": DIGEST, **more})

    def sign(self, name: str = "compte-rendu.txt", **more: object) -> Json:
        """Have one signature."""
        return expect(200, self.ask_to_sign(name, **more))

    def state(self) -> object:
        """How it stands."""
        return expect(200, self.lps.call("GET", self.path))["state"]

    def close(self) -> None:
        """Log out."""
        expect(204, self.lps.call("DELETE", self.path))


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    deadline = monotonic() + LIMIT
    while not condition():
        assert monotonic() < deadline, "it never came to be"
        sleep(0.005)


def expect(status: int, answered: tuple[int, Json]) -> Json:
    """The answer, which has this status."""
    assert answered[0] == status, answered
    return answered[1]


def problem(status: int, code: str, answered: tuple[int, Json]) -> Json:
    """The answer, which is this problem."""
    assert (answered[0], answered[1].get("code")) == (status, code), answered
    return answered[1]


def text(answer: Json, name: str) -> str:
    """One field, which is a text."""
    return cast(str, answer[name])
