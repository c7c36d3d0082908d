"""The simulated DMP while it runs: its two servers on loopback, and what it reports.

The DMP's own server wants TLS with a client certificate. The other one has the patient's page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509

from cardd.errors import AddressInUse
from cardd.simulator import ServerOptions
from cardd.values import Value
from cardd_simulators import texts
from cardd_simulators.cards.store import Store
from cardd_simulators.dmp import codes
from cardd_simulators.dmp.caller import Gate
from cardd_simulators.dmp.records import PATIENT, PATIENT_NAME, Access, Records, first_documents, line, page, row, rows
from cardd_simulators.dmp.rights import load
from cardd_simulators.dmp.simulator import Settings
from cardd_simulators.dmp.transactions import Dmp
from cardd_simulators.identities import PASSWORD, Identities, identities
from cardd_simulators.mutual_tls import authorities_of, client_of, server_context
from cardd_simulators.soap import Message, answering

HOST = "127.0.0.1"
PATHS = ("/simulation/registry", "/simulation/repository")
HISTORY = "/historique"
BODY_MAX = 64 * 1024 * 1024
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}


CONFIGURATION = """[upstreams.dmp]
url = "{url}"
paths = ["/simulation/"]
authorities = "{authorities}\""""
CURL = """curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/soap+xml' \\
     --data-binary @request.xml \\
     "http://127.0.0.1:17463/v1/sessions/$SESSION/upstreams/dmp{path}\""""


class Listening(Value):
    """The ports, the server's certificate (``identity``: a PEM file with its key), and whom to let connect."""

    port: int
    history_port: int
    identity: Path
    authorities: Sequence[x509.Certificate]


@asynccontextmanager
async def serving(listening: Listening, dmp: Dmp, refused: Callable[[Sequence[str]], None]) -> AsyncIterator[None]:
    """Both servers, until the block is left. ``refused`` hears of each refusal. Raises OSError for a taken port."""
    soap = web.Application(client_max_size=BODY_MAX)
    for path in PATHS:
        soap.router.add_post(path, _soap(dmp, refused))
    history = web.Application()
    history.router.add_get(HISTORY, _history(dmp.records, listening.history_port))
    runners = [web.AppRunner(application, access_log=None) for application in (soap, history)]
    try:
        for runner in runners:
            await runner.setup()
        tls = server_context(listening.identity, listening.authorities)
        await web.TCPSite(runners[0], HOST, listening.port, ssl_context=tls).start()
        await web.TCPSite(runners[1], HOST, listening.history_port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def _soap(dmp: Dmp, refused: Callable[[Sequence[str]], None]) -> Handler:
    def answer(message: Message, request: web.Request) -> bytes:
        answered = dmp.answer(message, client_of(request), datetime.now(UTC))
        if answered.refused:
            refused(answered.refused)
        return answered.content

    return answering(answer, refused)


def _history(records: Records, port: int) -> Handler:
    names = {f"{host}:{port}" for host in (HOST, "localhost")}

    async def answer(request: web.Request) -> web.Response:
        if request.host not in names:  # a web site that has its name lead here is not to read
            return web.Response(status=403)
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response({"historique": rows(records)}, headers=POLICY)
        return web.Response(text=page(records), content_type="text/html", headers=POLICY)

    return answer


async def run(settings: Settings, options: ServerOptions, report: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises InvalidRequest, AddressInUse."""
    rights, known = load(settings.rights), codes.load(settings.codes)
    store = Store(options.state)
    made = await asyncio.to_thread(identities, store)
    authorities = authorities_of(store, settings.authorities)
    reporter = Reporter(options, report)
    gate = Gate(authorities, settings.lifetime, settings.secret)
    records = Records(first_documents())
    dmp = Dmp(records, rights, known, gate, reporter.access, wants_signature=settings.wants_signature)
    listening = Listening(settings.port, settings.history, made.server, authorities)
    try:
        async with serving(listening, dmp, reporter.refused):
            reporter.start(settings, store, made)
            await asyncio.Event().wait()
    except OSError as fault:
        raise AddressInUse(address=f"{HOST}:{settings.port}, {HOST}:{settings.history}") from fault


class Reporter:
    """Reports in the user's language, or as a line of JSON each."""

    def __init__(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        self._texts = texts.DMP[options.language]
        self._json = options.json
        self._report = report

    def start(self, settings: Settings, store: Store, made: Identities) -> None:
        """Report where the simulator listens, and what to tell cardd."""
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
            self._report(texts.json_line("listening", told | {"paths": PATHS}))
            return
        for key in ("warning", "listening", "patient", "organisation", "configure"):
            self._report(self._texts[key].format(**told))
        self._report(CONFIGURATION.format(**told))
        self._report(self._texts["curl"])
        self._report(CURL.format(path=PATHS[0]))

    def access(self, access: Access) -> None:
        """Report that somebody used the record."""
        if self._json:
            self._report(texts.json_line("access", row(access) | {"secret": access.is_secret}))
        else:
            self._report(texts.printable(self._texts["access"].format(line=line(access))))

    def refused(self, codes: Sequence[str]) -> None:
        """Report that somebody was refused."""
        if self._json:
            self._report(texts.json_line("refused", {"codes": list(codes)}))
        else:
            self._report(texts.printable(self._texts["refused"].format(codes=", ".join(codes))))
