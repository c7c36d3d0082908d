"""OpenSSL through ctypes: the functions of libssl and libcrypto that a TLS client needs, and OSSL_PARAM.

The system's own libraries are loaded by their names: its updates reach them. Python's ``ssl`` shares nothing with this
module: every object is made in a library context of our own.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint, c_uint64, c_ulong, c_void_p
from functools import cache

from cardd.errors import TlsUnavailable

LIBSSL, LIBCRYPTO = "libssl.so.3", "libcrypto.so.3"
OLDEST = (3, 0)

SIZE_P = ctypes.POINTER(c_size_t)

SSL_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "TLS_client_method": (c_void_p, ()),
    "SSL_CTX_new_ex": (c_void_p, (c_void_p, c_char_p, c_void_p)),
    "SSL_CTX_free": (None, (c_void_p,)),
    "SSL_CTX_ctrl": (c_long, (c_void_p, c_int, c_long, c_char_p)),
    "SSL_CTX_set_options": (c_uint64, (c_void_p, c_uint64)),
    "SSL_CTX_set_security_level": (None, (c_void_p, c_int)),
    "SSL_CTX_set_verify": (None, (c_void_p, c_int, c_void_p)),
    "SSL_CTX_load_verify_file": (c_int, (c_void_p, c_char_p)),
    "SSL_CTX_set_default_verify_paths": (c_int, (c_void_p,)),
    "SSL_CTX_use_certificate": (c_int, (c_void_p, c_void_p)),
    "SSL_CTX_use_PrivateKey": (c_int, (c_void_p, c_void_p)),
    "SSL_new": (c_void_p, (c_void_p,)),
    "SSL_free": (None, (c_void_p,)),
    "SSL_ctrl": (c_long, (c_void_p, c_int, c_long, c_char_p)),
    "SSL_set_bio": (None, (c_void_p, c_void_p, c_void_p)),
    "SSL_set_connect_state": (None, (c_void_p,)),
    "SSL_set1_host": (c_int, (c_void_p, c_char_p)),
    "SSL_set_hostflags": (None, (c_void_p, c_uint)),
    "SSL_get0_param": (c_void_p, (c_void_p,)),
    "SSL_do_handshake": (c_int, (c_void_p,)),
    "SSL_get_error": (c_int, (c_void_p, c_int)),
    "SSL_read_ex": (c_int, (c_void_p, c_void_p, c_size_t, SIZE_P)),
    "SSL_write_ex": (c_int, (c_void_p, c_void_p, c_size_t, SIZE_P)),
    "SSL_shutdown": (c_int, (c_void_p,)),
    "SSL_get_shutdown": (c_int, (c_void_p,)),
    "SSL_get_verify_result": (c_long, (c_void_p,)),
    "SSL_get0_verified_chain": (c_void_p, (c_void_p,)),
    "SSL_session_reused": (c_int, (c_void_p,)),
    "SSL_get1_session": (c_void_p, (c_void_p,)),
    "SSL_set_session": (c_int, (c_void_p, c_void_p)),
    "SSL_SESSION_is_resumable": (c_int, (c_void_p,)),
    "SSL_SESSION_free": (None, (c_void_p,)),
}

CRYPTO_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "OpenSSL_version_num": (c_ulong, ()),
    "OSSL_LIB_CTX_new": (c_void_p, ()),
    "OSSL_PROVIDER_add_builtin": (c_int, (c_void_p, c_char_p, c_void_p)),
    "OSSL_PROVIDER_load": (c_void_p, (c_void_p, c_char_p)),
    "OSSL_PARAM_merge": (c_void_p, (c_void_p, c_void_p)),
    "OSSL_PARAM_free": (None, (c_void_p,)),
    "CRYPTO_free": (None, (c_void_p, c_char_p, c_int)),
    "EVP_set_default_properties": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_fromdata_init": (c_int, (c_void_p,)),
    "EVP_PKEY_fromdata": (c_int, (c_void_p, ctypes.POINTER(c_void_p), c_int, c_void_p)),
    "EVP_PKEY_todata": (c_int, (c_void_p, c_int, ctypes.POINTER(c_void_p))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_get_bits": (c_int, (c_void_p,)),
    "EVP_PKEY_get_security_bits": (c_int, (c_void_p,)),
    "EVP_PKEY_get_size": (c_int, (c_void_p,)),
    "EVP_PKEY_get_group_name": (c_int, (c_void_p, c_char_p, c_size_t, SIZE_P)),
    "X509_new_ex": (c_void_p, (c_void_p, c_char_p)),
    "d2i_X509": (c_void_p, (ctypes.POINTER(c_void_p), ctypes.POINTER(c_char_p), c_long)),
    "i2d_X509": (c_int, (c_void_p, ctypes.POINTER(c_void_p))),
    "OPENSSL_sk_num": (c_int, (c_void_p,)),
    "OPENSSL_sk_value": (c_void_p, (c_void_p, c_int)),
    "X509_free": (None, (c_void_p,)),
    "X509_get0_pubkey": (c_void_p, (c_void_p,)),
    "X509_verify_cert_error_string": (c_char_p, (c_long,)),
    "X509_VERIFY_PARAM_set1_ip_asc": (c_int, (c_void_p, c_char_p)),
    "BIO_s_mem": (c_void_p, ()),
    "BIO_new": (c_void_p, (c_void_p,)),
    "BIO_read": (c_int, (c_void_p, c_void_p, c_int)),
    "BIO_write": (c_int, (c_void_p, c_char_p, c_int)),
    "BIO_ctrl_pending": (c_size_t, (c_void_p,)),
    "ERR_clear_error": (None, ()),
    "ERR_peek_error": (c_ulong, ()),
    "ERR_reason_error_string": (c_char_p, (c_ulong,)),
}

INTEGER, UNSIGNED, TEXT, OCTETS = 1, 2, 4, 5
Value = int | str | bytes


class Library:
    """The two libraries. ``ssl`` and ``crypto`` have the functions of the tables above, and no others."""

    def __init__(self, libssl: str = LIBSSL, oldest: tuple[int, int] = OLDEST) -> None:
        try:
            self.crypto = _bound(LIBCRYPTO, CRYPTO_FUNCTIONS)
            self.ssl = _bound(libssl, SSL_FUNCTIONS)
        except (OSError, AttributeError) as fault:
            raise TlsUnavailable(why=str(fault)) from fault
        number = self.crypto.OpenSSL_version_num()
        version = (number >> 28, number >> 20 & 0xFF)
        if version < oldest:
            raise TlsUnavailable(why=f"OpenSSL {version[0]}.{version[1]} < {oldest[0]}.{oldest[1]}")


@cache
def library() -> Library:
    """Return the libraries, loaded at the first call. Raises TlsUnavailable."""
    return Library()


def _bound(name: str, functions: dict[str, tuple[type | None, tuple[type, ...]]]) -> ctypes.CDLL:
    loaded = ctypes.CDLL(name)
    for function, (result, arguments) in functions.items():
        bound = getattr(loaded, function)
        bound.restype, bound.argtypes = result, arguments
    return loaded


class Param(ctypes.Structure):
    """One entry; a key of NULL ends the array."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("returned", ctypes.c_size_t),
    )


def array(kinds: dict[str, int]) -> ctypes.Array[Param]:
    """Return a description of parameters: names and types without values."""
    entries = [Param(name.encode(), kind, None, 0, 0) for name, kind in kinds.items()]
    return (Param * (len(entries) + 1))(*entries, Param())


def octets(name: str, value: bytes) -> ctypes.Array[Param]:
    """Return one value, which the array keeps alive."""
    buffer = ctypes.create_string_buffer(value, len(value))
    made = (Param * 2)(Param(name.encode(), OCTETS, ctypes.addressof(buffer), len(value), 0), Param())
    made.kept = buffer  # type: ignore[attr-defined] # ctypes keeps no reference by an address
    return made


def read(address: int | None) -> dict[str, Value]:
    """Return the values of an array at this address; a number's sign is not looked at."""
    return {entry.key.decode(): _value(entry) for entry in _entries(address)}


def fill(address: int | None, values: dict[str, int | str]) -> bool:
    """Write what is asked for and known; return False when a value does not fit its place."""
    return all(_fill(entry, values[name]) for entry in _entries(address) if (name := entry.key.decode()) in values)


def _entries(address: int | None) -> Iterator[Param]:
    while address:
        entry = Param.from_address(address)
        if entry.key is None:
            return
        yield entry
        address += ctypes.sizeof(Param)


def _value(entry: Param) -> Value:
    raw = ctypes.string_at(entry.data, entry.size) if entry.data else b""
    if entry.type in (INTEGER, UNSIGNED):
        return int.from_bytes(raw, sys.byteorder)
    return raw.decode() if entry.type == TEXT else raw


def _fill(entry: Param, value: int | str) -> bool:
    raw = value.encode() if isinstance(value, str) else value.to_bytes(entry.size or 4, sys.byteorder)
    entry.returned = len(raw)
    if entry.data is None:
        return True
    if len(raw) > entry.size:
        return False
    ctypes.memmove(entry.data, raw, len(raw))
    return True
