"""The simulated DMP on loopback, and a small LPS that calls it with the simulated cards. All people are fictitious."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from cardd.config import Dmp
from cardd.formats.saml.profiles import profile_named
from cardd.formats.saml.request import Authentication, Means, Mode, Speaker, VihfCall
from cardd.formats.saml.vihf import prepare_vihf
from cardd.model import Identity, Organisation, Situation
from cardd.simulator import ServerOptions, ServerSimulator
from cardd.values import replace
from cardd_simulators.cards.profiles import PROFILES
from cardd_simulators.cards.store import Credential
from cardd_simulators.dmp.simulator import DmpSimulator
from cardd_simulators.identities import AUTHENTICATION, SIGNATURE, SIRET, identities
from tests.rig.dmp_messages import RIM, XDS, envelope
from tests.rig.ports import free_port
from tests.rig.saml import PATIENT, REGISTRATION, Key, StoppedClock
from tests.rig.simulator import STATE, issue, store

REGISTRY_ERROR = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}RegistryError"


@dataclass
class RunningDmp:
    """A running simulated DMP, and what it reported."""

    port: int
    history_port: int
    told: asyncio.Queue[str]

    async def next(self) -> str:
        """The next thing that it tells."""
        async with asyncio.timeout(20):
            return await self.told.get()


@dataclass(frozen=True)
class Reply:
    """A SOAP answer."""

    status: int
    body: bytes

    @property
    def codes(self) -> list[str]:
        """The reasons of a fault or of a registry's failure, the main one first."""
        root = etree.fromstring(self.body)
        told = [str(each.text) for each in root.iter("{urn:cardd:simulation}Raison")]
        return told + [error.get("codeContext", "").partition(" ")[0] for error in root.iter(REGISTRY_ERROR)]

    @property
    def errors(self) -> list[str]:
        """The codes of a registry's errors."""
        return [error.get("errorCode", "") for error in etree.fromstring(self.body).iter(REGISTRY_ERROR)]

    def texts(self, path: str) -> list[str]:
        """What an XPath with ``rim`` and ``xds`` finds."""
        root = etree.fromstring(self.body)
        return [str(each) for each in root.xpath(path, namespaces={"rim": RIM, "xds": XDS})]

    @property
    def titles(self) -> list[str]:
        """The titles of the documents in a registry's answer."""
        return self.texts("//rim:ExtrinsicObject/rim:Name/rim:LocalizedString/@value")


@dataclass(frozen=True)
class Lps:
    """Practice software with somebody's keys: ``tls`` for the connection, ``pen`` for assertions."""

    speaker: Speaker
    tls: Key
    pen: Key
    call: VihfCall
    secret_code: str = Dmp().secret_code or ""

    def vihf(self, now: datetime | None = None) -> bytes:
        """A VIHF as cardd makes it."""
        secret = replace(REGISTRATION, secret_code=self.secret_code)
        prepared = prepare_vihf(
            self.speaker,
            self.pen.signer,
            secret,
            self.call,
            profile=profile_named("2024"),
            clock=StoppedClock(now or datetime.now(UTC)),
        )
        return self.pen.finish(prepared)

    async def post(self, dmp: RunningDmp, body: str, assertion: bytes | None = None) -> Reply:
        """Send a body with this assertion, or a fresh one."""
        message = envelope(body, self.vihf() if assertion is None else assertion)
        return await self.send(dmp, message, "application/soap+xml; charset=utf-8")

    async def send(self, dmp: RunningDmp, message: bytes, content_type: str) -> Reply:
        """Send a message as it is."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"https://localhost:{dmp.port}/simulation/repository",
                data=message,
                headers={"Content-Type": content_type},
                ssl=client_context(self.tls),
            ) as response,
        ):
            return Reply(response.status, await response.read())


@asynccontextmanager
async def running_dmp(
    *, port: int = 0, table: Path | None = None, as_json: bool = False, **settings: str
) -> AsyncIterator[RunningDmp]:
    """A simulated DMP with these settings, listening when the block begins."""
    port = port or free_port(2)
    told: asyncio.Queue[str] = asyncio.Queue()
    options = ServerOptions(port, STATE, table=table, language="en", settings=settings, json=as_json)
    async with running(DmpSimulator(), options, told):
        yield RunningDmp(port, port + 1, told)


@asynccontextmanager
async def running(simulator: ServerSimulator, options: ServerOptions, told: asyncio.Queue[str]) -> AsyncIterator[None]:
    """Run a simulated server, which listens when the block begins; a program reads its first line too."""
    serving = asyncio.ensure_future(simulator.run(options, told.put_nowait))
    try:
        first = asyncio.ensure_future(told.get())
        async with asyncio.timeout(20):
            await asyncio.wait((first, serving), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            first.cancel()
            await serving
        if options.json:
            told.put_nowait(first.result())
        yield
    finally:
        serving.cancel()
        await asyncio.wait((serving,))


def key_of(credential: Credential) -> Key:
    """A simulated key for the helpers of ``tests.rig.saml``."""
    return Key(credential.key, credential.certificate)


def card(profile: str = "medecin", **call: object) -> Lps:
    """Somebody who logged in with the simulated card."""
    issued = issue(profile)
    held = PROFILES[profile]
    identity = Identity(
        held.national_id,
        held.family_name,
        held.given_name,
        title=held.title,
        profession=str(held.profession),
        specialty=held.specialty,
        card_type="0",
        is_test=True,
    )
    place = held.activities[0]
    speaker = Speaker(
        identity,
        Authentication(datetime.now(UTC) - timedelta(minutes=15), Means.CARD),
        Situation("1", sector=place.sector, structure=place.structure),
    )
    asked = VihfCall(Mode.DIRECT, PATIENT, section="A" if profile == "pharmacien" else None)
    return Lps(
        speaker,
        key_of(issued.authentication),
        key_of(issued.signature),
        replace(asked, **call),  # by name
    )


def organisation(mode: Mode, profile: str = "medecin") -> Lps:
    """Return this person, spoken for by the fictitious organisation."""
    identities(store())
    person = card(profile).speaker
    told = replace(
        person.identity,
        organisation=Organisation(SIRET, "siret", "CENTRE DE SANTE SIMULATION"),
        is_declared=mode is Mode.INDIRECT,
        card_type=None,
    )
    means = Means.MOBILE if mode is Mode.AIR else Means.PASSWORD
    speaker = replace(person, identity=told, login=replace(person.login, means=means))
    tls, pen = (key_of(_credential(name)) for name in (AUTHENTICATION, SIGNATURE))
    return Lps(speaker, tls, pen, VihfCall(mode, PATIENT))


def _credential(name: str) -> Credential:
    def never(*_: object) -> None:
        raise AssertionError(name)

    return store().credential(name, never)  # type: ignore[arg-type]  # made already


def client_context(tls: Key | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS to the simulated DMP with this certificate, or none."""
    context = ssl.create_default_context(cafile=str(store().chain))
    if version:
        context.minimum_version = context.maximum_version = version
    if tls:
        private = tls.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with NamedTemporaryFile() as file:  # each test process has its own
            file.write(private + tls.pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def event(line: str) -> dict[str, object]:
    """A line that a simulator told as JSON."""
    told: dict[str, object] = json.loads(line)
    return told


def rights(path: Path, *lines: str) -> Path:
    """A table of rights in a file."""
    path.write_text("\n".join(("role;type;acces;droits", *lines)))
    return path
