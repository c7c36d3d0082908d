"""A module's tokens, in the module's own process: what is there, and the use of its keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Protocol, cast

from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass, Session, Slot, Token, exceptions

from cardd.secret import Secret
from cardd.values import Value
from cardd_drivers.pkcs11.cryptoki import Cryptoki, Refused
from cardd_drivers.pkcs11.pcsc import is_loaded, reset_cards, whole_name
from cardd_drivers.pkcs11.wire import (
    INFO,
    Describe,
    Description,
    Login,
    PinRequest,
    Requests,
    TokenCertificate,
    TokenState,
    UnblockPin,
)

CERTIFICATES_MAX = 64
CERTIFICATE_MAX = 16 * 1024
TEXT_MAX = 128
INITIALIZED = 0x400  # CKF_TOKEN_INITIALIZED
# DER DigestInfo of a SHA-256 digest, all but the digest (RFC 8017, section 9.2, note 1)
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")
CODES = {
    exceptions.TokenNotPresent: 0xE0,
    exceptions.TokenNotRecognised: 0xE1,
    exceptions.DeviceRemoved: 0x32,
    exceptions.UserNotLoggedIn: 0x101,
    exceptions.SlotIDInvalid: 0x03,
    exceptions.NoSuchKey: 0x60,
    exceptions.MechanismInvalid: 0x70,
    exceptions.FunctionNotSupported: 0x54,
    exceptions.SessionHandleInvalid: 0xB3,
    exceptions.SessionClosed: 0xB0,
}


def code_of(error: exceptions.PKCS11Error) -> int:
    """Return the CKR_… value of python-pkcs11's error where the daemon treats it apart, else CKR_GENERAL_ERROR."""
    return CODES.get(type(error), 0x05)


class Module(Protocol):
    """A module as python-pkcs11 loads it, as far as it is used here."""

    def get_slots(self, token_present: bool = False) -> list[Slot]:
        """Return the slots."""
        ...


class Scheme(Value):
    """How a digest is signed: with what mechanism, its parameters, and what goes before the digest."""

    mechanism: Mechanism
    parameters: tuple[int, ...] = ()
    prefix: bytes = b""


ECDSA = Scheme(Mechanism.ECDSA)
PSS = {
    "sha256": Scheme(Mechanism.RSA_PKCS_PSS, (Mechanism.SHA256, MGF.SHA256, 32)),
    "sha384": Scheme(Mechanism.RSA_PKCS_PSS, (Mechanism.SHA384, MGF.SHA384, 48)),
    "sha512": Scheme(Mechanism.RSA_PKCS_PSS, (Mechanism.SHA512, MGF.SHA512, 64)),
}
WHOLE_INFO = Scheme(Mechanism.RSA_PKCS)
PKCS1 = Scheme(Mechanism.RSA_PKCS, prefix=DIGEST_INFO_SHA256)


def _rsa(algorithm: str, kind: str) -> Scheme:
    if algorithm == "PS256":
        return PSS[kind]
    return WHOLE_INFO if algorithm == INFO else PKCS1


class SigningKey(Protocol):
    """A private key that can sign."""

    key_type: KeyType
    handle: int

    def __getitem__(self, attribute: Attribute) -> object:
        """Return one of its attributes."""
        ...

    def sign(self, data: bytes, *, mechanism: Mechanism, mechanism_param: object = None) -> bytes:
        """Return the signature."""
        ...


class Tokens:
    """Sessions are opened when needed and kept until the logout; so is the PIN, where a key wants it each time."""

    def __init__(self, module: Module, path: str) -> None:
        self._module = module
        self.pins = Cryptoki(path)
        self._sessions: dict[int, Session] = {}
        self._keys: dict[tuple[int, bytes], SigningKey] = {}
        self._held: dict[int, Secret] = {}
        self.uses_pcsc = False

    def present(self) -> tuple[tuple[TokenState, ...], int]:
        """Return the tokens that are there and set up, and how many slots hold something that says nothing."""
        found, mute = [], 0
        slots = self._module.get_slots(token_present=True)
        self.uses_pcsc |= is_loaded()
        for slot in slots:
            try:
                found.append(self._state(slot))
            except (exceptions.PKCS11Error, Refused):
                mute += 1  # just put in or taken out, or not recognised: the others are still there
        return tuple(token for token in found if token.flags & INITIALIZED), mute

    def describe(self, slot: int) -> Description:
        """Return the certificates, and the mechanisms."""
        place = self._slot(slot)
        certificates = tuple(islice(self._certificates(slot), CERTIFICATES_MAX))
        return Description(self._state(place), certificates, tuple(int(one) for one in place.get_mechanisms()))

    def expect(self, request: PinRequest) -> None:
        """Refuse when another token has come into the slot: the PIN is not for that one. Raises TokenNotPresent."""
        if _serial(self._slot(request.slot).get_token()) != request.serial:
            raise exceptions.TokenNotPresent

    def login(self, slot: int, pin: Secret | None) -> None:
        """Log in. Raises Refused."""
        self.pins.login(slot, pin)
        if pin is not None and self._wants_pin_each_time(slot):
            held = self._held[slot] = Secret()
            with pin.view() as content:
                held.fill(content)

    def logout(self, slot: int, *, reset: bool) -> None:
        """End the login, and with it every session; ``reset`` a card besides: its login may outlast the module's."""
        self._forget(slot)
        try:
            self.pins.logout(slot)
        finally:
            if reset and self.uses_pcsc:
                reset_cards(str(self._slot(slot).slot_description).strip())

    def unblock(self, slot: int, officer: Secret, new: Secret) -> None:
        """Set a new PIN as the security officer. Raises Refused."""
        self._forget(slot)
        self.pins.unblock_pin(slot, officer, new)

    def flags(self, request: Requests) -> int:
        """Return the token's flags after a refusal: they tell what became of its PIN."""
        if not isinstance(request, Login | UnblockPin | Describe):
            return 0
        try:
            return int(self._slot(request.slot).get_token().flags)
        except exceptions.PKCS11Error:
            return 0

    def sign(self, slot: int, key: bytes, algorithm: str, digest: bytes, kind: str = "sha256") -> bytes:
        """Return the signature as RFC 7518 writes it."""
        private = self._key(slot, key)
        scheme = ECDSA if private.key_type is KeyType.EC else _rsa(algorithm, kind)
        data = scheme.prefix + digest
        if slot in self._held and private[Attribute.ALWAYS_AUTHENTICATE]:
            mechanism = (int(scheme.mechanism), scheme.parameters)
            return self.pins.sign(slot, private.handle, mechanism, data, self._held[slot])
        return bytes(private.sign(data, mechanism=scheme.mechanism, mechanism_param=scheme.parameters or None))

    def _state(self, slot: Slot) -> TokenState:
        token = slot.get_token()
        return TokenState(
            slot=slot.slot_id,
            slot_name=whole_name(str(slot.slot_description).strip()),
            label=str(token.label).strip()[:TEXT_MAX],
            serial=_serial(token),
            flags=int(token.flags),
            pin=self.pins.pin_lengths(slot.slot_id),
            is_card=self.uses_pcsc,
        )

    def _key(self, slot: int, key: bytes) -> SigningKey:
        if (slot, key) not in self._keys:
            found = self._session(slot).get_key(object_class=ObjectClass.PRIVATE_KEY, id=key)
            self._keys[slot, key] = cast(SigningKey, found)
        return self._keys[slot, key]

    def _wants_pin_each_time(self, slot: int) -> bool:
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ALWAYS_AUTHENTICATE: True}
        try:
            return bool(list(self._session(slot).get_objects(wanted)))
        except exceptions.PKCS11Error:  # a module that does not know the attribute
            return False

    def _certificates(self, slot: int) -> Iterator[TokenCertificate]:
        for found in self._session(slot).get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}):
            with contextlib.suppress(exceptions.PKCS11Error, ValueError):  # one that lacks something: no other suffers
                der, identifier = bytes(found[Attribute.VALUE]), bytes(found[Attribute.ID])
                if identifier and 0 < len(der) <= CERTIFICATE_MAX:
                    yield TokenCertificate(identifier, str(found[Attribute.LABEL])[:TEXT_MAX], der)

    def _session(self, slot: int) -> Session:
        if slot not in self._sessions:
            self._sessions[slot] = self._slot(slot).get_token().open()
        return self._sessions[slot]

    def _forget(self, slot: int) -> None:
        self._sessions.pop(slot, None)
        if held := self._held.pop(slot, None):
            held.wipe()
        self._keys = {place: key for place, key in self._keys.items() if place[0] != slot}

    def _slot(self, slot: int) -> Slot:
        for found in self._module.get_slots():
            if found.slot_id == slot:
                return found
        raise exceptions.SlotIDInvalid


def _serial(token: Token) -> str:
    return bytes(token.serial).decode("ascii", "replace").strip()[:TEXT_MAX]
