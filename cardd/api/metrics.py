"""GET /metrics on the Unix socket: counts, times and states in Prometheus' text format, which name nobody.

Source: Prometheus, "Exposition formats" (text, 0.0.4). No card is asked for anything.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from cardd.api.answers import Reply
from cardd.api.call import Call
from cardd.core.inserted_card import InsertedCard
from cardd.core.owners import is_administrator
from cardd.errors import CarddError, PcscUnavailable, StateUnavailable, SupportAdministratorOnly
from cardd.request import Where
from cardd.values import Value

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float]]


class Family(Value):
    """One metric: its name, its type, what it means, and its samples."""

    name: str
    type: str
    help: str
    samples: Samples

    def lines(self) -> Iterator[str]:
        """Return its lines; a histogram's samples have their own endings."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.type}"
        for labels, value in self.samples:
            ending = labels.get("", "")
            shown = ",".join(f'{name}="{_escaped(told)}"' for name, told in labels.items() if name)
            yield f"{self.name}{ending}{{{shown}}} {value!r}" if shown else f"{self.name}{ending} {value!r}"


async def show(call: Call) -> Reply:
    """Return them, for root, the service's own user and whom the configuration names.

    Raises SupportAdministratorOnly.
    """
    if not (is_administrator(call.peer.uid) or call.parts.may_read_metrics(call.peer.uid)):
        raise SupportAdministratorOnly
    lines = [line for family in (*_counted(call), *_present(call)) for line in family.lines()]
    return Reply(body="\n".join([*lines, ""]).encode(), media_type=MEDIA_TYPE)


def _counted(call: Call) -> Iterator[Family]:
    """Return what was counted since the service started."""
    observer = call.parts.observer
    counts = observer.counts
    yield Family("cardd_build_info", "gauge", "The version that runs.", [({"version": call.parts.version}, 1)])
    yield Family(
        "cardd_signatures_total", "counter", "Signatures asked for.", _pairs(counts.signatures, "format", "outcome")
    )
    yield Family("cardd_logins_total", "counter", "Logins asked for.", _pairs(counts.logins, "method", "outcome"))
    yield Family(
        "cardd_failures_total", "counter", "Requests that failed, by the error's code.", _each(counts.failures, "code")
    )
    yield Family(
        "cardd_requests_total",
        "counter",
        "Requests answered, by class of status.",
        _each(counts.requests, "status"),
    )
    waited = [({"for": where.value}, counts.seconds[where]) for where in Where]
    yield Family(
        "cardd_waiting_seconds_total",
        "counter",
        "Seconds of requests that each of them took.",
        waited,
    )
    yield Family(
        "cardd_dialogs_total",
        "counter",
        "Dialogs, by topic and end.",
        _pairs(counts.dialogs, "topic", "outcome"),
    )
    dialogs = sum(number * times for number, times in counts.sessions.items())
    sessions: list[tuple[Labels, float]] = [
        *(({"": "_bucket", "le": bound}, times) for bound, times in observer.histogram()),
        ({"": "_sum"}, dialogs),
        ({"": "_count"}, counts.sessions.total()),
    ]
    yield Family("cardd_session_dialogs", "histogram", "Dialogs of each session that ended.", sessions)


def _present(call: Call) -> Iterator[Family]:
    """Return how things stand now."""
    readers = call.parts.readers.every
    states = []
    with contextlib.suppress(PcscUnavailable):
        states = readers.readers()
    # by their places: the name of a token is what its owner calls it
    cards = {str(place): state.card for place, state in enumerate(states, 1) if state.card}
    sessions = Counter((session.method, session.state.value) for session in call.parts.sessions.every())
    yield Family("cardd_reader_service_up", "gauge", "Whether PC/SC answers.", [({}, int(readers.available))])
    yield Family("cardd_readers", "gauge", "Reader slots.", [({}, len(states))])
    yield Family(
        "cardd_cards", "gauge", "Cards inserted.", _each(Counter(card.kind.value for card in cards.values()), "kind")
    )
    yield Family("cardd_sessions", "gauge", "Sessions that are open.", _pairs(sessions, "method", "state"))
    yield Family(
        "cardd_certificate_left_seconds",
        "gauge",
        "Seconds until a certificate ends, of cards that were read and of the organisation.",
        [*_of_cards(call, cards), *_of_organisation(call)],
    )


def _of_cards(call: Call, cards: Mapping[str, InsertedCard]) -> Iterator[tuple[Labels, float]]:
    from cardd.formats.certificate import facts_of  # noqa: PLC0415 - with the first certificate

    now = call.parts.clock.now()
    for place, card in cards.items():
        known = card.access.known
        if known is None:
            continue
        purposes = {key.id: key.purpose.value for key in known[0].keys}
        for certificate in known[1]:
            with contextlib.suppress(CarddError):
                left = (facts_of(certificate.der).not_after - now).total_seconds()
                of = {"of": "card", "reader": place, "purpose": purposes.get(certificate.key_id, "other")}
                yield of, int(left)


def _of_organisation(call: Call) -> Iterator[tuple[Labels, float]]:
    with contextlib.suppress(StateUnavailable):
        for place, left in enumerate(call.parts.methods.expiry.seconds_left()):
            yield {"of": "organisation", "reader": "", "purpose": str(place)}, left


def _each(counter: Mapping[str, int], label: str) -> Samples:
    return [({label: value}, times) for value, times in sorted(counter.items())]


def _pairs(counter: Mapping[tuple[str, str], int], first: str, second: str) -> Samples:
    return [({first: one, second: other}, times) for (one, other), times in sorted(counter.items())]


def _escaped(told: str) -> str:
    return told.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
