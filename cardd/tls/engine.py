"""One TLS connection without a socket: bytes in, bytes out, through memory BIOs."""

from __future__ import annotations

import ctypes
import ipaddress
import weakref
from ctypes import c_char_p, c_size_t

from cardd.errors import UpstreamError, UpstreamRefusedUs, UpstreamTlsFailed, UpstreamUntrusted
from cardd.tls.context import TlsContext, reason
from cardd.tls.openssl import library

READ_SIZE = 256 * 1024
RECORD = 16 * 1024

_WANT_READ, _WANT_WRITE, _ZERO_RETURN = 2, 3, 6
_SET_HOST_NAME = 55
_SET_STATUS_TYPE, _GET_STATUS_ANSWER, _OCSP = 65, 70, 1
_NO_PARTIAL_WILDCARDS = 0x4
_RECEIVED_SHUTDOWN = 2
_REASON = 0x7FFFFF
_VERIFY_FAILED = 134
_ALERT = 1000
# alerts by which a server says that it does not like what we showed (RFC 8446, 6.2)
_AGAINST_US = {40, 41, 42, 43, 44, 45, 46, 48, 49, 51, 116}


class Resumption:
    """What lets the next connection do without the key: an SSL_SESSION. Freed with the object."""

    def __init__(self, address: int) -> None:
        self.address = address
        weakref.finalize(self, library().ssl.SSL_SESSION_free, address).atexit = False


class Engine:
    """The client's end of one connection to ``host``, which errors call ``name``; used by one thread at a time.

    OpenSSL's object is freed with this one, so that a thread that is late never meets freed memory. ``path`` and
    ``stapled`` may be read elsewhere while the thread of a handshake waits for a signature. ``is_vouched_for`` is for
    whoever asks about the path.
    """

    def __init__(self, context: TlsContext, host: str, name: str, resumption: Resumption | None = None) -> None:
        self._library = library()
        self._name = name
        self.is_broken = False
        self.is_vouched_for = False
        ssl, crypto = self._library.ssl, self._library.crypto
        self._ssl: int = ssl.SSL_new(context.address)
        weakref.finalize(self, ssl.SSL_free, self._ssl).atexit = False
        self._in: int = crypto.BIO_new(crypto.BIO_s_mem())
        self._out: int = crypto.BIO_new(crypto.BIO_s_mem())
        ssl.SSL_set_bio(self._ssl, self._in, self._out)  # which owns them now
        ssl.SSL_set_connect_state(self._ssl)
        self._expect(host)
        ssl.SSL_ctrl(self._ssl, _SET_STATUS_TYPE, _OCSP, None)  # the server may staple what its authority says of it
        if resumption is not None:
            ssl.SSL_set_session(self._ssl, resumption.address)
        self._buffer = ctypes.create_string_buffer(0)
        self._done = c_size_t()

    def handshake(self) -> bool:
        """Do the next step; return whether the handshake is over. May wait for a signature. Raises UpstreamError."""
        ssl = self._library.ssl
        self._library.crypto.ERR_clear_error()
        done = ssl.SSL_do_handshake(self._ssl)
        if done == 1:
            return True
        if ssl.SSL_get_error(self._ssl, done) not in (_WANT_READ, _WANT_WRITE):
            raise self._failure()
        return False

    def feed(self, data: bytes) -> None:
        """Take what came from the network."""
        self._library.crypto.BIO_write(self._in, data, len(data))

    def take(self) -> bytes:
        """Return what is to go to the network."""
        crypto = self._library.crypto
        size = crypto.BIO_ctrl_pending(self._out)
        if not size:
            return b""
        data = ctypes.create_string_buffer(size)
        crypto.BIO_read(self._out, data, size)
        return data.raw

    def read(self) -> bytes:
        """Return what the server said, at most ``READ_SIZE``; empty without a whole record. Raises UpstreamError."""
        ssl = self._library.ssl
        if len(self._buffer) < READ_SIZE:
            self._buffer = ctypes.create_string_buffer(READ_SIZE)
        start, filled = ctypes.addressof(self._buffer), 0
        self._library.crypto.ERR_clear_error()
        while filled <= READ_SIZE - RECORD:
            got = ssl.SSL_read_ex(self._ssl, start + filled, READ_SIZE - filled, ctypes.byref(self._done))
            if not got:
                if ssl.SSL_get_error(self._ssl, got) not in (_WANT_READ, _WANT_WRITE, _ZERO_RETURN):
                    raise self._failure()
                break
            filled += self._done.value
        return ctypes.string_at(start, filled)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt all of the data. Raises UpstreamError."""
        sent = data if isinstance(data, bytes) else bytes(data)
        self._library.crypto.ERR_clear_error()
        if sent and not self._library.ssl.SSL_write_ex(self._ssl, sent, len(sent), ctypes.byref(self._done)):
            raise self._failure()

    def shutdown(self) -> None:
        """Say goodbye, which also keeps the session fit to be resumed."""
        if not self.is_broken:
            self._library.ssl.SSL_shutdown(self._ssl)
            self._library.crypto.ERR_clear_error()

    @property
    def is_ended(self) -> bool:
        """Return whether the server has said goodbye."""
        return bool(self._library.ssl.SSL_get_shutdown(self._ssl) & _RECEIVED_SHUTDOWN)

    @property
    def is_resumed(self) -> bool:
        """Return whether the handshake went without the key."""
        return bool(self._library.ssl.SSL_session_reused(self._ssl))

    @property
    def path(self) -> list[bytes]:
        """Return the verified path (DER), the server's own certificate first; empty after a resumption."""
        ssl, crypto = self._library.ssl, self._library.crypto
        stack = ssl.SSL_get0_verified_chain(self._ssl)
        return [
            self._der(crypto.OPENSSL_sk_value(stack, place)) for place in range(max(crypto.OPENSSL_sk_num(stack), 0))
        ]

    @property
    def stapled(self) -> bytes:
        """Return the OCSP answer about itself that the server gave with its certificate; empty without one."""
        found = ctypes.c_void_p()
        size = self._library.ssl.SSL_ctrl(
            self._ssl, _GET_STATUS_ANSWER, 0, ctypes.cast(ctypes.pointer(found), c_char_p)
        )
        return ctypes.string_at(found.value, size) if found.value and size > 0 else b""

    def _der(self, certificate: int) -> bytes:
        size = self._library.crypto.i2d_X509(certificate, None)
        written = ctypes.create_string_buffer(size)
        self._library.crypto.i2d_X509(certificate, ctypes.byref(ctypes.c_void_p(ctypes.addressof(written))))
        return written.raw

    def resumption(self) -> Resumption | None:
        """Return what the next connection may begin with; None when the server gave nothing of the kind (yet)."""
        ssl = self._library.ssl
        found = ssl.SSL_get1_session(self._ssl)
        if not found:
            return None
        resumption = Resumption(found)
        return resumption if ssl.SSL_SESSION_is_resumable(found) else None

    def _expect(self, host: str) -> None:
        """Demand a certificate for this host: a name, which is sent as SNI too, or an address."""
        ssl, crypto = self._library.ssl, self._library.crypto
        try:
            address = str(ipaddress.ip_address(host)).encode()
        except ValueError:
            ssl.SSL_set_hostflags(self._ssl, _NO_PARTIAL_WILDCARDS)
            set_ = ssl.SSL_set1_host(self._ssl, host.encode("idna"))
            set_ = set_ and ssl.SSL_ctrl(self._ssl, _SET_HOST_NAME, 0, host.encode("idna"))
        else:
            set_ = crypto.X509_VERIFY_PARAM_set1_ip_asc(ssl.SSL_get0_param(self._ssl), address)
        if not set_:
            raise UpstreamUntrusted(name=self._name, why=host)

    def _failure(self) -> UpstreamError:
        """Return why OpenSSL stopped. The connection is of no use any more."""
        self.is_broken = True
        crypto, ssl = self._library.crypto, self._library.ssl
        code = crypto.ERR_peek_error() & _REASON
        why = reason()
        if code == _VERIFY_FAILED:
            result = ssl.SSL_get_verify_result(self._ssl)
            return UpstreamUntrusted(name=self._name, why=crypto.X509_verify_cert_error_string(result).decode())
        if code - _ALERT in _AGAINST_US:
            return UpstreamRefusedUs(name=self._name, why=why)
        return UpstreamTlsFailed(name=self._name, why=why)
