"""One-time codes by time (TOTP, RFC 6238): SHA-1, six digits, steps of 30 s, as every authenticator app has them.

The secret is base32 text (RFC 4648), 160 bits, as RFC 4226 recommends. pyotp takes it as ``str``, whose memory cannot
be wiped.
"""

from __future__ import annotations

from datetime import datetime

from cardd.errors import SupportSecretUnreadable
from cardd.secret import Secret

ISSUER = "cardd"
STEP = 30  # seconds
WINDOW = 1  # steps that the phone's clock may be ahead or behind, RFC 6238 section 5.2


def new_secret() -> Secret:
    """A secret, from the system's random generator."""
    import pyotp  # noqa: PLC0415 - few workstations use it

    return Secret.of(pyotp.random_base32().encode())


def address(secret: Secret, label: str) -> str:
    """The ``otpauth://`` address that an authenticator app takes; ``label`` is the name that the app shows."""
    import pyotp  # noqa: PLC0415

    return pyotp.TOTP(_text(secret)).provisioning_uri(name=label, issuer_name=ISSUER)


def step_of(secret: Secret, code: str, now: datetime) -> int | None:
    """Return the time step that the code is for; None when it is no code of the steps around now.

    Raises SupportSecretUnreadable for a secret that is no base32, or shorter than 112 bits.
    """
    import pyotp  # noqa: PLC0415

    try:
        totp = pyotp.TOTP(_text(secret))
    except ValueError:
        raise SupportSecretUnreadable from None
    try:
        return totp.verify_and_get_timecode("".join(code.split()), for_time=now, valid_window=WINDOW)
    except pyotp.OTPVerificationError:
        return None


def _text(secret: Secret) -> str:
    with secret.lent() as raw:
        return "".join(raw.decode("ascii").split())
