"""The client of cardd's API: what cardctl talks with, and what practice software in Python may import.

    async with CarddClient(secret=secret) as cardd:
        session = await cardd.login()
        signed = await session.sign("compte-rendu.pdf", document=content)

Knows values and errors of cardd and nothing else of it. Every failure is a class of ``cardd.errors``.
"""

from cardd.client.answers import (
    AuthToken,
    Card,
    Certificate,
    Certificates,
    Client,
    Enrolment,
    Expiring,
    Holder,
    Method,
    Paired,
    Pairing,
    Pin,
    Reader,
    SessionState,
    Signature,
    Status,
    SupportStanding,
)
from cardd.client.api import Acting, CarddClient
from cardd.client.session import Session, ToSign

__all__ = [
    "Acting",
    "AuthToken",
    "Card",
    "CarddClient",
    "Certificate",
    "Certificates",
    "Client",
    "Enrolment",
    "Expiring",
    "Holder",
    "Method",
    "Paired",
    "Pairing",
    "Pin",
    "Reader",
    "Session",
    "SessionState",
    "Signature",
    "Status",
    "SupportStanding",
    "ToSign",
]
