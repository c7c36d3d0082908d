"""The main job, end to end: a card is inserted, a practice software pairs, logs in, signs; openssl judges.

Each step prints what held and how long it took. Exit status 0 only when every step held.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tests.demo import Failed, check_output, mobile, step, workstation
from tests.rig.lps import EventStream, Json, Lps, UnixConnection
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import simulated_card, store
from tests.rig.waiting import eventually_here

PIN = "7319"
MOBILE = "899700000005"
NONCE = base64.b64encode(hashlib.sha256(b"a server's challenge").digest()).decode()
DOCUMENT = "Compte rendu de consultation (SIMULATION)\n"


class Demo:
    """One run. Every step is a method that returns the sentence to print."""

    def __init__(self, directory: Path, *, pcsc: bool, node: bool) -> None:
        self.directory = directory
        self.pinentry = ScriptedPinentry(directory, pin=PIN)
        self.psc = mobile.here(directory, node=node)
        self.psc.start()
        give_credential(directory, "psc-client-secret", self.psc.secret)
        self.workstation = workstation.here(directory, self.pinentry.path, self.psc.configuration, pcsc=pcsc)
        self.card = simulated_card("medecin", pin=PIN.encode())
        self.lps = Lps(self.workstation.daemon.port)

    def run(self) -> None:
        """All the steps, in order."""
        step("machine", lambda: self.workstation.described)
        try:
            for number, action in enumerate(self.steps(), 1):
                step(f"{number:2}", action)
        finally:
            self.workstation.stop()
            self.psc.stop()

    def steps(self) -> list[Callable[[], str]]:
        """What the demo shows."""
        return [
            self.start,
            self.insert,
            self.pair,
            self.log_in,
            self.sign,
            self.judge_signature,
            self.judge_chain,
            self.authenticate,
            self.judge_token,
            self.audit,
            self.remove,
            self.refused,
            self.ask_mobile,
            self.approve,
            self.open_by_mobile,
            self.sign_nothing,
        ]

    def start(self) -> str:
        """The daemon, ready as systemd sees it."""
        self.workstation.start()
        status = self.ask("GET", "/v1/status")
        self.events = EventStream(UnixConnection(self.workstation.daemon.socket))
        return f"cardd {status['version']} listens on 127.0.0.1:{self.lps.port} and on its Unix socket"

    def insert(self) -> str:
        """A card goes into the reader while the daemon runs."""
        self.workstation.insert(self.card)
        _, event = self.events.wait("card.inserted")
        return f"event card.inserted: a {str(event['kind']).upper()} in “{event['reader']}”"

    def pair(self) -> str:
        """The practice software is accepted by the user."""
        about = {"name": "LPS de démonstration", "vendor": "SIMULATION", "software_id": "demo"}
        client = self.ask("POST", "/v1/clients", cast(Json, about), expected=201)
        self.origin = f"urn:cardd:client:{client['client_id']}"
        self.lps = self.lps.with_credential(str(client["client_secret"]))
        return f"LPS paired after a dialog: {self.pinentry.shown()[-1].kind}"

    def log_in(self) -> str:
        """The PIN goes from pinentry to the card."""
        session = self.ask("POST", "/v1/sessions", {"method": "cpx"}, expected=201)
        self.session = self.lps.with_credential(str(session["token"]))
        self.path = f"/v1/sessions/{session['id']}"
        holder = cast(Json, session["identity"])
        return f"session of {holder['given_name']} {holder['family_name']}, {holder['national_id']}, PIN by pinentry"

    def sign(self) -> str:
        """A document is signed after a consent."""
        (self.directory / "document").write_text(DOCUMENT)
        body: Json = {"document_name": "compte-rendu.txt", "document": base64.b64encode(DOCUMENT.encode()).decode()}
        signed = self.ask("POST", f"{self.path}/signatures", body, by=self.session)
        self.keep("signature", signed["signature"])
        self.keep("certificate.der", signed["certificate"])
        return f"document signed with {signed['algorithm']} by the card"

    def judge_signature(self) -> str:
        """Openssl judges the signature."""
        self.openssl("x509", "-inform", "DER", "-in", "certificate.der", "-out", "certificate.pem")
        self.openssl("x509", "-in", "certificate.pem", "-pubkey", "-noout", "-out", "key.pem")
        told = self.openssl("dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "document")
        return f"openssl dgst -verify: {told}"

    def judge_chain(self) -> str:
        """Openssl judges the certificate."""
        told = self.openssl("verify", "-CAfile", str(store().chain), "certificate.pem")
        return f"openssl verify: {told}"

    def authenticate(self) -> str:
        """An authentication token for the practice software's server."""
        self.token = self.ask("POST", f"{self.path}/auth-tokens", {"nonce": NONCE}, by=self.session)
        return f"authentication token issued, format {self.token['format']}"

    def judge_token(self) -> str:
        """What a server does: rebuild what must have been signed, from its own nonce and the expected origin."""
        signed = hashlib.sha256(self.origin.encode()).digest() + hashlib.sha256(NONCE.encode()).digest()
        (self.directory / "challenge").write_bytes(signed)
        self.keep("token-signature", self.token["signature"])
        self.keep("token.der", self.token["unverifiedCertificate"])
        self.openssl("x509", "-inform", "DER", "-in", "token.der", "-pubkey", "-noout", "-out", "token-key.pem")
        told = self.openssl("dgst", "-sha256", "-verify", "token-key.pem", "-signature", "token-signature", "challenge")
        return f"token bound to {self.origin}: {told}"

    def audit(self) -> str:
        """The audit chain is whole."""
        configuration = str(self.workstation.daemon.configuration)
        command = [sys.executable, "-m", "cardd.cli.cardctl", "audit", "verify", "--config", configuration]
        return check_output(command, self.directory)

    def remove(self) -> str:
        """The card leaves."""
        self.workstation.remove()
        self.events.wait("card.removed")
        return "event card.removed"

    def refused(self) -> str:
        """The session has gone with the card."""
        problem = self.ask("GET", self.path, by=self.session, expected=401)
        if problem["code"] != "session.closed":
            raise Failed(f"the session answered {problem}")
        return f"session refused: {problem['code']}"

    def ask_mobile(self) -> str:
        """A login with e-CPS: Pro Santé Connect, as far as it can be here, wakes the mobile."""
        wanted: Json = {"method": "ecps", "login_hint": MOBILE}
        session = self.ask("POST", "/v1/sessions", wanted, expected=202)
        self.session = self.lps.with_credential(str(session["token"]))
        self.path = f"/v1/sessions/{session['id']}"
        self.digits = str(session["binding_message"])
        return f"e-CPS login of {MOBILE} waits for the mobile, digits {self.digits}"

    def approve(self) -> str:
        """The person compares the digits, and agrees."""
        told = self.psc.approve(MOBILE)
        if self.digits not in told:
            raise Failed(told)
        return f"{self.psc.described}: {told}"

    def open_by_mobile(self) -> str:
        """The session is theirs."""
        eventually_here(lambda: self.ask("GET", self.path, by=self.session)["state"] == "active")
        session = self.ask("GET", self.path, by=self.session)
        holder, [situation] = cast(Json, session["identity"]), cast(list[Json], session["situations"])
        return f"session of {holder['given_name']} {holder['family_name']} by e-CPS, {situation['structure_name']}"

    def sign_nothing(self) -> str:
        """What e-CPS cannot do is said."""
        body: Json = {"document_name": "compte-rendu.txt", "document": base64.b64encode(DOCUMENT.encode()).decode()}
        problem = self.ask("POST", f"{self.path}/signatures", body, by=self.session, expected=409)
        return f"signature refused: {problem['code']}"

    def ask(
        self, method: str, path: str, body: Json | None = None, *, by: Lps | None = None, expected: int = 200
    ) -> Json:
        """One call of the API that must answer with this status."""
        status, answer = (by or self.lps).call(method, path, body)
        if status != expected:
            raise Failed(f"{method} {path} answered {status} {answer}")
        return answer

    def keep(self, name: str, value: object) -> None:
        """Write a base64 value to a file for openssl."""
        (self.directory / name).write_bytes(base64.b64decode(str(value)))

    def openssl(self, *arguments: str) -> str:
        """Run openssl in the demo's directory; gives what it said."""
        return check_output(["openssl", *arguments], self.directory)


def give_credential(directory: Path, name: str, value: str) -> None:
    """Hand the daemon a credential as systemd passes it."""
    place = directory / "credentials"
    place.mkdir()
    (place / f"cardd.{name}").write_text(value)
    os.environ["CREDENTIALS_DIRECTORY"] = str(place)


def main() -> int:
    """The demo's exit status. ``--in-process`` plays it as without PC/SC, ``--without-node`` as without node."""
    given = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="cardd-demo-") as directory:
        try:
            Demo(Path(directory), pcsc="--in-process" not in given, node="--without-node" not in given).run()
        except Failed as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
            return 1
    print("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
