"""The revocation of a whole path: from answers that are kept, else from the network, else it is told to be unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from asn1crypto import x509
from pyhanko_certvalidator.path import ValidationPath

from cardd.formats.revocation.judging import judged
from cardd.formats.revocation.queries import Query, queries
from cardd.formats.revocation.status import Revocation, Source, Status, Why
from cardd.formats.trust import name_of

R = TypeVar("R")

ANSWER_MAX = {
    Source.OCSP: 64 * 1024,
    Source.CRL: 8 * 1024 * 1024,
}  # a list of 100,000 is 5 MB, and 90 MB while it is read


class Network(Protocol):
    """The way to the authorities."""

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """The answer to a GET, or to a POST of an OCSP request; None when none comes, or one larger than that."""
        ...


class Answers(Protocol):
    """Answers that counted, kept for a while. Both may be called in any thread, and block."""

    def load(self, key: str) -> bytes | None:
        """The answer of this name, if it is still there."""
        ...

    def save(self, key: str, answer: bytes) -> None:
        """Keep it, in place of older ones if need be."""
        ...


class Revocations:
    """Asks about the certificates of a path; without ``network`` only what is kept is known."""

    def __init__(self, network: Network | None, answers: Answers, now: Callable[[], datetime]) -> None:
        self._network = network
        self._answers = answers
        self._now = now
        self._list = asyncio.Lock()  # only one is read at a time

    async def of(self, path: ValidationPath) -> tuple[Revocation, ...]:
        """Of each certificate below the path's authority, the signer's first."""
        certificates = [*path.iter_certs(include_root=False)][::-1]
        return tuple(await asyncio.gather(*(self._of_one(certificate, path) for certificate in certificates)))

    async def _of_one(self, certificate: x509.Certificate, path: ValidationPath) -> Revocation:
        found = [_unknown(certificate, Why.NO_SOURCE)]
        for query in await asyncio.to_thread(_queries, certificate, path):
            found.append(await self._answered(query, certificate, path))
            if found[-1].status is not Status.UNKNOWN:
                return found[-1]
        return max(found, key=_tells)

    async def _answered(self, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation:
        """From what is kept while that is of now, else from the network; only what counts is kept."""
        kept = await self._read(query, self._kept, certificate, path)
        if self._network is None or (kept is not None and kept.status is not Status.UNKNOWN):
            return kept or _unknown(certificate, Why.OFFLINE)
        answer = await self._network.fetch(query.url, query.body, ANSWER_MAX[query.source])
        if answer is None:
            return _unknown(certificate, Why.UNREACHABLE)
        return await self._read(query, partial(self._judged, answer), certificate, path)

    async def _read(
        self,
        query: Query,
        reader: Callable[[Query, x509.Certificate, ValidationPath], R],
        certificate: x509.Certificate,
        path: ValidationPath,
    ) -> R:
        async with self._list if query.source is Source.CRL else nullcontext():
            return await asyncio.to_thread(reader, query, certificate, path)

    def _kept(self, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation | None:
        answer = self._answers.load(query.key)
        return None if answer is None else judged(answer, query.source, certificate, path, self._now())

    def _judged(self, answer: bytes, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation:
        found = judged(answer, query.source, certificate, path, self._now())
        if found.status is not Status.UNKNOWN:
            self._answers.save(query.key, answer)
        return found


def _queries(certificate: x509.Certificate, path: ValidationPath) -> list[Query]:
    try:
        return queries(certificate, path.find_issuing_authority(certificate))
    except (ValueError, TypeError, KeyError):  # an extension that cannot be read names nobody
        return []


def _unknown(certificate: x509.Certificate, why: Why) -> Revocation:
    return Revocation(name_of(certificate), Status.UNKNOWN, why=why)


def _tells(revocation: Revocation) -> int:
    return list(Why).index(revocation.why) if revocation.why else 0
