"""The simulated INSi on loopback, and messages for it as a practice software sends them. All people are fictitious."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from lxml import etree

from cardd.formats.saml.insi import prepare_insi, unsigned_insi
from cardd.formats.saml.profiles import profile_named
from cardd.formats.saml.request import InsiCall, Means
from cardd.simulator import ServerOptions
from cardd.values import replace
from cardd_simulators.identities import INSI_SOFTWARE, insi_identities
from cardd_simulators.insi.simulator import InsiSimulator
from tests.rig.dmp import Lps, card, client_context, key_of, running
from tests.rig.ports import free_port
from tests.rig.saml import REGISTRATION, Key, StoppedClock
from tests.rig.simulator import STATE, store

TEMPLATE = Path(__file__).parents[2] / "docs" / "examples" / "insi" / "request.xml"
PATIENT = ("SIMULATION", "PATIENT", "M", "1985-05-09")
RESULT = {"r": "http://www.cnamts.fr/INSiResultat"}
CALL = InsiCall("991234567", "01")


@dataclass
class RunningInsi:
    """A running simulated INSi, and what it reported."""

    port: int
    told: asyncio.Queue[str]

    async def next(self) -> str:
        """The next thing that it tells."""
        async with asyncio.timeout(20):
            return await self.told.get()

    async def ask(self, tls: Key | None, message: str) -> Told:
        """Send a message as it is."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"https://localhost:{self.port}/simulation/insi",
                data=message.encode(),
                headers={"Content-Type": "application/soap+xml; charset=utf-8"},
                ssl=client_context(tls),
            ) as response,
        ):
            return Told(response.status, await response.read())


@dataclass(frozen=True)
class Told:
    """A SOAP answer."""

    status: int
    body: bytes

    @property
    def codes(self) -> list[str]:
        """The reasons of a fault, the main one first."""
        return [str(each.text) for each in etree.fromstring(self.body).iter("{urn:cardd:simulation}Raison")]

    @property
    def result(self) -> str:
        """CodeCR, INS and key of an answer."""
        root = etree.fromstring(self.body)
        names = ("CodeCR", "NumIdentifiant", "Cle")
        return " ".join(root.findtext(f".//r:{name}", "–", RESULT) for name in names)


@asynccontextmanager
async def running_insi(
    *, port: int = 0, people: Path | None = None, as_json: bool = False, **settings: str
) -> AsyncIterator[RunningInsi]:
    """A simulated INSi with these settings, listening when the block begins."""
    port = port or free_port()
    told: asyncio.Queue[str] = asyncio.Queue()
    options = ServerOptions(port, STATE, people=people, language="en", settings=settings, json=as_json)
    async with running(InsiSimulator(), options, told):
        yield RunningInsi(port, told)


def software() -> Key:
    """The fictitious software certificate, whose CN is INSI-AUTO."""
    insi_identities(store())

    def never(*_: object) -> None:
        raise AssertionError(INSI_SOFTWARE)

    return key_of(store().credential(INSI_SOFTWARE, never))  # type: ignore[arg-type]  # made already


def assertion(lps: Lps, call: InsiCall = CALL) -> str:
    """An INSi assertion by somebody's card, as cardd makes it."""
    prepared = prepare_insi(
        lps.speaker, lps.pen.signer, call, profile=profile_named("2024"), clock=StoppedClock(datetime.now(UTC))
    )
    return bare(lps.pen.finish(prepared))


def assertion_of_psc() -> str:
    """An INSi assertion after a login by Pro Santé Connect, as cardd makes it."""
    speaker = card().speaker
    person = replace(speaker, login=replace(speaker.login, means=Means.MOBILE))
    registration = replace(REGISTRATION, insi_issuer="CN=SIMULATION")
    return bare(unsigned_insi(person, registration, CALL, StoppedClock(datetime.now(UTC))).read())


def bare(content: bytes) -> str:
    """An assertion as it stands in a message."""
    text = content.decode()
    return text.partition("?>\n")[2] if text.startswith("<?xml") else text


def request(asserted: str, traits: tuple[str, ...] = PATIENT) -> str:
    """The example's message for these traits."""
    parts = dict(zip(("NAME", "GIVEN", "SEX", "DATE"), traits, strict=True))
    parts |= {"ASSERTION": asserted, "SENDER": "899000000010", "NOW": "2026-11-30T10:15:00.250Z"}
    parts |= {"MESSAGE": "6a1d0c52-93b4-4c1e-8a77-5e0f3b2d4c19"}
    text = TEMPLATE.read_text()
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text
