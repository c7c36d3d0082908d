"""What a signed document, or an assertion, costs above a raw signature of the same card."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator

from tests.bench.measure import Measure, p50
from tests.bench.station import Session, Station
from tests.rig.lps import Json
from tests.rig.pdf import pdf

SIZE = 1000 * 1000
LPS: Json = {"name": "LPS SIMULATION", "homologation": "SIM-0001"}
VIHF: Json = {"type": "vihf", "lps": LPS, "patient": {"ins": "185059999900181", "oid": "1.2.250.1.213.1.4.10"}}


def above_raw(station: Station, count: int) -> Iterator[Measure]:
    """Milliseconds above a raw signature (p50), documents of 1 MB by value; the libraries are loaded before."""
    with station.card():
        session = station.log_in()
        session.situate("1")
        forms = _forms()
        times: dict[str, list[float]] = {name: [] for name in forms}
        for round_number in range(count + 1):
            for name, (place, body) in forms.items():
                taken = _time(session, place, body)
                if round_number:  # the first loads the libraries
                    times[name].append(taken)
    alone, raw = p50(times["digest"]), p50(times["raw"])
    yield Measure("VIHF above a raw signature (p50)", p50(times["VIHF"]) - alone, "ms", 5)
    for name, target in {"CAdES": 20, "XAdES": 20, "PAdES": 150, "JWS": None}.items():
        yield Measure(f"{name} of 1 MB above a raw signature of it (p50)", p50(times[name]) - raw, "ms", target)
    yield Measure("  a raw signature of 1 MB over HTTP (p50)", raw, "ms")


def _forms() -> dict[str, tuple[str, Json]]:
    noise = base64.b64encode(os.urandom(SIZE)).decode()
    line = b"<p>" + b"SIMULATION 0123456789 " * 4 + b"</p>"  # some 10,000 elements, as a structured CDA has
    xml = base64.b64encode(b"<cr>" + line * (SIZE // len(line)) + b"</cr>").decode()
    documents: dict[str, Json] = {
        "raw": {"document": noise},
        "digest": {"digest": base64.b64encode(bytes(32)).decode()},
        "CAdES": {"format": "cades", "document": noise},
        "JWS": {"format": "jws", "document": noise},
        "XAdES": {"format": "xades", "document": xml},
        "PAdES": {"format": "pades", "document": base64.b64encode(pdf(ballast=SIZE)).decode()},
    }
    batch: Json = {"document_name": "bench", "batch": {"name": "bench", "count": 10000}}
    signed = {name: ("signatures", {**batch, **body}) for name, body in documents.items()}
    return {**signed, "VIHF": ("assertions", VIHF)}


def _time(session: Session, place: str, body: Json) -> float:
    began = time.perf_counter()
    session.post(place, body)
    return (time.perf_counter() - began) * 1000
