"""An OpenSSL provider in Python: keys of which only the public half is here, and signatures that others make.

OpenSSL hands the whole message to a provider, and takes the signature: a card that pads by itself, as a CPS4 does for
RSA-PSS, can serve. (An RSA_METHOD is handed a padded block; no digest can be had back from a PSS one.) Written from
OpenSSL's manual pages provider(7), provider-keymgmt(7) and provider-signature(7).
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import logging
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char_p, c_int, c_size_t, c_void_p
from functools import cache, wraps
from typing import TYPE_CHECKING

from cardd.errors import TlsUnavailable
from cardd.model import Algorithm, Plain
from cardd.tls import openssl
from cardd.values import Record, Value, field

NAME, PROPERTIES = b"cardd", b"provider=cardd"
HANDLE = "cardd-key"
KEYMGMT, SIGNATURE = 10, 12  # OSSL_OP_…: keys, signatures
SHA256_NAMES = ("SHA256", "SHA2-256", "SHA-256")
PADDINGS = {1: False, "pkcs1": False, 6: True, "pss": True}  # OSSL_SIGNATURE_PARAM_PAD_MODE: whether it is PSS
SALTS = ("digest", 32)  # the only length that TLS 1.3 and the cards know
MESSAGE_MAX = 1024 * 1024

if TYPE_CHECKING:
    # the names that typeshed has for them
    SizePointer = ctypes._Pointer[c_size_t]  # noqa: SLF001
    CType = type[c_void_p | c_int | c_size_t | c_char_p | SizePointer]

log = logging.getLogger(__name__)

Sign = Callable[[Algorithm, bytes], bytes]


class Dispatch(ctypes.Structure):
    """OSSL_DISPATCH; identifier 0 ends the table."""

    _fields_ = (("identifier", c_int), ("function", c_void_p))


class Offer(ctypes.Structure):
    """OSSL_ALGORITHM; names of NULL end the table."""

    _fields_ = (("names", c_char_p), ("properties", c_char_p), ("functions", c_void_p), ("description", c_char_p))


class ExternalKey(Value):
    """A private key that is elsewhere: what OpenSSL asks of every key, and who signs a SHA-256 digest with it.

    ``sign`` is called on the thread that does the handshake; for ES256 it returns DER.
    """

    bits: int
    security_bits: int
    size: int
    group: str
    sign: Sign


class _Key(Record):
    """A key as the provider knows it: public values, and who holds the private half, if anybody does."""

    public: dict[str, openssl.Value] = field(default_factory=dict)
    external: ExternalKey | None = None


class _Signing(Record):
    """One signature under way."""

    is_ec: bool
    external: ExternalKey | None = None
    is_pss: bool = False
    message: bytearray = field(default_factory=bytearray)

    @property
    def algorithm(self) -> Algorithm:
        """Return what the key is asked for."""
        if self.is_ec:
            return Algorithm.ES256
        return Algorithm.PS256 if self.is_pss else Algorithm.RS256


# OpenSSL holds numbers instead of pointers to these.
_numbers = itertools.count(1)
_keys: dict[int, _Key] = {}
_signings: dict[int, _Signing] = {}
_external: dict[bytes, ExternalKey] = {}


def hold(external: ExternalKey) -> bytes:
    """Make a key known; return the handle that ``EVP_PKEY_fromdata`` names it by. ``release`` forgets the key."""
    handle = next(_numbers).to_bytes(8, "big")
    _external[handle] = external
    return handle


def release(handle: bytes) -> None:
    """Forget a key; one that OpenSSL has made of it lives on until it is freed."""
    _external.pop(handle, None)


@cache
def context() -> int:
    """Return the library context that has this provider beside OpenSSL's own. Raises TlsUnavailable."""
    crypto = openssl.library().crypto
    made = crypto.OSSL_LIB_CTX_new()
    added = made and crypto.OSSL_PROVIDER_add_builtin(made, NAME, ctypes.cast(_entry, c_void_p))
    loaded = added and crypto.OSSL_PROVIDER_load(made, b"default") and crypto.OSSL_PROVIDER_load(made, NAME)
    # ours serves the keys that were made with it, and no other
    if not loaded or not crypto.EVP_set_default_properties(made, b"?provider=default"):  # pragma: no cover
        raise TlsUnavailable(why="OSSL_PROVIDER_load")
    return int(made)


def _guarded(function: Callable[..., int | None]) -> Callable[..., int]:
    """Return 0 to OpenSSL for an exception, which it cannot take; the journal is told why."""

    @wraps(function)
    def call(*arguments: object) -> int:
        try:
            return function(*arguments) or 0
        except Exception:  # whatever it is, it must not go through OpenSSL's own frames
            log.exception("the provider's %s failed", Plain(function.__name__))
            return 0

    return call


# --- keys ----------------------------------------------------------------------------------------------------------


def _new_key(_context: int) -> int:
    number = next(_numbers)
    _keys[number] = _Key()
    return number


def _free_key(number: int) -> None:
    _keys.pop(number, None)


def _import(number: int, _selection: int, given: int) -> int:
    """Take a key's public values, and our handle where it is one of ours."""
    values = openssl.read(given)
    handle = values.pop(HANDLE, None)
    key = _keys[number]
    key.public = {name: values[name] for name in ("n", "e", "pub") if name in values}
    if isinstance(handle, bytes):
        key.external = _external[handle]
    return 1


def _has(_number: int, _selection: int) -> int:
    return 1


def _match(one: int, other: int, _selection: int) -> int:
    return int(_keys[one].public == _keys[other].public)


def _key_params(number: int, wanted: int) -> int:
    key = _keys[number].external
    if key is None:
        return 1
    values: dict[str, int | str] = {"bits": key.bits, "security-bits": key.security_bits, "max-size": key.size}
    return int(openssl.fill(wanted, {**values, "group": key.group}))


# --- signatures ----------------------------------------------------------------------------------------------------


def _new_signing(*, is_ec: bool) -> int:
    number = next(_numbers)
    _signings[number] = _Signing(is_ec)
    return number


def _free_signing(number: int) -> None:
    _signings.pop(number, None)


def _begin(number: int, digest: bytes | None, key: int, given: int) -> int:
    """Begin a signature of a SHA-256 digest: a card signs nothing else."""
    if digest is None or digest.decode() not in SHA256_NAMES:
        return 0
    signing = _signings[number]
    signing.external = _keys[key].external
    signing.message.clear()
    return _set(number, given)


def _set(number: int, given: int) -> int:
    values = openssl.read(given)
    padding, salt = values.get("pad-mode"), values.get("saltlen", SALTS[0])
    hashes = [values[name] for name in ("digest", "mgf1-digest") if name in values]
    if (padding is not None and padding not in PADDINGS) or salt not in SALTS or not set(hashes) <= set(SHA256_NAMES):
        return 0
    if isinstance(padding, int | str):
        _signings[number].is_pss = PADDINGS[padding]
    return 1


def _update(number: int, data: int, size: int) -> int:
    message = _signings[number].message
    if len(message) + size > MESSAGE_MAX:
        return 0
    message += ctypes.string_at(data, size)
    return 1


def _finish(number: int, place: int | None, size: SizePointer, room: int) -> int:
    """Write the signature into ``place``; without one, tell how much room it may need."""
    signing = _signings[number]
    external = signing.external
    if external is None:
        return 0
    if place is None:
        size[0] = external.size
        return 1
    signature = external.sign(signing.algorithm, hashlib.sha256(signing.message).digest())
    if not signature or len(signature) > room:
        return 0
    ctypes.memmove(place, signature, len(signature))
    size[0] = len(signature)
    return 1


def _sign(number: int, place: int | None, size: SizePointer, room: int, *data: int) -> int:
    if place is not None and not _update(number, *data):
        return 0
    return _finish(number, place, size, room)


# --- the tables ------------------------------------------------------------------------------------------------------

_C: dict[str, CType | None] = {"p": c_void_p, "i": c_int, "z": c_size_t, "s": c_char_p, "S": openssl.SIZE_P, "v": None}
_alive: list[object] = []  # what OpenSSL points to lives as long as the process


def _keep(thing: ctypes.Array[Dispatch] | ctypes.Array[Offer] | ctypes.Array[openssl.Param]) -> int:
    _alive.append(thing)
    return ctypes.addressof(thing)


def _dispatch(*functions: tuple[int, str, Callable[..., int | None]]) -> int:
    """Return a table of functions: identifier, C types (the result's first, by the letters above), what is called."""
    entries = []
    for identifier, types, function in functions:
        arguments = [kind for letter in types[1:] if (kind := _C[letter])]
        pointer = CFUNCTYPE(_C[types[0]], *arguments)(_guarded(function))
        _alive.append(pointer)
        entries.append(Dispatch(identifier, ctypes.cast(pointer, c_void_p)))
    return _keep((Dispatch * (len(entries) + 1))(*entries, Dispatch()))


@cache
def _key_types() -> int:  # pragma: no cover - OpenSSL wants the table, and looks at it when somebody asks
    names = {"n": openssl.UNSIGNED, "e": openssl.UNSIGNED, "group": openssl.TEXT, "pub": openssl.OCTETS}
    return _keep(openssl.array({**names, HANDLE: openssl.OCTETS}))


@cache
def _told_types() -> int:  # pragma: no cover - as above
    numbers = dict.fromkeys(("bits", "security-bits", "max-size"), openssl.INTEGER)
    return _keep(openssl.array({**numbers, "group": openssl.TEXT}))


@cache
def _set_types() -> int:
    return _keep(openssl.array(dict.fromkeys(("pad-mode", "saltlen", "digest", "mgf1-digest"), openssl.TEXT)))


def _key_functions(operation: bytes) -> int:
    """Return OSSL_FUNC_KEYMGMT_…: new, free, get_params, query_operation_name, has, match, import."""
    name = ctypes.create_string_buffer(operation)
    _alive.append(name)
    return _dispatch(
        (1, "pp", _new_key),
        (10, "vp", _free_key),
        (11, "ipp", _key_params),
        (12, "pp", lambda _: _told_types()),
        (20, "pi", lambda _: ctypes.addressof(name)),
        (21, "ipi", _has),
        (23, "ippi", _match),
        (40, "ipip", _import),
        (41, "pi", lambda _: _key_types()),
    )


def _signature_functions(*, is_ec: bool) -> int:
    """Return OSSL_FUNC_SIGNATURE_…: newctx, digest_sign_init, _update, _final, digest_sign, freectx and one more.

    The last one is set_ctx_params.
    """
    return _dispatch(
        (1, "pps", lambda *_: _new_signing(is_ec=is_ec)),
        (8, "ipspp", _begin),
        (9, "ippz", _update),
        (10, "ippSz", _finish),
        (11, "ippSzpz", _sign),
        (16, "vp", _free_signing),
        (20, "ipp", _set),
        (21, "ppp", lambda *_: _set_types()),
    )


def _offers(*offers: tuple[bytes, int]) -> int:
    entries = [Offer(names, PROPERTIES, functions, None) for names, functions in offers]
    return _keep((Offer * (len(entries) + 1))(*entries, Offer()))


@cache
def _operations() -> dict[int, int]:
    """Return what this provider does, by operation."""
    ec_names = b"EC:id-ecPublicKey:1.2.840.10045.2.1"
    rsa_names = b"RSA:rsaEncryption:1.2.840.113549.1.1.1"
    return {
        KEYMGMT: _offers((rsa_names, _key_functions(b"RSA")), (ec_names, _key_functions(b"ECDSA"))),
        SIGNATURE: _offers(
            (rsa_names, _signature_functions(is_ec=False)), (b"ECDSA", _signature_functions(is_ec=True))
        ),
    }


def _query(_context: int, operation: int, no_cache: SizePointer) -> int:
    ctypes.cast(no_cache, ctypes.POINTER(c_int))[0] = 0
    return _operations().get(operation, 0)


def _initialise(handle: int, _core: int, functions: int, context: int) -> int:
    """Give OpenSSL our table, OSSL_FUNC_PROVIDER_QUERY_OPERATION alone (OSSL_provider_init)."""
    c_void_p.from_address(functions).value = _own_functions()
    c_void_p.from_address(context).value = handle
    return 1


@cache
def _own_functions() -> int:
    return _dispatch((1027, "ppiS", _query))


_entry = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p)(_guarded(_initialise))
