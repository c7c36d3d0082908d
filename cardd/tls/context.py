"""The settings of TLS connections to one server, shown one certificate: an SSL_CTX."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_void_p
from pathlib import Path
from typing import Literal, Self

from cardd.errors import AlgorithmUnsupported, CardGarbled, ConfigInvalid, TlsUnavailable, UpstreamCertificateWeak
from cardd.files import ensure_regular
from cardd.model import Algorithm
from cardd.tls.openssl import library, octets
from cardd.tls.provider import HANDLE, PROPERTIES, ExternalKey, Sign, context, hold, release
from cardd.values import Value

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
NAMES = {
    Algorithm.RS256: b"rsa_pkcs1_sha256",
    Algorithm.PS256: b"rsa_pss_rsae_sha256",
    Algorithm.ES256: b"ecdsa_secp256r1_sha256",
}
FOR_1_3 = (Algorithm.PS256, Algorithm.ES256)  # TLS 1.3 has no RSASSA-PKCS1-v1_5 in handshakes (RFC 8446, 4.4.3)

_KEYPAIR = 0x87  # EVP_PKEY_KEYPAIR: parameters, public and private
_PUBLIC = 0x86  # EVP_PKEY_PUBLIC_KEY
_MODE, _SESSION_CACHE, _EXTRA_CERTIFICATE, _CLIENT_ALGORITHMS, _MINIMUM, _MAXIMUM = 33, 44, 14, 102, 123, 124
_CACHE_OFF, _RELEASE_BUFFERS = 0, 0x10
_NO_COMPRESSION, _NO_RENEGOTIATION = 1 << 17, 1 << 30
_VERIFY_PEER = 1
_SECURITY_LEVEL = 2  # 112 bits: no RSA below 2048, no SHA-1


class ShownCertificate(Value):
    """The certificate that we show and its chain (DER), what its key can do, and who signs (``ExternalKey``)."""

    certificate: bytes
    algorithms: Sequence[Algorithm]
    sign: Sign
    chain: Sequence[bytes] = ()


class TlsContext:
    """The SSL_CTX at ``address``, freed with its last connection.

    The server's certificate is verified, always; ``authorities`` is a PEM file, None for the system's, and ``besides``
    one with more of them. ``minimum`` is the least version; the greatest is what the key can do. Raises TlsUnavailable,
    AlgorithmUnsupported, CardGarbled for a certificate that is none, UpstreamCertificateWeak, ConfigInvalid for
    authorities that cannot be read.
    """

    def __init__(
        self,
        shown: ShownCertificate | None,
        *,
        authorities: Path | None = None,
        besides: Path | None = None,
        minimum: Literal["1.2", "1.3"] = "1.2",
    ) -> None:
        ssl = library().ssl
        made = ssl.SSL_CTX_new_ex(context(), None, ssl.TLS_client_method())
        if not made:  # pragma: no cover - OpenSSL has no memory
            raise TlsUnavailable(why="SSL_CTX_new_ex")
        self.address: int = made
        weakref.finalize(self, ssl.SSL_CTX_free, made)
        ssl.SSL_CTX_set_security_level(made, _SECURITY_LEVEL)
        # a renegotiation would ask the card on the event loop, where nobody could answer
        ssl.SSL_CTX_set_options(made, _NO_RENEGOTIATION | _NO_COMPRESSION)
        self._set(_MODE, _RELEASE_BUFFERS)
        self._set(_SESSION_CACHE, _CACHE_OFF)
        self._set(_MINIMUM, VERSIONS[minimum])
        self._trust(authorities, besides)
        if shown is not None:
            self._show(shown, minimum)

    def _trust(self, authorities: Path | None, besides: Path | None) -> None:
        ssl = library().ssl
        ssl.SSL_CTX_set_verify(self.address, _VERIFY_PEER, None)
        if authorities is None:
            loaded = ssl.SSL_CTX_set_default_verify_paths(self.address)
        else:
            loaded = _is_file(authorities) and ssl.SSL_CTX_load_verify_file(self.address, bytes(authorities))
        if loaded and besides is not None:
            loaded = _is_file(besides) and ssl.SSL_CTX_load_verify_file(self.address, bytes(besides))
        library().crypto.ERR_clear_error()
        if not loaded:
            raise ConfigInvalid(
                file=str(authorities or besides or ""), key="authorities", why="unreadable", expected="PEM"
            )

    def _show(self, shown: ShownCertificate, minimum: str) -> None:
        usable = [algorithm for algorithm in shown.algorithms if algorithm in NAMES]
        can_1_3 = any(algorithm in FOR_1_3 for algorithm in usable)
        if not usable or (minimum == "1.3" and not can_1_3):
            raise AlgorithmUnsupported(algorithm=f"TLS {minimum}")
        if not can_1_3:
            self._set(_MAXIMUM, VERSIONS["1.2"])
        self._set(_CLIENT_ALGORITHMS, 0, b":".join(NAMES[algorithm] for algorithm in usable))
        with _Certificate(shown.certificate) as certificate:
            self._use(certificate, shown.sign)
        for der in shown.chain:
            with _Certificate(der) as above:
                self._set(_EXTRA_CERTIFICATE, 0, ctypes.cast(c_void_p(above.take()), c_char_p))

    def _use(self, certificate: _Certificate, sign: Sign) -> None:
        ssl, crypto = library().ssl, library().crypto
        key = _private(certificate.public_key, sign, lambda handle: weakref.finalize(self, release, handle))
        try:
            if not ssl.SSL_CTX_use_certificate(self.address, certificate.address):
                raise UpstreamCertificateWeak(why=reason())
            if not ssl.SSL_CTX_use_PrivateKey(self.address, key):  # pragma: no cover - OpenSSL has no memory
                raise TlsUnavailable(why=reason())
        finally:
            crypto.EVP_PKEY_free(key)

    def _set(self, command: int, number: int, text: bytes | c_char_p | None = None) -> None:
        if not library().ssl.SSL_CTX_ctrl(self.address, command, number, text) and command != _SESSION_CACHE:
            raise TlsUnavailable(why=f"SSL_CTX_ctrl {command}: {reason()}")


def reason() -> str:
    """Return OpenSSL's words for what failed last on this thread, and forget them."""
    crypto = library().crypto
    words = crypto.ERR_reason_error_string(crypto.ERR_peek_error())
    crypto.ERR_clear_error()
    return words.decode() if words else "?"


class _Certificate:
    """An X509 inside a ``with``; ``take`` gives it away."""

    def __init__(self, der: bytes) -> None:
        crypto = library().crypto
        made = c_void_p(crypto.X509_new_ex(context(), None))
        if not crypto.d2i_X509(ctypes.byref(made), ctypes.byref(c_char_p(der)), len(der)):
            crypto.ERR_clear_error()
            raise CardGarbled(what="certificate")
        self.address: int | None = made.value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        library().crypto.X509_free(self.address)

    @property
    def public_key(self) -> int:
        """Return its EVP_PKEY, which it keeps. Raises CardGarbled."""
        found = library().crypto.X509_get0_pubkey(self.address)
        if not found:
            raise CardGarbled(what="certificate")
        return int(found)

    def take(self) -> int | None:
        """Return its address, for whoever frees it now."""
        given, self.address = self.address, None
        return given


def _private(public: int, sign: Sign, on_handle: Callable[[bytes], object]) -> int:
    """Return an EVP_PKEY of our provider with this public key. Raises AlgorithmUnsupported, TlsUnavailable."""
    crypto = library().crypto
    kind = next((name for name in (b"RSA", b"EC") if crypto.EVP_PKEY_is_a(public, name)), None)
    if kind is None:
        raise AlgorithmUnsupported(algorithm="TLS")
    group = ctypes.create_string_buffer(64)
    crypto.EVP_PKEY_get_group_name(public, group, len(group), None)
    crypto.ERR_clear_error()
    external = ExternalKey(
        bits=crypto.EVP_PKEY_get_bits(public),
        security_bits=crypto.EVP_PKEY_get_security_bits(public),
        size=crypto.EVP_PKEY_get_size(public),
        group=group.value.decode(),
        sign=sign,
    )
    handle = hold(external)
    on_handle(handle)
    values = c_void_p()
    crypto.EVP_PKEY_todata(public, _PUBLIC, ctypes.byref(values))
    named = octets(HANDLE, handle)
    merged = crypto.OSSL_PARAM_merge(values, named)
    maker = crypto.EVP_PKEY_CTX_new_from_name(context(), kind, PROPERTIES)
    made = c_void_p()
    try:
        done = maker and merged and crypto.EVP_PKEY_fromdata_init(maker) > 0
        if not done or crypto.EVP_PKEY_fromdata(maker, ctypes.byref(made), _KEYPAIR, merged) <= 0 or not made.value:
            raise TlsUnavailable(why=f"EVP_PKEY_fromdata: {reason()}")
    finally:
        crypto.EVP_PKEY_CTX_free(maker)
        crypto.CRYPTO_free(merged, b"", 0)
        crypto.OSSL_PARAM_free(values)
    return made.value


def _is_file(path: Path) -> bool:
    """Return whether OpenSSL may open it, which would wait for a pipe's other end."""
    try:
        ensure_regular(path)
    except OSError:
        return False
    return True
