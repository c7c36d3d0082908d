"""Signatures of certificates' keys, and AES-GCM, by the libcrypto that Python's own ``ssl`` has loaded.

What every signature needs stands here, so that a daemon that signs holds one OpenSSL: the cryptography package brings
another, 9 MB of memory. Whoever verifies documents, reads key files or logs in at a provider takes cryptography.

Every function of libcrypto is declared with its types. Its objects are given back with ours; it writes nowhere but into
buffers that are made here, of the length that it is told.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_void_p
from functools import cache

from cardd.model import Algorithm

LIBRARY = "libcrypto.so.3"

INT_P, POINTER_P = POINTER(c_int), POINTER(c_void_p)
FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "d2i_X509": (c_void_p, (c_void_p, POINTER_P, c_long)),
    "X509_free": (None, (c_void_p,)),
    "X509_get0_pubkey": (c_void_p, (c_void_p,)),
    "X509_get0_notBefore": (c_void_p, (c_void_p,)),
    "X509_get0_notAfter": (c_void_p, (c_void_p,)),
    "X509_cmp_current_time": (c_int, (c_void_p,)),
    "X509_get_issuer_name": (c_void_p, (c_void_p,)),
    "X509_get_subject_name": (c_void_p, (c_void_p,)),
    "X509_NAME_cmp": (c_int, (c_void_p, c_void_p)),
    "X509_verify": (c_int, (c_void_p, c_void_p)),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_CTX_new": (c_void_p, (c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_set_rsa_padding": (c_int, (c_void_p, c_int)),
    "EVP_PKEY_CTX_set_rsa_pss_saltlen": (c_int, (c_void_p, c_int)),
    "EVP_PKEY_CTX_set_signature_md": (c_int, (c_void_p, c_void_p)),
    "EVP_PKEY_verify_init": (c_int, (c_void_p,)),
    "EVP_PKEY_verify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_sha256": (c_void_p, ()),
    "EVP_sha384": (c_void_p, ()),
    "EVP_sha512": (c_void_p, ()),
    "EVP_aes_256_gcm": (c_void_p, ()),
    "EVP_CIPHER_CTX_new": (c_void_p, ()),
    "EVP_CIPHER_CTX_free": (None, (c_void_p,)),
    "EVP_CIPHER_CTX_ctrl": (c_int, (c_void_p, c_int, c_int, c_void_p)),
    "EVP_CipherInit_ex": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_char_p, c_int)),
    "EVP_CipherUpdate": (c_int, (c_void_p, c_void_p, INT_P, c_void_p, c_int)),
    "EVP_CipherFinal_ex": (c_int, (c_void_p, c_void_p, INT_P)),
    "ERR_clear_error": (None, ()),
}
PKCS1, PSS, AS_LONG_AS_THE_DIGEST = 1, 6, -1  # openssl/rsa.h, RSA_…_PADDING and RSA_PSS_SALTLEN_DIGEST
PADDINGS = {Algorithm.RS256: PKCS1, Algorithm.PS256: PSS}
GET_TAG, SET_TAG = 0x10, 0x11  # openssl/evp.h, EVP_CTRL_AEAD_…
KEY_SIZE, NONCE_SIZE, TAG_SIZE = 32, 12, 16  # of AES-256-GCM
SIZE_MAX = 2**31 - 1

Octets = bytes | bytearray


class NotSealed(ValueError):
    """What is to be opened was not sealed with this key, or was changed."""


class Certificate:
    """An X.509 certificate, for one thread at a time. Raises ValueError for bytes that are none, or more."""

    _pointer: int | None = None

    def __init__(self, der: bytes) -> None:
        self._contexts: dict[tuple[int, str | None], int] = {}  # ready to verify, by padding and hash
        self._crypto = crypto = _library()
        self.der = der
        at = ctypes.cast(c_char_p(der), c_void_p)
        end = (at.value or 0) + len(der)
        with _own_errors():
            self._pointer = crypto.d2i_X509(None, byref(at), len(der))
            self._key: int | None = crypto.X509_get0_pubkey(self._pointer) if self._pointer else None
        if self._key is None or at.value != end:
            raise ValueError("no certificate")

    def __del__(self) -> None:
        for context in self._contexts.values():
            self._crypto.EVP_PKEY_CTX_free(context)
        if self._pointer:
            self._crypto.X509_free(self._pointer)

    @property
    def has_rsa_key(self) -> bool:
        """Whether its key is one for RSA."""
        return bool(self._crypto.EVP_PKEY_is_a(self._key, b"RSA"))

    def is_issued_by(self, issuer: Certificate) -> bool:
        """Return whether the issuer has the name that is told, and its key did sign this certificate."""
        crypto = self._crypto
        names = crypto.X509_get_issuer_name(self._pointer), crypto.X509_get_subject_name(issuer._pointer)
        with _own_errors():
            return crypto.X509_NAME_cmp(*names) == 0 and _all_well(crypto.X509_verify(self._pointer, issuer._key))

    @property
    def is_current(self) -> bool:
        """Whether it is valid at this moment."""
        crypto = self._crypto
        with _own_errors():
            begin, end = crypto.X509_get0_notBefore(self._pointer), crypto.X509_get0_notAfter(self._pointer)
            return bool(crypto.X509_cmp_current_time(begin) < 0 < crypto.X509_cmp_current_time(end))

    def accepts_info(self, signature: bytes, info: bytes) -> bool:
        """Return whether this is its RSA key's signature of a DigestInfo (PKCS#1 v1.5)."""
        return self._accepts(signature, info, PKCS1, None)

    def accepts(self, signature: bytes, digest: bytes, algorithm: Algorithm, kind: str = "sha256") -> bool:
        """Return whether this is its RSA key's signature of a digest, by RS256 or PS256, or as these of another hash.

        Source: RFC 7518.
        """
        return self._accepts(signature, digest, PADDINGS[algorithm], kind)

    def _accepts(self, signature: bytes, value: bytes, padding: int, kind: str | None) -> bool:
        with _own_errors():
            context = self._contexts.get((padding, kind)) or self._context(padding, kind)
            if context is None:
                return False
            return _all_well(self._crypto.EVP_PKEY_verify(context, signature, len(signature), value, len(value)))

    def _context(self, padding: int, kind: str | None) -> int | None:
        """Return what verifies with this padding and hash, None where the key does not; made once.

        OpenSSL looks for the algorithms again for each new one, which takes longer than RSA.
        """
        crypto = self._crypto
        context: int | None = crypto.EVP_PKEY_CTX_new(self._key, None)
        if context is None:
            raise MemoryError
        is_ready = _all_well(
            crypto.EVP_PKEY_verify_init(context),
            crypto.EVP_PKEY_CTX_set_rsa_padding(context, padding),
            kind is None or crypto.EVP_PKEY_CTX_set_signature_md(context, getattr(crypto, f"EVP_{kind}")()),
            padding != PSS or crypto.EVP_PKEY_CTX_set_rsa_pss_saltlen(context, AS_LONG_AS_THE_DIGEST),
        )
        if not is_ready:
            crypto.EVP_PKEY_CTX_free(context)
            return None
        self._contexts[padding, kind] = context
        return context


def seal(key: Octets, nonce: bytes, content: Octets, about: bytes) -> bytes:
    """Return the content encrypted by AES-256-GCM, and its tag; ``about`` is sealed with it and not in it."""
    done, tag = _crypt(key, nonce, content, about, None)
    return done.raw[: len(content)] + tag


def unseal(key: Octets, nonce: bytes, sealed: bytes, about: bytes) -> bytes:
    """Return the content of what was sealed. Raises NotSealed."""
    if len(sealed) < TAG_SIZE:
        raise NotSealed
    size = len(sealed) - TAG_SIZE
    done, _ = _crypt(key, nonce, sealed[:size], about, sealed[size:])
    try:
        return done.raw[:size]
    finally:
        ctypes.memset(done, 0, size)


def _crypt(
    key: Octets, nonce: bytes, content: Octets, about: bytes, tag: bytes | None
) -> tuple[ctypes.Array[ctypes.c_char], bytes]:
    """Encrypt, or decrypt where the tag is given; return a buffer and the tag. Raises NotSealed for another tag."""
    if len(key) != KEY_SIZE or len(nonce) != NONCE_SIZE or max(len(content), len(about)) > SIZE_MAX:
        raise ValueError("a key, a nonce or a content of no such size")
    crypto, written = _library(), c_int()
    done = ctypes.create_string_buffer(len(content) or 1)
    made = ctypes.create_string_buffer(tag or b"", TAG_SIZE)
    with _own_errors(), _given_back(crypto.EVP_CIPHER_CTX_new(), crypto.EVP_CIPHER_CTX_free) as cipher:
        is_well = _all_well(
            crypto.EVP_CipherInit_ex(cipher, crypto.EVP_aes_256_gcm(), None, _at(key), nonce, int(tag is None)),
            crypto.EVP_CipherUpdate(cipher, None, byref(written), about, len(about)),
            crypto.EVP_CipherUpdate(cipher, done, byref(written), _at(content), len(content)),
            tag is None or crypto.EVP_CIPHER_CTX_ctrl(cipher, SET_TAG, TAG_SIZE, made),
            crypto.EVP_CipherFinal_ex(cipher, ctypes.create_string_buffer(TAG_SIZE), byref(written)),
            tag is not None or crypto.EVP_CIPHER_CTX_ctrl(cipher, GET_TAG, TAG_SIZE, made),
        )
    if not is_well:
        ctypes.memset(done, 0, len(done))
        if tag is None:
            raise MemoryError
        raise NotSealed
    return done, made.raw


def _at(octets: Octets) -> bytes | ctypes.Array[ctypes.c_char]:
    """Return what ctypes takes the address of: a bytearray, which is wiped later, is not copied."""
    return octets if isinstance(octets, bytes) else (ctypes.c_char * len(octets)).from_buffer(octets)


def _all_well(*answers: int) -> bool:
    return all(answer == 1 for answer in answers)


@contextmanager
def _given_back(pointer: int | None, give_back: Callable[[int], None]) -> Iterator[int]:
    if pointer is None:
        raise MemoryError
    try:
        yield pointer
    finally:
        give_back(pointer)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Leave no error in the thread's queue, where Python's ``ssl`` would take it for its own."""
    try:
        yield
    finally:
        _library().ERR_clear_error()


@cache
def _library() -> ctypes.PyDLL:
    """Return the library; its functions take microseconds, less than it takes to get the interpreter's lock back."""
    library = ctypes.PyDLL(LIBRARY)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
