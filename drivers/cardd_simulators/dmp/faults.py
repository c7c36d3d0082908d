"""Why the sandbox refuses, and the SOAP 1.2 fault that says so."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
SIM = "urn:cardd:simulation:dmp"
INVALID_CERTIFICATE = "DMPInvalidCertificate"  # the DMP's own code for a key of the wrong kind: the only one known


class Refused(Exception):
    """What was asked is refused. ``codes``: each reason, the first the main one; ``sim:…`` but for the DMP's own."""

    def __init__(self, *codes: str) -> None:
        super().__init__(codes[0])
        self.codes = codes


def fault(codes: Sequence[str], relates_to: str) -> bytes:
    """The answer that refuses, to the message of this identifier."""
    reasons = "".join(f"<sim:Raison>{escape(code)}</sim:Raison>" for code in codes)
    sentence = f"Refused by the simulation / Refusé par la simulation : {escape(', '.join(codes))}"
    return envelope(
        f'<env:Fault xmlns:sim="{SIM}"><env:Code><env:Value>env:Sender</env:Value>'
        f"<env:Subcode><env:Value>{escape(codes[0])}</env:Value></env:Subcode></env:Code>"
        f'<env:Reason><env:Text xml:lang="fr">{sentence}</env:Text></env:Reason>'
        f"<env:Detail>{reasons}</env:Detail></env:Fault>",
        "http://www.w3.org/2005/08/addressing/fault",
        relates_to,
    )


def envelope(body: str, action: str, relates_to: str) -> bytes:
    """An answer with this body, which is XML already."""
    relates = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="{ENVELOPE}" '
        f'xmlns:wsa="http://www.w3.org/2005/08/addressing"><env:Header><wsa:Action>{escape(action)}</wsa:Action>'
        f"{relates}</env:Header><env:Body>{body}</env:Body></env:Envelope>"
    ).encode()
