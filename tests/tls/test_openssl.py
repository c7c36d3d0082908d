"""The machine's OpenSSL: one that is missing or too old is told, and nothing else of cardd fails with it."""

from __future__ import annotations

import pytest

from cardd.errors import TlsUnavailable
from cardd.tls.openssl import Library


def test_a_machine_without_openssl_is_told() -> None:
    with pytest.raises(TlsUnavailable) as refused:
        Library(libssl="libssl.so.none")
    assert "libssl.so.none" in refused.value.why


def test_an_openssl_that_is_too_old_is_told() -> None:
    with pytest.raises(TlsUnavailable, match=r"< 99\.0"):
        Library(oldest=(99, 0))
