"""The sandbox's two servers on loopback: the DMP's, over TLS with a client certificate, and the patient's page."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardd_simulators.dmp.faults import Refused, fault
from cardd_simulators.dmp.history import page, rows
from cardd_simulators.dmp.records import Records
from cardd_simulators.dmp.soap import message_of
from cardd_simulators.dmp.transactions import Dmp

HOST = "127.0.0.1"
PATHS = ("/simulation/registry", "/simulation/repository")
HISTORY = "/historique"
BODY_MAX = 64 * 1024 * 1024
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen, with what certificate (``identity``: a PEM file with its key), and whom to let connect."""

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
        await web.TCPSite(runners[0], HOST, listening.port, ssl_context=_tls(listening)).start()
        await web.TCPSite(runners[1], HOST, listening.history_port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.Response]]


def _soap(dmp: Dmp, refused: Callable[[Sequence[str]], None]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        octets = await request.read()
        identifier, status = "", 200
        try:
            message = message_of(request.headers.get("Content-Type", ""), octets)
            identifier = message.identifier
            body = dmp.answer(message, _client(request), datetime.now(UTC))
        except Refused as reason:
            refused(reason.codes)
            body, status = fault(reason.codes, identifier), 500
        return web.Response(body=body, status=status, content_type="application/soap+xml", charset="utf-8")

    return answer


def _client(request: web.Request) -> x509.Certificate:
    """The client's certificate, which TLS has verified."""
    connection = request.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def _history(records: Records, port: int) -> Handler:
    names = {f"{host}:{port}" for host in (HOST, "localhost")}

    async def answer(request: web.Request) -> web.Response:
        if request.host not in names:  # a web site that has its name lead here is not to read
            return web.Response(status=403)
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response({"historique": rows(records)}, headers=POLICY)
        return web.Response(text=page(records), content_type="text/html", headers=POLICY)

    return answer


def _tls(listening: Listening) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, with a certificate of the authorities on the other side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listening.identity)
    for authority in listening.authorities:
        context.load_verify_locations(cadata=authority.public_bytes(Encoding.DER))
    context.verify_mode = ssl.CERT_REQUIRED
    return context
