"""POST …/auth-tokens: Web EID authentication tokens (web-eid:1.0)."""

from __future__ import annotations

from base64 import b64encode

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.sessions import AuthTokenAnswer, AuthTokenBody

FORMAT = "web-eid:1.0"
SHAPE = Shape(AuthTokenBody)


async def issue(call: Call, body: AuthTokenBody) -> Reply:
    """A token for the caller's own origin and its nonce."""
    signed = await call.services.signing.authenticate(call.session, body.nonce)
    return Reply(
        body=AuthTokenAnswer(
            unverifiedCertificate=b64encode(signed.certificate).decode(),
            algorithm=signed.algorithm.value,
            signature=b64encode(signed.signature).decode(),
            format=FORMAT,
            appVersion=f"urn:cardd:app:{call.services.version}",
        )
    )
