"""The few calls that are made straight on a module's function list: those that take a PIN, and the wait for tokens.

python-pkcs11 (0.10.1) wants a PIN as ``str``, which would stay in memory; here it is a pointer into a locked page. Its
wait for slot events fails once there is one, and it initialises a module for one thread only. A login belongs to the
whole application and not to one session (PKCS#11 v2.40, section 2.6.5), so that its sessions are logged in by ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from cardd.secret import Secret

Ulong = ctypes.c_ulong
Function = Callable[..., int]
Mechanism = tuple[int, tuple[int, ...]]  # CKM_… and its parameters, all of them CK_ULONG

# places in CK_FUNCTION_LIST, after its version (PKCS#11 v2.40, pkcs11f.h)
INITIALIZE, FINALIZE, GET_TOKEN_INFO, INIT_PIN, SET_PIN = 0, 1, 6, 10, 11
OPEN_SESSION, CLOSE_ALL_SESSIONS, LOGIN, LOGOUT = 12, 14, 18, 19
SIGN_INIT, SIGN, WAIT_FOR_SLOT_EVENT = 42, 43, 67
OS_LOCKING, SERIAL_SESSION, RW_SESSION = 0x02, 0x04, 0x02  # CKF_…
SECURITY_OFFICER, USER, CONTEXT_SPECIFIC = 0, 1, 2  # CKU_…
OK, ALREADY_LOGGED_IN, NOT_LOGGED_IN = 0x000, 0x100, 0x101  # CKR_…
PIN_INVALID, PIN_LENGTH = 0xA1, 0xA2  # where a PIN is set, both are said of the new one (section 5.5)
SIGNATURE_MAX = 1024


class Refused(Exception):
    """A return value that is not CKR_OK; ``of_new`` says that it is about a new PIN."""

    def __init__(self, code: int, *, of_new: bool = False) -> None:
        super().__init__(f"{code:#x}")
        self.code = code
        self.of_new = of_new


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * 68))


class _InitializeArguments(ctypes.Structure):
    _fields_ = (("mutexes", ctypes.c_void_p * 4), ("flags", Ulong), ("reserved", ctypes.c_void_p))


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("texts", ctypes.c_ubyte * 96),
        ("flags", Ulong),
        ("sessions", Ulong * 4),
        ("pin_maximum", Ulong),
        ("pin_minimum", Ulong),
        ("memory", Ulong * 4),
        ("versions_and_time", ctypes.c_ubyte * 20),
    )


class _Mechanism(ctypes.Structure):
    _fields_ = (("number", Ulong), ("parameter", ctypes.c_void_p), ("size", Ulong))


class Cryptoki:
    """One loaded and initialised module; ``serves_threads`` says whether two of them may be inside it at once."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        functions = ctypes.POINTER(_FunctionList)()
        _check(library.C_GetFunctionList(ctypes.byref(functions)))
        self._functions = functions.contents.functions
        self._sessions: dict[int, int] = {}
        self.serves_threads = self._initialise()

    def pin_lengths(self, slot: int) -> tuple[int, int]:
        """Return how long a PIN is, at least and at most, as the token tells. Raises Refused."""
        info = _TokenInfo()
        _check(self._call(GET_TOKEN_INFO, Ulong, ctypes.c_void_p)(slot, ctypes.addressof(info)))
        return info.pin_minimum, info.pin_maximum

    def login(self, slot: int, pin: Secret | None) -> None:
        """Log the user in; None has the token's own keypad ask. Raises Refused."""
        try:
            self._login(slot, USER, pin)
        except Refused as refusal:
            if refusal.code != ALREADY_LOGGED_IN:
                raise
            self.logout(slot)
            self._login(slot, USER, pin)

    def sign(self, slot: int, key: int, mechanism: Mechanism, data: bytes, pin: Secret | None) -> bytes:
        """Sign with a key that wants the PIN for each signature (CKA_ALWAYS_AUTHENTICATE). Raises Refused."""
        session = self._session(slot)
        number, parameters = mechanism
        room = (Ulong * len(parameters))(*parameters)
        chosen = _Mechanism(number, ctypes.addressof(room) if parameters else None, ctypes.sizeof(room))
        _check(self._call(SIGN_INIT, Ulong, ctypes.c_void_p, Ulong)(session, ctypes.addressof(chosen), key))
        self._present(session, CONTEXT_SPECIFIC, pin)
        signature, size = ctypes.create_string_buffer(SIGNATURE_MAX), Ulong(SIGNATURE_MAX)
        function = self._call(SIGN, Ulong, ctypes.c_char_p, Ulong, ctypes.c_void_p, ctypes.c_void_p)
        _check(function(session, data, len(data), ctypes.addressof(signature), ctypes.addressof(size)))
        return signature.raw[: size.value]

    def logout(self, slot: int) -> None:
        """End the login and close every session of this slot, python-pkcs11's too. Raises Refused."""
        session = self._sessions.pop(slot, None)
        if session is not None:
            code = self._call(LOGOUT, Ulong)(session)
            _check(self._call(CLOSE_ALL_SESSIONS, Ulong)(slot))
            _check(code, but=NOT_LOGGED_IN)

    def change_pin(self, slot: int, old: Secret | None, new: Secret | None) -> None:
        """Replace the user's PIN, logged in or not. Raises Refused."""
        session = self._session(slot)
        function = self._call(SET_PIN, Ulong, ctypes.c_void_p, Ulong, ctypes.c_void_p, Ulong)
        with _Pointer(old) as (old_place, old_size), _Pointer(new) as (new_place, new_size):
            code = function(session, old_place, old_size, new_place, new_size)
        if code:
            raise Refused(code, of_new=code in (PIN_INVALID, PIN_LENGTH))

    def unblock_pin(self, slot: int, officer: Secret, new: Secret) -> None:
        """Set the user's PIN as the security officer. Raises Refused."""
        self._sessions[slot] = self._session(slot)
        self.logout(slot)  # no other session may be open
        self._login(slot, SECURITY_OFFICER, officer)
        try:
            with _Pointer(new) as (place, size):
                code = self._call(INIT_PIN, Ulong, ctypes.c_void_p, Ulong)(self._session(slot), place, size)
            if code:
                raise Refused(code, of_new=True)
        finally:
            self.logout(slot)

    def wait(self) -> None:
        """Return when a token came or went. Raises Refused where the module cannot wait."""
        slot = Ulong()
        function = self._call(WAIT_FOR_SLOT_EVENT, Ulong, ctypes.c_void_p, ctypes.c_void_p)
        _check(function(0, ctypes.addressof(slot), None))

    def _initialise(self) -> bool:
        """Once more, after python-pkcs11's own way, which tells the module that it serves one thread."""
        _check(self._call(FINALIZE, ctypes.c_void_p)(None))
        arguments = _InitializeArguments(flags=OS_LOCKING)
        if self._call(INITIALIZE, ctypes.c_void_p)(ctypes.addressof(arguments)) == OK:
            return True
        _check(self._call(INITIALIZE, ctypes.c_void_p)(None))
        return False

    def _login(self, slot: int, user: int, pin: Secret | None) -> None:
        self._present(self._session(slot), user, pin)

    def _present(self, session: int, user: int, pin: Secret | None) -> None:
        with _Pointer(pin) as (place, size):
            _check(self._call(LOGIN, Ulong, Ulong, ctypes.c_void_p, Ulong)(session, user, place, size))

    def _session(self, slot: int) -> int:
        if slot not in self._sessions:
            session = Ulong()
            function = self._call(OPEN_SESSION, Ulong, Ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
            _check(function(slot, SERIAL_SESSION | RW_SESSION, None, None, ctypes.addressof(session)))
            self._sessions[slot] = session.value
        return self._sessions[slot]

    def _call(self, place: int, *types: type) -> Function:
        return ctypes.CFUNCTYPE(Ulong, *types)(self._functions[place])


class _Pointer:
    """The address and length of a secret's page; both null for None: the keypad asks."""

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret
        self._room: memoryview | None = None

    def __enter__(self) -> tuple[int | None, int]:
        if self._secret is None:
            return None, 0
        self._room = self._secret.room()
        return ctypes.addressof(ctypes.c_char.from_buffer(self._room)), len(self._secret)

    def __exit__(self, *_: object) -> None:
        self._room = None


def _check(code: int, but: int = OK) -> None:
    if code not in (OK, but):
        raise Refused(code)
