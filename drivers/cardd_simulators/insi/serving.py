"""The simulated INSi while it runs: its server on loopback, which wants a client certificate, and what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from cardd.errors import AddressInUse
from cardd.simulator import ServerOptions
from cardd_simulators import texts
from cardd_simulators.cards.store import Store
from cardd_simulators.identities import INSI_NAME, PASSWORD, InsiIdentities, insi_identities
from cardd_simulators.insi.people import Person, people_of
from cardd_simulators.insi.service import Answer, Insi
from cardd_simulators.insi.simulator import Settings
from cardd_simulators.mutual_tls import authorities_of, client_of, server_context
from cardd_simulators.soap import Message, answering

HOST, PATH = "127.0.0.1", "/simulation/insi"
BODY_MAX = 1024 * 1024

CONFIGURATION = """[upstreams.insi]
url = "{url}"
paths = ["/simulation/"]
authorities = "{authorities}\""""


async def run(settings: Settings, options: ServerOptions, report: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises InvalidRequest, AddressInUse."""
    people = people_of(settings.people)
    store = Store(options.state)
    made = await asyncio.to_thread(insi_identities, store)
    authorities = authorities_of(store, settings.authorities)
    reporter = Reporter(options, report)
    service = Insi(people, authorities, takes_psc=settings.takes_psc)
    application = web.Application(client_max_size=BODY_MAX)
    application.router.add_post(PATH, _soap(service, reporter))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        tls = server_context(made.server, authorities)
        await web.TCPSite(runner, HOST, settings.port, ssl_context=tls).start()
        reporter.start(settings, store, made, people)
        await asyncio.Event().wait()
    except OSError as taken:
        raise AddressInUse(address=f"{HOST}:{settings.port}") from taken
    finally:
        await runner.cleanup()


def _soap(service: Insi, reporter: Reporter) -> Handler:
    def answer(message: Message, request: web.Request) -> bytes:
        answered = service.answer(message, client_of(request), datetime.now(UTC))
        reporter.answered(answered)
        return answered.content

    return answering(answer, reporter.refused)


class Reporter:
    """Reports in the user's language, or as a line of JSON each."""

    def __init__(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        self._texts = texts.INSI[options.language]
        self._json = options.json
        self._report = report

    def start(self, settings: Settings, store: Store, made: InsiIdentities, people: Sequence[Person]) -> None:
        """Report where the simulator listens, whom it knows, and what to tell cardd."""
        told = {
            "url": f"https://localhost:{settings.port}",
            "authorities": str(store.chain),
            "software": str(made.software),
            "password": PASSWORD,
            "name": INSI_NAME,
        }
        known = [f"{one.birth_name} {one.given_names[0]} {one.sex} {one.birth_date}" for one in people]
        if self._json:
            self._report(texts.json_line("listening", told | {"path": PATH, "people": known}))
            return
        for key in ("warning", "listening", "people", "software", "configure"):
            self._report(texts.printable(self._texts[key].format(people=", ".join(known), **told)))
        self._report(CONFIGURATION.format(**told))

    def answered(self, answer: Answer) -> None:
        """Report who asked for whom, and what was found."""
        code, words = answer.code
        told = {"caller": answer.caller, "traits": str(answer.traits), "code": code, "words": words}
        if self._json:
            self._report(texts.json_line("answered", told))
        else:
            self._report(texts.printable(self._texts["answered"].format(**told)))

    def refused(self, codes: Sequence[str]) -> None:
        """Report that somebody was refused."""
        if self._json:
            self._report(texts.json_line("refused", {"codes": list(codes)}))
        else:
            self._report(texts.printable(self._texts["refused"].format(codes=", ".join(codes))))
