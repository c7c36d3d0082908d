"""What the daemon and a module's process say to each other: frames of 4 bytes length and a msgpack value.

Secrets are no part of a frame: their bytes follow it, straight from one locked page into another.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from msgspec import Struct, msgpack

from cardd.frames import Broken, framed, receive, receive_into
from cardd.secret import CAPACITY, Secret

FRAME_MAX = 2 * 1024 * 1024
EVENT = b"!"  # a token came or went, or the process ended; told on a socket of its own

_encoder = msgpack.Encoder()


class Request(Struct, tag=True, frozen=True):
    """What is asked of the module; ``secrets`` are the lengths of those that follow."""

    secrets: tuple[int, ...] = ()


class PinRequest(Request, kw_only=True, frozen=True):
    """What takes a PIN is for one token and no other that may have come into its slot: ``serial`` is that token's."""

    slot: int
    serial: str


class ListTokens(Request, frozen=True):
    """The tokens that are present."""


class Describe(Request, kw_only=True, frozen=True):
    """The certificates of a token and what it can do."""

    slot: int


class Login(PinRequest, kw_only=True, frozen=True):
    """Log in; without a secret the token's own keypad asks."""


class Logout(Request, kw_only=True, frozen=True):
    """End the login, and every session; ``reset`` the card besides, unless the daemon does it."""

    slot: int
    reset: bool


INFO = "DigestInfo"


class Sign(Request, kw_only=True, frozen=True):
    """Sign a digest, whose hash is ``kind``, with the private key of this CKA_ID; ``algorithm`` by its JOSE name.

    ``INFO`` stands for PKCS#1 v1.5 of a whole DigestInfo, in the digest's place.
    """

    slot: int
    key: bytes
    algorithm: str
    digest: bytes
    kind: str = "sha256"


class ChangePin(PinRequest, kw_only=True, frozen=True):
    """Replace the PIN: the old one and the new one follow."""


class UnblockPin(PinRequest, kw_only=True, frozen=True):
    """Set a new PIN as the security officer, whose PIN and the new one follow."""


class TokenState(Struct, frozen=True):
    """One present token, as the module describes it; ``flags`` are its CKF_… bits, ``pin`` the lengths of its PINs.

    ``is_card`` says that the module uses PC/SC: the token may be a card, which other programs can use.
    """

    slot: int
    slot_name: str
    label: str
    serial: str
    flags: int
    pin: tuple[int, int]
    is_card: bool


class TokenCertificate(Struct, frozen=True):
    """A certificate with the CKA_ID that it shares with its key."""

    id: bytes
    label: str
    der: bytes


class Description(Struct, frozen=True):
    """What ``Describe`` gives; ``mechanisms`` are CKM_… numbers."""

    token: TokenState
    certificates: tuple[TokenCertificate, ...]
    mechanisms: tuple[int, ...]


class Reply(Struct, frozen=True):
    """The module's return value (CKR_…, 0 for OK; -1 for what is no return value) and what it gave.

    ``mute`` counts slots that hold something that says nothing of itself; ``of_new`` says that the new PIN was refused,
    and not what was to allow it; ``leaving`` that the process ends now, for it has grown too large.
    """

    code: int
    why: str = ""
    tokens: tuple[TokenState, ...] = ()
    mute: int = 0
    description: Description | None = None
    signature: bytes = b""
    flags: int = 0
    of_new: bool = False
    leaving: bool = False


Requests = ListTokens | Describe | Login | Logout | Sign | ChangePin | UnblockPin

_requests = msgpack.Decoder(Requests)
_replies = msgpack.Decoder(Reply)


def send_request(link: socket.socket, request: Requests, secrets: Sequence[Secret] = ()) -> None:
    """Send a request and its secrets."""
    frame = framed(_encoder.encode(request))
    with ExitStack() as views:
        parts = [memoryview(frame), *(views.enter_context(secret.view()) for secret in secrets)]
        for part in parts:
            link.sendall(part)


def receive_request(link: socket.socket) -> tuple[Requests, list[Secret]]:
    """Wait for the next request; each secret is in a page of its own. Raises Broken."""
    request = _requests.decode(receive(link, FRAME_MAX))
    return request, [_secret(link, size) for size in request.secrets]


def send_reply(link: socket.socket, reply: Reply) -> None:
    """Answer."""
    link.sendall(framed(_encoder.encode(reply)))


def receive_reply(link: socket.socket, deadline: float) -> Reply:
    """Wait for the answer until the monotonic ``deadline``. Raises Broken, TimeoutError."""
    try:
        return _replies.decode(receive(link, FRAME_MAX, deadline))
    except (ValueError, RecursionError) as error:
        raise Broken from error


def _secret(link: socket.socket, size: int) -> Secret:
    if not 0 < size <= CAPACITY:
        raise Broken
    secret = Secret()
    with secret.room() as room:
        receive_into(link, room[:size])
    secret.keep(0, size)
    return secret
