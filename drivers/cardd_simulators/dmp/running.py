"""The sandbox from its settings to its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from cryptography import x509

from cardd.errors import AddressInUse, InvalidRequest
from cardd.sandbox import SandboxOptions
from cardd_simulators.cards.store import Store
from cardd_simulators.dmp.caller import Gate
from cardd_simulators.dmp.history import line, row
from cardd_simulators.dmp.identities import PASSWORD, Identities, identities
from cardd_simulators.dmp.records import PATIENT, PATIENT_NAME, Access, Records, first_documents
from cardd_simulators.dmp.rights import load
from cardd_simulators.dmp.server import HISTORY, HOST, PATHS, Listening, serving
from cardd_simulators.dmp.settings import Settings
from cardd_simulators.dmp.texts import TEXTS
from cardd_simulators.dmp.transactions import Dmp

CONFIGURATION = """[upstreams.dmp]
url = "{url}"
paths = ["/simulation/"]
authorities = "{authorities}\""""
CURL = """curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/soap+xml' \\
     --data-binary @request.xml \\
     "http://127.0.0.1:17463/v1/sessions/$SESSION/upstreams/dmp{path}\""""


async def run(settings: Settings, options: SandboxOptions, report: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises InvalidRequest, AddressInUse."""
    rights = load(settings.rights)
    store = Store(options.state)
    made = await asyncio.to_thread(identities, store)
    authorities = _authorities(store, settings)
    teller = Teller(options, report)
    gate = Gate(authorities, settings.lifetime)
    records = Records(first_documents())
    dmp = Dmp(records, rights, gate, teller.access, wants_signature=settings.wants_signature)
    listening = Listening(settings.port, settings.history, made.server, authorities)
    try:
        async with serving(listening, dmp, teller.refused):
            teller.start(settings, store, made)
            await asyncio.Event().wait()
    except OSError as fault:
        raise AddressInUse(address=f"{HOST}:{settings.port}, {HOST}:{settings.history}") from fault


def _authorities(store: Store, settings: Settings) -> list[x509.Certificate]:
    """The simulation's own, and those of the file. Raises InvalidRequest."""
    own = x509.load_pem_x509_certificates(store.chain.read_bytes())
    if settings.authorities is None:
        return own
    try:
        return [*own, *x509.load_pem_x509_certificates(settings.authorities.read_bytes())]
    except (OSError, ValueError) as fault:
        raise InvalidRequest(where="authorities", why=str(fault)) from fault


class Teller:
    """Reports in the user's language, or as a line of JSON each."""

    def __init__(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        self._texts = TEXTS[options.language]
        self._json = options.json
        self._report = report

    def start(self, settings: Settings, store: Store, made: Identities) -> None:
        """Where it listens, and what to tell cardd."""
        url, history = f"https://localhost:{settings.port}", f"http://{HOST}:{settings.history}{HISTORY}"
        told = {
            "url": url,
            "history": history,
            "authorities": str(store.chain),
            "authentication": str(made.authentication),
            "signature": str(made.signature),
            "password": PASSWORD,
            "name": PATIENT_NAME,
            "patient": PATIENT,
        }
        if self._json:
            self._json_line("listening", told | {"paths": PATHS})
            return
        for key in ("warning", "listening", "patient", "organisation", "configure"):
            self._report(self._texts[key].format(**told))
        self._report(CONFIGURATION.format(**told))
        self._report(self._texts["curl"])
        self._report(CURL.format(path=PATHS[0]))

    def access(self, access: Access) -> None:
        """Somebody used the record."""
        if self._json:
            self._json_line("access", row(access) | {"secret": access.is_secret})
        else:
            self._report(_shown(self._texts["access"].format(line=line(access))))

    def refused(self, codes: Sequence[str]) -> None:
        """Somebody was refused."""
        if self._json:
            self._json_line("refused", {"codes": list(codes)})
        else:
            self._report(_shown(self._texts["refused"].format(codes=", ".join(codes))))

    def _json_line(self, event: str, values: object) -> None:
        self._report(json.dumps({"event": event, "values": values}, ensure_ascii=False))


def _shown(text: str) -> str:
    """Without what a terminal would obey: names come from whoever calls."""
    return "".join(character if character.isprintable() else " " for character in text)
