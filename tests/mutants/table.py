"""The modules whose mutants are tried, and the tests that are asked: in this process, without other programs."""

from __future__ import annotations

MODULES: dict[str, tuple[str, ...]] = {
    "cardd/core/attempts.py": ("tests/core/test_attempts.py",),
    "cardd/core/page_keys.py": ("tests/core/test_page_keys.py",),
    "cardd/core/pin_guard.py": ("tests/core/test_pin_guard.py",),
    "cardd/core/totp.py": ("tests/core/test_totp.py",),
}
