"""`make demo-web`: the portals of docs/examples/webps, the same pages on Python and on Node, in a real browser.

A headless browser goes through login by card, signature, login by e-CPS and logout on both; each step prints what held.
With ``--serve`` one portal stays for a person's own browser. Exit status 0 only when every step held.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import sleep

from tests.demo import Failed, check_output, step, workstation
from tests.rig import nginx
from tests.rig.browsers import FIREFOX_PROFILE, NAMES, PROGRAMS, Name, running
from tests.rig.pinentry import ScriptedPinentry, Shown
from tests.rig.ports import free_port
from tests.rig.simulator import simulated_card
from tests.rig.webps import ALICE, DOCTOR, SERVERS, PortalPage, Server, WebPs, mobiles
from tests.webps.tokens import trust_cards

PIN = "7319"
PORT = 17490  # of the portal that stays
HTTP = 'const headers = {"Content-Type": "application/json"};'
AGAIN = f"""{HTTP}
await fetch("/card/challenge", {{method: "POST", headers, body: "{{}}"}});
return (await fetch("/card/login", {{method: "POST", headers, body: arguments[0]}})).status;
"""
HEARD = """
window.real ??= window.fetch;
window.fetch = (path, sent) => {
  if (path === "/card/login") window.token = sent.body;
  return real(path, sent);
};
"""
FILES = """
const {documents} = await (await fetch("/me")).json();
const {id} = documents.findLast(({signed}) => signed);
const file = async (name) => [...new Uint8Array(await (await fetch(`/documents/${name}`)).arrayBuffer())];
return [await file(id), await file(`${id}.p7s`)];
"""
SECTION = """
[portals.{0.server}]
origin = "{0.origin}"
rights = ["authenticate", "sign"]
"""


class Scene:
    """The machine on which the demo plays: readers, daemon, Pro Santé Connect, and the portals that are asked for."""

    def __init__(self, directory: Path, servers: Sequence[Server], *, stays: bool) -> None:
        self.directory, self.authority = directory, nginx.authority(directory)
        hosts = {server: "localhost" if stays else f"{server}.test" for server in servers}
        names = ",".join(f"DNS:{host}" for host in hosts.values())
        pair = nginx.issued(directory, self.authority, "portail", names=names)
        ports = [PORT if stays and _is_free(PORT) else free_port() for _ in servers]
        self.portals = [
            WebPs(server, directory, pair, hosts[server], port) for server, port in zip(servers, ports, strict=True)
        ]
        self.pinentry = ScriptedPinentry(directory, pin=PIN)
        is_asked = stays and _has_display() and shutil.which("pinentry")
        self.answers_itself = not is_asked
        program = Path(shutil.which("pinentry") or "") if is_asked else self.pinentry.path
        extra = "".join(SECTION.format(portal) for portal in self.portals)
        if not workstation.has_pcsc():  # in our own process cardd would refuse the browser, which is our child
            raise Failed("no pcscd with virtual readers here: `make setup` installs them on Debian")
        self.workstation = workstation.PcscWorkstation(directory, program, extra)
        self.card = simulated_card("medecin", pin=PIN.encode())
        trust_cards(directory, life=timedelta(days=1))

    @contextmanager
    def running(self) -> Iterator[Scene]:
        """Start everything; end it with the ``with``."""
        with ExitStack() as ends:
            self.psc = mobiles(self.directory)
            ends.callback(self.psc.stop)
            ends.callback(self.workstation.stop)
            self.workstation.start()
            self.workstation.insert(self.card)
            for portal in self.portals:
                portal.set_up([self.workstation.daemon.url], self.psc)
                ends.enter_context(portal.running())
            yield self

    def trust_in(self, home: Path, name: Name) -> None:
        """Have a browser with this home trust the portals' authority."""
        store = home / (FIREFOX_PROFILE if name == "firefox" else ".pki/nssdb")
        store.mkdir(parents=True)
        database = ["-d", f"sql:{store}"]
        check_output(["certutil", "-N", "--empty-password", *database], self.directory)
        trusted = ["-A", "-t", "C,,", "-n", "demo", "-i", str(self.authority.certificate)]
        check_output(["certutil", *trusted, *database], self.directory)


class Visit:
    """One browser at one portal. Every step is a method that returns the sentence to print."""

    def __init__(self, scene: Scene, portal: WebPs, page: PortalPage) -> None:
        self.scene, self.portal, self.page = scene, portal, page

    def steps(self) -> list[Callable[[], str]]:
        """Return what is done at a portal."""
        return [
            self.come,
            self.log_in,
            self.read,
            self.sign,
            self.judge,
            self.play_back,
            self.leave,
            self.ask_mobile,
            self.agree,
            self.sign_by_card,
            self.leave,
            self.log_in_as_somebody_else,
            self.sign_with_the_wrong_card,
            self.leave,
            self.pull,
        ]

    def come(self) -> str:
        """The browser trusts the portal's certificate, and the page may ask cardd."""
        self.page.tab.browser.permit(self.portal.origin)
        self.page.tab.open(self.portal.origin)
        self.page.reads("Se connecter par carte")
        self.page.tab.run(HEARD)
        return f"{self.portal.server} serves {self.portal.origin}, over https by a throw-away authority"

    def log_in(self) -> str:
        """The card's token, verified by the server."""
        self.page.log_in()
        asked = " and ".join(shown.kind for shown in self.scene.pinentry.shown()[-2:])
        return f"by card: {self._who()}, after dialogs {asked}"

    def read(self) -> str:
        """What is on the screen is what will be signed."""
        content, digest = self.page.field("document"), self.page.field("digest")
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            raise Failed("the page shows another document than the one of its digest")
        return f"the page shows “{content.splitlines()[0]}”, SHA-256 {digest[:16]}…"

    def sign(self) -> str:
        """The card signs after a dialog, and the server verifies."""
        digest = self.page.field("digest")
        self.page.press("sign")
        told = self.page.reads("Signature vérifiée par le serveur")
        if digest[:16] not in self.scene.pinentry.shown()[-1].description.replace(" ", ""):
            raise Failed("cardd's dialog shows another digest than the page")
        return f"the page says “{told}”; cardd's dialog showed the same digest"

    def judge(self) -> str:
        """Openssl judges what the portal gives away."""
        document, signature = self.page.tab.run(FILES)
        (self.scene.directory / "document").write_bytes(bytes(document))
        (self.scene.directory / "document.p7s").write_bytes(bytes(signature))
        by = ["-CAfile", "authorities.pem", "-partial_chain", "-out", os.devnull]
        given = ["-inform", "DER", "-in", "document.p7s", "-content", "document", "-binary"]
        ran = subprocess.run(
            ["openssl", "cms", "-verify", "-cades", *given, *by],
            cwd=self.scene.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise Failed(ran.stderr)
        return f"openssl cms -verify: {ran.stderr.strip()}"

    def play_back(self) -> str:
        """A token of before is worth nothing for another nonce."""
        status = self.page.tab.run(AGAIN, self.page.tab.run("return window.token"))
        if status != 403:
            raise Failed(f"the token of before was answered {status}")
        return f"the same token once more: {status}"

    def leave(self) -> str:
        """Nobody is logged in, and cardd has no session any more."""
        self.page.log_out()
        holder = self.page.tab.run("return (await (await fetch('/me')).json()).holder")
        if holder is not None or DOCTOR in self.page.words():
            raise Failed(f"still there: {holder}")
        return "logged out; the page shows nobody"

    def ask_mobile(self) -> str:
        """The server asks Pro Santé Connect; the page shows digits and time."""
        self.digits = self.page.ask_mobile(DOCTOR)
        return f"by e-CPS: digits {self.digits}, “{self.page.field('left')}”"

    def agree(self) -> str:
        """The person compares the digits, and agrees."""
        told = self.scene.psc.tell("approve").stdout.strip()
        if self.digits not in told:
            raise Failed(told)
        self.page.reads("confirmée au serveur par Pro Santé Connect")
        return f"{told} {self._who()}"

    def sign_by_card(self) -> str:
        """Who came by e-CPS signs by their card."""
        return self.sign()

    def log_in_as_somebody_else(self) -> str:
        """ALICE agrees on her mobile, at the doctor's workstation."""
        self.page.ask_mobile(ALICE)
        self.scene.psc.tell("approve")
        self.page.reads("ALICE")
        return f"by e-CPS: {self._who()}"

    def sign_with_the_wrong_card(self) -> str:
        """The card in the reader is not hers."""
        self.page.press("sign")
        return f"the page says “{self.page.reads('la carte qui signe n’est pas celle de la personne connectée')}”"

    def pull(self) -> str:
        """The card is pulled, and the page logs out."""
        self.page.log_in()
        self.scene.workstation.remove()
        told = self.page.reads("La carte a été retirée : vous êtes déconnecté(e).")
        self.scene.workstation.insert(self.scene.card)
        return f"card pulled: “{told}”"

    def _who(self) -> str:
        name, number, profession = (self.page.field(each) for each in ("name", "number", "profession"))
        return f"{name}, {number}, {profession}"


def drive(scene: Scene) -> None:
    """Go through both portals in one headless browser."""
    name = next((name for name in NAMES if all(map(shutil.which, PROGRAMS[name]))), None)
    if name is None:
        raise Failed("no Chromium and no Firefox here: `make setup` installs them on Debian")
    home = scene.directory / name
    scene.trust_in(home, name)
    public = [portal.port for portal in scene.portals]
    with running(name, public, scene.directory, trusts_all=False) as browser, browser.tab("about:blank") as tab:
        step("browser", lambda: f"{name}, headless; the portals are public for it")
        for portal in scene.portals:
            visit = Visit(scene, portal, PortalPage(tab))
            for number, action in enumerate(visit.steps(), 1):
                step(f"{portal.server} {number}", action)


WHAT_TO_DO = """
The portal: {portal.origin}/ ({portal.server})
Its certificate is by {authority}: let the browser go on for now, or trust that authority in a profile of its own.

  by card    press “Se connecter par carte”. {dialogs}
  by e-CPS   type {doctor} (the card's holder) or {alice}, then agree on the mobile: {mobile}/mobile
             or {approve}
  sign       press “Signer avec ma carte”; the server's verdict is below.
  the card   Enter here pulls it, Enter again puts it in.

Ctrl-C ends everything.
"""


def stay(scene: Scene) -> None:
    """Keep one portal up for a person until they have enough."""
    [portal] = scene.portals
    dialogs = (
        f"cardd's window asks, the PIN is {PIN}." if not scene.answers_itself else "Its dialogs are answered here."
    )
    approve = " ".join(scene.psc.command("approve"))
    named = {"doctor": DOCTOR, "alice": ALICE, "mobile": scene.psc.base, "approve": approve}
    authority = scene.authority.certificate
    print(WHAT_TO_DO.format(portal=portal, authority=authority, dialogs=dialogs, **named), flush=True)
    opened = _opened(scene, portal) if _has_display() else None
    seen, is_in = 0, True
    try:
        while True:
            shown = scene.pinentry.shown()
            for dialog in shown[seen:]:
                _tell(dialog)
            seen = len(shown)
            if sys.stdin.isatty() and _was_pressed():
                (scene.workstation.remove if is_in else partial(scene.workstation.insert, scene.card))()
                is_in = not is_in
                print("The card is in." if is_in else "The card is out.", flush=True)
            sleep(0.3)
    finally:
        if opened:
            opened.terminate()
            opened.wait(15)


def _tell(dialog: Shown) -> None:
    words = " / ".join(dialog.description.splitlines())
    print(f"cardd asks ({dialog.kind}, answered by the demo): {words}", flush=True)


def _opened(scene: Scene, portal: WebPs) -> subprocess.Popen[bytes] | None:
    """A window of a browser with a profile of its own, which trusts the portal."""
    name = next((name for name in NAMES if shutil.which(PROGRAMS[name][0])), None)
    if name is None:
        return None
    home = scene.directory / "window"
    scene.trust_in(home, name)
    profile = f"--user-data-dir={home}/profile" if name == "chromium" else f"--profile={home / FIREFOX_PROFILE}"
    around = {**os.environ, "HOME": str(home)}
    as_root = ["--no-sandbox"] if name == "chromium" and os.geteuid() == 0 else []
    command = [PROGRAMS[name][0], profile, *as_root, portal.origin]
    return subprocess.Popen(command, env=around, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def _was_pressed() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0]) and sys.stdin.readline() != ""


def main() -> int:
    """Return the demo's exit status."""
    parser = argparse.ArgumentParser(
        prog="make demo-web", description="The portals of docs/examples/webps in a browser."
    )
    parser.add_argument("--serve", choices=SERVERS, help="keep this portal up, for a browser of yours")
    given = parser.parse_args()
    servers = [given.serve] if given.serve else list(SERVERS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="cardd-demo-") as directory:
        try:
            scene = Scene(Path(directory), servers, stays=bool(given.serve))
            with scene.running():
                step("machine", lambda: f"{scene.workstation.described}; cardctl simulate psc for e-CPS")
                (stay if given.serve else drive)(scene)
        except (Failed, AssertionError) as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0
    print("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
