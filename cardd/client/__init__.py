"""The client of cardd's API: what cardctl talks with, and what practice software in Python may import.

    async with CarddClient() as cardd:
        await cardd.pair_once("Mon LPS", "Editeur", "mon-lps", on_code=lambda pairing: print(pairing.code))
        async with await cardd.login() as session:
            signed = await session.sign("compte-rendu.pdf", document=content)

The client knows values and errors of cardd, and nothing else of it. Every failure is a class of ``cardd.errors``.
"""

from cardd.client.answers import (
    Advice,
    Assertion,
    AuthToken,
    Card,
    CardProgram,
    Certificate,
    Certificates,
    Client,
    EcpsCheck,
    Enrolment,
    Expiring,
    HandedOver,
    Holder,
    Method,
    Methods,
    Origin,
    PageKey,
    Paired,
    Pairing,
    Pin,
    PscToken,
    Reader,
    SessionState,
    Signature,
    Situation,
    Status,
    SupportStanding,
)
from cardd.client.api import Acting, CarddClient, PscLogin
from cardd.client.secret_file import SecretFile
from cardd.client.session import Form, Lps, Session, ToSign, Vihf
from cardd.client.transport import SOCKET

__all__ = [
    "SOCKET",
    "Acting",
    "Advice",
    "Assertion",
    "AuthToken",
    "Card",
    "CardProgram",
    "CarddClient",
    "Certificate",
    "Certificates",
    "Client",
    "EcpsCheck",
    "Enrolment",
    "Expiring",
    "Form",
    "HandedOver",
    "Holder",
    "Lps",
    "Method",
    "Methods",
    "Origin",
    "PageKey",
    "Paired",
    "Pairing",
    "Pin",
    "PscLogin",
    "PscToken",
    "Reader",
    "SecretFile",
    "Session",
    "SessionState",
    "Signature",
    "Situation",
    "Status",
    "SupportStanding",
    "ToSign",
    "Vihf",
]
