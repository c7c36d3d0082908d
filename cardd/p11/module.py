"""What one program gets from its PKCS#11 module: each function of ``calls``, as the standard has it.

A program is one connection: what it opened ends with it. Slots, tokens and objects are told without a login, without a
dialog, and without a card that has been read before being touched. Nothing can be written.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from itertools import count

from cardd import __version__
from cardd.core.inserted_card import InsertedCard
from cardd.model import Caller, KeyRef
from cardd.p11.changes import SlotChanges
from cardd.p11.cryptoki import Refused, Rv, SessionFlag, SlotFlag, TokenFlag, UserType
from cardd.p11.mechanisms import Parts, Signing, ensure_decrypting, mechanisms_of, signing_by, to_sign
from cardd.p11.objects import require_key
from cardd.p11.tokens import Token, Tokens
from cardd.p11.uses import ProgramUses
from cardd.p11.wire import Reader, attributes, length, octets, padded, ulong, ulongs, version
from cardd.values import Record, field

HANDSHAKE = b"PRIVATE-GNOME-KEYRING-PKCS11-PROTOCOL-V-1"
SESSIONS_MAX = 128
RANDOM_MAX = 64 * 1024
HANDLES = 2**31  # which a program of 32 bits can have too
CRYPTOKI = (2, 40)
MANUFACTURER = "cardd"
UNKNOWN = 0xFFFFFFFFFFFFFFFF  # CK_UNAVAILABLE_INFORMATION
DONT_BLOCK = 1
# seconds: the client ends its process where C_Finalize is answered before another thread has left its own call
ANSWERS_TAKEN = 0.05
TOKEN_FLAGS = (
    TokenFlag.RNG
    | TokenFlag.WRITE_PROTECTED
    | TokenFlag.USER_PIN_INITIALIZED
    | TokenFlag.PROTECTED_AUTHENTICATION_PATH
    | TokenFlag.TOKEN_INITIALIZED
)

PADDING = 11  # bytes at least, of PKCS#1 v1.5
# by whether a session may write, and whether the program has logged in (CKS_…)
STATES = {(False, False): 0, (False, True): 1, (True, False): 2, (True, True): 3}

Answer = bytes | Awaitable[bytes]


class OpenSession(Record, eq=False):
    """One session of the program; ``found`` is what is left of a search."""

    handle: int
    slot: int
    card: InsertedCard
    flags: int
    found: list[int] | None = None
    signing: SignatureBegun | None = None
    decrypting: int | None = None  # by a key of this size, in bytes


class SignatureBegun(Record, eq=False):
    """A signature under way: by which key and mechanism, and what came of its data in parts."""

    key: KeyRef
    by: Signing
    size: int
    parts: Parts | None = None


class Module(Record):
    """The module as one program has it; a method for each function, which raises Refused or Malformed."""

    program: Caller
    tokens: Tokens
    uses: ProgramUses
    changes: SlotChanges
    _is_initialized: bool = False
    _sessions: dict[int, OpenSession] = field(default_factory=dict)
    _handles: count[int] = field(default_factory=lambda: count(1))

    def ensure_begun(self, function: str) -> None:
        """Raises Refused for a function before C_Initialize, or after C_Finalize."""
        if not self._is_initialized and function != "initialize":
            raise Refused(Rv.CRYPTOKI_NOT_INITIALIZED)

    # --- general

    def initialize(self, call: Reader) -> bytes:
        """C_Initialize."""
        handshake = call.octets()
        call.byte()
        call.octets()
        if handshake != HANDSHAKE:
            raise Refused(Rv.GENERAL_ERROR)
        if self._is_initialized:
            raise Refused(Rv.CRYPTOKI_ALREADY_INITIALIZED)
        self._is_initialized = True
        self.changes.begin()
        return b""

    def finalize(self, _call: Reader) -> Answer:
        """C_Finalize: calls that wait are answered before, and p11-kit's client is given the time to take that."""
        is_waiting = self.changes.is_waiting
        self.end()
        return self._finalized() if is_waiting else b""

    async def _finalized(self) -> bytes:
        await asyncio.sleep(ANSWERS_TAKEN)
        return b""

    @property
    def is_begun(self) -> bool:
        """Whether the program has called C_Initialize."""
        return self._is_initialized

    def resume(self) -> None:
        """Go on with a program of the daemon before this one: what it had opened there is not known here.

        No session that it opens from now on has a handle that it may still use for one of before.
        """
        self._is_initialized = True
        self.changes.begin()
        self._handles = count(1 + secrets.randbelow(HANDLES))

    def end(self) -> None:
        """End all that the program has opened."""
        self._is_initialized = False
        self._sessions.clear()
        self.changes.end()
        self.uses.end()

    def get_info(self, _call: Reader) -> bytes:
        """C_GetInfo."""
        library = padded("Health professionals' cards", 32)
        return b"".join((version(*CRYPTOKI), padded(MANUFACTURER, 32), ulong(0), library, _own_version()))

    def wait_for_slot_event(self, call: Reader) -> Answer:
        """C_WaitForSlotEvent."""
        slot = self.changes.next()
        if slot is not None:
            return ulong(slot)
        if call.ulong() & DONT_BLOCK:
            raise Refused(Rv.NO_EVENT)
        return self._slot_event(self.changes.wait())

    async def _slot_event(self, slot: Awaitable[int]) -> bytes:
        return ulong(await slot)

    # --- slots and tokens

    def get_slot_list(self, call: Reader) -> bytes:
        """C_GetSlotList."""
        only_with_token, room = call.byte(), call.room()
        slots = self.tokens.slots(self.program)
        if only_with_token:
            slots = [slot for slot in slots if self.tokens.card_in(slot, self.program)]
        return ulongs(slots, room)

    def get_slot_info(self, call: Reader) -> bytes:
        """C_GetSlotInfo."""
        slot = self._slot(call)
        flags = SlotFlag.REMOVABLE_DEVICE | SlotFlag.HW_SLOT
        if self.tokens.card_in(slot, self.program):
            flags |= SlotFlag.TOKEN_PRESENT
        reader = self.tokens.reader_of(slot) or f"cardd {slot}"
        return b"".join((padded(reader, 64), padded(MANUFACTURER, 32), ulong(flags), _own_version(), version(0, 0)))

    def get_token_info(self, call: Reader) -> Answer:
        """C_GetTokenInfo."""
        return self._with_token(self._card(self._slot(call)), self._token_info)

    def _token_info(self, token: Token) -> bytes:
        texts = ((token.label, 32), (MANUFACTURER, 32), (token.model, 16), (token.serial, 16))
        opened = len(self._sessions)
        writing = sum(bool(session.flags & SessionFlag.RW) for session in self._sessions.values())
        counts = (SESSIONS_MAX, opened, SESSIONS_MAX, writing, 256, 1, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        # files that nobody has opened show nothing: a program must log in to see their keys
        flags = TOKEN_FLAGS if token.objects else TOKEN_FLAGS | TokenFlag.LOGIN_REQUIRED
        told = (ulong(flags, *counts), version(0, 0), version(0, 0), padded("", 16))
        return b"".join((*(padded(text, size) for text, size in texts), *told))

    def get_mechanism_list(self, call: Reader) -> Answer:
        """C_GetMechanismList."""
        card, room = self._card(self._slot(call)), call.room()
        return self._with_token(card, lambda token: ulongs(list(mechanisms_of(token.objects)), room))

    def get_mechanism_info(self, call: Reader) -> Answer:
        """C_GetMechanismInfo."""
        card, number = self._card(self._slot(call)), call.ulong()

        def told(token: Token) -> bytes:
            found = mechanisms_of(token.objects).get(number)
            if found is None:
                raise Refused(Rv.MECHANISM_INVALID)
            return ulong(found.least, found.most, found.flags)

        return self._with_token(card, told)

    # --- sessions

    def open_session(self, call: Reader) -> bytes:
        """C_OpenSession: read-write ones too, in which nothing can be written either."""
        slot, flags = self._slot(call), call.ulong()
        if not flags & SessionFlag.SERIAL:
            raise Refused(Rv.SESSION_PARALLEL_NOT_SUPPORTED)
        card = self._card(slot)
        if len(self._sessions) >= SESSIONS_MAX:
            raise Refused(Rv.SESSION_COUNT)
        handle = next(self._handles)
        self._sessions[handle] = OpenSession(handle, slot, card, flags & (SessionFlag.RW | SessionFlag.SERIAL))
        return ulong(handle)

    def close_session(self, call: Reader) -> bytes:
        """C_CloseSession."""
        session = self._session(call)
        del self._sessions[session.handle]
        self._log_out_unless_in_use(session.card)
        return b""

    def close_all_sessions(self, call: Reader) -> bytes:
        """C_CloseAllSessions."""
        slot = self._slot(call)
        closed = {each.card for each in self._sessions.values() if each.slot == slot}
        self._sessions = {handle: each for handle, each in self._sessions.items() if each.slot != slot}
        for card in closed:
            self._log_out_unless_in_use(card)
        return b""

    def _log_out_unless_in_use(self, card: InsertedCard) -> None:
        """End the program's login with its last session, as PKCS#11 has it; that of its other processes lives on."""
        if not any(each.card is card for each in self._sessions.values()):
            self.uses.forget(card)

    def get_session_info(self, call: Reader) -> bytes:
        """C_GetSessionInfo."""
        session = self._session(call)
        is_writing = bool(session.flags & SessionFlag.RW)
        state = STATES[is_writing, self.uses.is_logged_in(session.card)]
        return ulong(session.slot, state, session.flags, 0)

    def login(self, call: Reader) -> Answer:
        """C_Login: by cardd's own dialog, whatever PIN came with it."""
        session, user = self._session(call), call.ulong()
        call.octets()
        match user:
            case UserType.USER:
                if self.uses.is_logged_in(session.card):
                    raise Refused(Rv.USER_ALREADY_LOGGED_IN)
                return self._logged_in(session)
            case UserType.CONTEXT_SPECIFIC:
                if session.signing is None:
                    raise Refused(Rv.OPERATION_NOT_INITIALIZED)
                return b""
            case _:
                raise Refused(Rv.USER_TYPE_INVALID)

    async def _logged_in(self, session: OpenSession) -> bytes:
        await self.uses.log_in(session.card)
        return b""

    def logout(self, call: Reader) -> bytes:
        """C_Logout."""
        self.uses.log_out(self._session(call).card)
        return b""

    def card_removed(self, card: InsertedCard) -> None:
        """End the sessions of a card that left."""
        self._sessions = {handle: each for handle, each in self._sessions.items() if each.card is not card}

    # --- objects

    def create_object(self, call: Reader) -> bytes:
        """C_CreateObject."""
        self._session(call)
        raise Refused(Rv.TOKEN_WRITE_PROTECTED)

    def find_objects_init(self, call: Reader) -> Answer:
        """C_FindObjectsInit."""
        session, template = self._session(call), call.template()
        if session.found is not None:
            raise Refused(Rv.OPERATION_ACTIVE)

        def find(token: Token) -> bytes:
            session.found = [place for place, found in enumerate(token.objects, 1) if found.matches(template)]
            return b""

        return self._with_token(session.card, find)

    def find_objects(self, call: Reader) -> bytes:
        """C_FindObjects."""
        session, room = self._session(call), call.room()
        if session.found is None:
            raise Refused(Rv.OPERATION_NOT_INITIALIZED)
        found, session.found = session.found[:room], session.found[room:]
        return ulongs(found, room)

    def find_objects_final(self, call: Reader) -> bytes:
        """C_FindObjectsFinal."""
        session = self._session(call)
        if session.found is None:
            raise Refused(Rv.OPERATION_NOT_INITIALIZED)
        session.found = None
        return b""

    def get_attribute_value(self, call: Reader) -> Answer:
        """C_GetAttributeValue."""
        session, handle, wanted = self._session(call), call.ulong(), call.wanted()

        def read(token: Token) -> bytes:
            found = token.object(handle)
            if found is None:
                raise Refused(Rv.OBJECT_HANDLE_INVALID)
            values, rv = found.read(wanted)
            return attributes(values) + ulong(rv)

        return self._with_token(session.card, read)

    # --- signatures

    def sign_init(self, call: Reader) -> Answer:
        """C_SignInit."""
        session, (mechanism, parameters), handle = self._session(call), call.mechanism(), call.ulong()
        if mechanism is None:  # the program gives up what it began
            session.signing = None
            return b""
        if session.signing is not None:
            raise Refused(Rv.OPERATION_ACTIVE)

        def begin(token: Token) -> bytes:
            key, public = require_key(token.object(handle))
            session.signing = SignatureBegun(key, signing_by(mechanism, parameters, key), public.signature_size)
            return b""

        return self._with_token(session.card, begin)

    def sign(self, call: Reader) -> Answer:
        """C_Sign."""
        session, data, room = self._session(call), call.octets(), call.room()
        begun = self._begun(session)
        if data is None or begun.parts:
            session.signing = None
            raise Refused(Rv.ARGUMENTS_BAD if data is None else Rv.OPERATION_ACTIVE)
        return length(begun.size) if room < begun.size else self._signed(session, begun, data)

    def sign_update(self, call: Reader) -> bytes:
        """C_SignUpdate."""
        session, data = self._session(call), call.octets()
        begun = self._begun(session)
        if begun.by.hash is None:
            session.signing = None
            raise Refused(Rv.FUNCTION_NOT_SUPPORTED)
        begun.parts = begun.parts or Parts(begun.by.hash)
        begun.parts.add(data or b"")
        return b""

    def sign_final(self, call: Reader) -> Answer:
        """C_SignFinal."""
        session, room = self._session(call), call.room()
        begun = self._begun(session)
        return length(begun.size) if room < begun.size else self._signed(session, begun, begun.parts or b"")

    def _begun(self, session: OpenSession) -> SignatureBegun:
        if session.signing is None:
            raise Refused(Rv.OPERATION_NOT_INITIALIZED)
        return session.signing

    async def _signed(self, session: OpenSession, begun: SignatureBegun, data: bytes | Parts) -> bytes:
        session.signing = None
        return octets(await self.uses.sign(session.card, begun.key, to_sign(begun.by, data, begun.key)))

    # --- decryption

    def decrypt_init(self, call: Reader) -> Answer:
        """C_DecryptInit."""
        session, (mechanism, _), handle = self._session(call), call.mechanism(), call.ulong()
        if mechanism is None:
            session.decrypting = None
            return b""
        if session.decrypting is not None:
            raise Refused(Rv.OPERATION_ACTIVE)

        def begin(token: Token) -> bytes:
            key, public = require_key(token.object(handle))
            ensure_decrypting(mechanism, key)
            session.decrypting = public.signature_size
            return b""

        return self._with_token(session.card, begin)

    def decrypt(self, call: Reader) -> Answer:
        """C_Decrypt: a caller without room for the longest content is told that one's length, and asks again."""
        session, cryptogram, room = self._session(call), call.octets(), call.room()
        if session.decrypting is None:
            raise Refused(Rv.OPERATION_NOT_INITIALIZED)
        size = session.decrypting
        if room < size - PADDING:
            return length(size)
        session.decrypting = None
        if cryptogram is None or len(cryptogram) != size:
            raise Refused(Rv.ARGUMENTS_BAD if cryptogram is None else Rv.ENCRYPTED_DATA_LEN_RANGE)
        return self._decrypted(session, cryptogram)

    async def _decrypted(self, session: OpenSession, cryptogram: bytes) -> bytes:
        return octets(await self.uses.decrypt(session.card, cryptogram))

    # --- random numbers, which some programs try

    def seed_random(self, call: Reader) -> bytes:
        """C_SeedRandom."""
        self._session(call)
        raise Refused(Rv.RANDOM_SEED_NOT_SUPPORTED)

    def generate_random(self, call: Reader) -> bytes:
        """C_GenerateRandom."""
        self._session(call)
        wanted = call.room()
        if wanted > RANDOM_MAX:
            raise Refused(Rv.ARGUMENTS_BAD)
        return octets(os.urandom(wanted))

    # --- what a call names

    def _slot(self, call: Reader) -> int:
        slot = call.ulong()
        self.tokens.ensure_slot(slot, self.program)
        return slot

    def _card(self, slot: int) -> InsertedCard:
        card = self.tokens.card_in(slot, self.program)
        if card is None:
            raise Refused(Rv.TOKEN_NOT_PRESENT)
        return card

    def _session(self, call: Reader) -> OpenSession:
        session = self._sessions.get(call.ulong())
        if session is None:
            raise Refused(Rv.SESSION_HANDLE_INVALID)
        return session

    def _with_token(self, card: InsertedCard, told: Callable[[Token], bytes]) -> Answer:
        """Return what is told of a token: at once, where the card has been read."""
        self.tokens.ensure_visible(card, self.program)
        token = self.tokens.known(card)
        return told(token) if token else self._when_read(card, told)

    async def _when_read(self, card: InsertedCard, told: Callable[[Token], bytes]) -> bytes:
        return told(await self.tokens.token(card))


def _own_version() -> bytes:
    major, minor, *_ = __version__.split(".")
    return version(int(major), int(minor))


Handler = Callable[[Module, Reader], Answer]
