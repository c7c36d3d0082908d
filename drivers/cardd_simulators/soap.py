"""A SOAP 1.2 message as it came, one XML or MTOM's parts, and the answers: envelopes and faults.

Source: W3C SOAP 1.2, WS-Addressing 1.0, MTOM and XOP.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from html import escape
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from cardd.values import Value, field
from cardd_simulators.xmldsig import Xml, parsed

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
SIM = "urn:cardd:simulation"
HEADER_MISSING, HEADER_WRONG = "wsa:MessageAddressingHeaderRequired", "wsa:InvalidAddressingHeader"
NO_SUCH_ACTION = "wsa:ActionNotSupported"
MESSAGE_ID = re.compile(r"(urn:)?uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"

SPACES = {
    "env": ENVELOPE,
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "xop": "http://www.w3.org/2004/08/xop/include",
}
PARTS_MAX = 100


class Refused(Exception):
    """What was asked is refused. ``codes``: each reason, the first the main one; ``sim:…`` but for public codes."""

    def __init__(self, *codes: str) -> None:
        super().__init__(codes[0])
        self.codes = codes


def fault(codes: Sequence[str], relates_to: str) -> bytes:
    """Return the answer that refuses, to the message of this identifier."""
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
    """Return an answer with this body, which is XML already, and these headers where they are not empty."""
    acted = f"<wsa:Action>{escape(action)}</wsa:Action>" if action else ""
    relates = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="{ENVELOPE}" '
        f'xmlns:wsa="http://www.w3.org/2005/08/addressing"><env:Header>{acted}'
        f"{relates}</env:Header><env:Body>{body}</env:Body></env:Envelope>"
    ).encode()


class Message(Value):
    """``octets`` are the envelope's, ``body`` what stands in the Body; ``parts`` the attachments by Content-ID."""

    octets: bytes
    envelope: Xml
    body: Xml
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """Return the MessageID, empty where there is none."""
        return str(self.envelope.findtext("env:Header/wsa:MessageID", "", SPACES)).strip()

    @property
    def action(self) -> str:
        """Return the wsa:Action, empty where there is none."""
        return str(self.envelope.findtext("env:Header/wsa:Action", "", SPACES)).strip()

    def require_addressing(self, action: str) -> None:
        """Hold the headers of WS-Addressing against the Body's ``action``, empty for an unknown Body.

        Raises ``Refused`` with WS-Addressing's own codes.
        """
        for name, code in (("Action", "sim:soap.action"), ("MessageID", "sim:soap.message_id")):
            if len(self.envelope.findall(f"env:Header/wsa:{name}", SPACES)) > 1:
                raise Refused(HEADER_WRONG, code)
        if not self.action:
            raise Refused(HEADER_MISSING, "sim:soap.action")
        if self.action != action:
            raise Refused(NO_SUCH_ACTION, "sim:soap.action")
        if not self.identifier:
            raise Refused(HEADER_MISSING, "sim:soap.message_id")
        if not MESSAGE_ID.fullmatch(self.identifier):
            raise Refused(HEADER_WRONG, "sim:soap.message_id")
        reply_to = self.envelope.find("env:Header/wsa:ReplyTo", SPACES)
        if reply_to is not None and reply_to.findtext("wsa:Address", "", SPACES).strip() != ANONYMOUS:
            raise Refused(HEADER_WRONG, "sim:soap.reply_to")

    @property
    def secured(self) -> Xml | None:
        """Return what stands in wsse:Security."""
        found = self.envelope.findall("env:Header/wsse:Security/*", SPACES)
        return found[0] if len(found) == 1 else None

    def content(self, element: Xml) -> bytes:
        """Return the bytes of an element: those of the part that it includes, or its base64. Raises ``Refused``."""
        include = element.find("xop:Include", SPACES)
        try:
            if include is None:
                return b64decode("".join((element.text or "").split()), validate=True)
            return self.parts[unquote(include.get("href", "").removeprefix("cid:"))]
        except (KeyError, ValueError) as fault:
            raise Refused("sim:document.content") from fault


def answering(answer: Callable[[Message, web.Request], bytes], refused: Callable[[Sequence[str]], None]) -> Handler:
    """Return a handler that answers each message; ``refused`` hears why one is answered with a fault."""

    async def handle(request: web.Request) -> web.Response:
        octets = await request.read()
        identifier, status = "", 200
        try:
            message = message_of(request.headers.get("Content-Type", ""), octets)
            identifier = message.identifier
            body = answer(message, request)
        except Refused as reason:
            refused(reason.codes)
            body, status = fault(reason.codes, identifier), 500
        return web.Response(body=body, status=status, content_type="application/soap+xml", charset="utf-8")

    return handle


def message_of(content_type: str, octets: bytes) -> Message:
    """Return the message of an HTTP request. Raises ``Refused``."""
    try:
        headers = BytesHeaderParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode())
        parts: dict[str, bytes] = {}
        if headers.get_content_type() == "multipart/related":
            octets, parts = _opened(headers, octets)
        envelope = parsed(octets)
    except ValueError as fault:
        raise Refused(f"sim:soap.{'doctype' if str(fault) == 'doctype' else 'malformed'}") from fault
    return Message(octets, envelope, _body(envelope), parts)


def _body(envelope: Xml) -> Xml:
    """Return what stands in the Body of a SOAP 1.2 envelope: one Header at most, then one Body. Raises ``Refused``."""
    header, body = (f"{{{ENVELOPE}}}{name}" for name in ("Header", "Body"))
    places = [str(child.tag) for child in envelope.iterchildren("*")]
    if header in places[1:]:
        raise Refused("sim:soap.header")
    bodies = envelope.xpath("/env:Envelope/env:Body/*", namespaces=SPACES)
    if len(bodies) != 1 or places not in ([header, body], [body]):
        raise Refused("sim:soap.body")
    if len(envelope.findall("env:Header/wsse:Security", SPACES)) > 1:  # one for each receiver (WS-Security, section 5)
        raise Refused("sim:soap.security")
    return bodies[0]


def _opened(headers: Headers, octets: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return the root part and the others. Raises ValueError."""
    boundary = headers.get_boundary()
    if not boundary:
        raise ValueError("boundary")
    pieces = (b"\r\n" + octets).split(b"\r\n--" + boundary.encode())
    if not 3 <= len(pieces) <= PARTS_MAX or not pieces[-1].startswith(b"--"):
        raise ValueError("parts")
    parts = dict(_part(piece) for piece in pieces[1:-1])
    start = str(headers.get_param("start") or next(iter(parts))).strip("<>")
    if start not in parts:
        raise ValueError("start")
    return parts.pop(start), parts


def _part(piece: bytes) -> tuple[str, bytes]:
    """Content-ID and bytes of a part; MTOM parts are binary."""
    head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("part")
    told = BytesHeaderParser().parsebytes(head.lstrip() + b"\r\n\r\n")
    if told.get("Content-Transfer-Encoding", "binary").lower() == "base64":
        content = b64decode(content)
    return str(told.get("Content-ID", "")).strip().strip("<>"), content
