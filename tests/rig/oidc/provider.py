"""Node's oidc-provider as Pro Santé Connect, over TLS on loopback: the independent judge of ``cardd.oidc``.

The library is certified by the OpenID foundation and not ours; ``provider.mjs`` only sets it up as PSC is.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cardd.model import JsonValue
from tests.rig.oidc.people import PEOPLE
from tests.rig.oidc.pki import ORGANISATION, Authority
from tests.rig.ports import free_port

HERE = Path(__file__).parent
PATH = "/auth/realms/esante-wallet"
CIBA = "urn:openid:params:grant-type:ciba"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SECRET = "simulation-secret-of-a-client-0000"


def is_installed() -> bool:
    """Whether node and the packages that ``make setup`` installs are here."""
    return shutil.which("node") is not None and (HERE / "node_modules").is_dir()


def jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    """The private key as JSON."""
    made = json.loads(RSAAlgorithm.to_jwk(key) if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm.to_jwk(key))
    # PyJWT adds key_ops of its own, which oidc-provider refuses beside "use"
    return {**{name: value for name, value in made.items() if name != "key_ops"}, "kid": kid}


@cache
def signing_keys(name: str) -> list[dict[str, Any]]:
    """A provider's keys of that name, the same each time: one for RS256 and PS256, one for ES256."""
    return [
        jwk(rsa.generate_private_key(65537, 2048), f"{name}-rsa"),
        jwk(ec.generate_private_key(ec.SECP256R1()), f"{name}-ec"),
    ]


def client(name: str, method: str, **more: JsonValue) -> dict[str, JsonValue]:
    """A registered service, as ANS would have it."""
    return {
        "client_id": name,
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token", CIBA, EXCHANGE],
        "response_types": ["code"],
        "redirect_uris": ["http://127.0.0.1/callback"],
        "post_logout_redirect_uris": ["http://127.0.0.1/bye"],
        "application_type": "native",
        "backchannel_token_delivery_mode": "poll",
        **more,
    }


@dataclass
class PscRig:
    """One provider. ``expires_in`` and ``interval`` (seconds) are those of its CIBA requests.

    ``address`` is where it listens; ``public_port`` is another program's before it, whose address it goes by.
    """

    authority: Authority = field(default_factory=Authority)
    expires_in: int = 120
    interval: float = 0.2
    extra_clients: list[dict[str, JsonValue]] = field(default_factory=list)
    issuer: str = ""
    node: str = "node"
    public_port: int | None = None
    address: str = ""
    _process: subprocess.Popen[str] | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def installed(cls) -> Self:
        """One, not started; the test is skipped where it is not installed."""
        if not is_installed():
            import pytest  # the demo and the bench use the rig without it

            pytest.skip("node or its oidc-provider is not here: make setup installs both")
        return cls()

    async def start(self) -> None:
        """Start it; it answers when this returns."""
        port, mtls_port = free_port(), free_port()
        self.address = f"https://localhost:{port}"
        self.issuer = f"https://localhost:{self.public_port or port}{PATH}"
        server = self.authority.issue("localhost")
        setup = {
            "issuer": self.issuer,
            "port": port,
            "mtls_port": mtls_port,
            "key": server.key.decode(),
            "cert": server.certificate.decode(),
            "ca": self.authority.pem.decode(),
            "expires_in": self.expires_in,
            "interval": self.interval,
            "clients": [*self._clients(), *self.extra_clients],
            "people": PEOPLE,
            "jwks": signing_keys("first"),
        }
        self._process = await asyncio.to_thread(self._launch)
        await self._exchange(setup, "ready")

    def _launch(self) -> subprocess.Popen[str]:
        command = [self.node, "--no-warnings", "provider.mjs"]
        return subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _clients() -> list[dict[str, JsonValue]]:
        return [
            client("basic", "client_secret_basic", client_secret=SECRET),
            client("post", "client_secret_post", client_secret=SECRET),
            client("es256", "client_secret_basic", client_secret=SECRET, id_token_signed_response_alg="ES256"),
            client("jwt-userinfo", "client_secret_basic", client_secret=SECRET, userinfo_signed_response_alg="PS256"),
            client("hs256", "client_secret_basic", client_secret=SECRET, id_token_signed_response_alg="HS256"),
            client("no-ciba", "client_secret_basic", client_secret=SECRET, grant_types=["authorization_code"]),
            client(
                "mtls",
                "tls_client_auth",
                tls_client_auth_subject_dn=ORGANISATION,
                tls_client_certificate_bound_access_tokens=True,
            ),
        ]

    async def stop(self) -> None:
        """End it and wait."""
        if self._process is not None:
            with self._process as process:  # closes its stdin, which ends it, and waits
                assert process.stdin is not None
                process.stdin.close()
            self._process = None

    async def reset(self) -> None:
        """Begin anew for the next test: clock, keys, browser, requests."""
        await self._command(do="reset")

    async def thumbprint(self, access_token: str) -> str | None:
        """The ``x5t#S256`` of the certificate that it bound this token to."""
        found: str | None = await self._command(do="thumbprint", token=access_token)
        return found

    async def approve(self, login_hint: str, acr: str = "eidas1") -> None:
        """The person types the PIN on the mobile."""
        await self._command(do="approve", login_hint=login_hint, acr=acr)

    async def deny(self, login_hint: str) -> None:
        """The person refuses."""
        await self._command(do="deny", login_hint=login_hint)

    async def browser(self, **answer: JsonValue) -> None:
        """How the next browser login ends: ``account`` and ``acr``, or ``error``."""
        await self._command(do="browser", **{"as": answer})

    async def rotate(self, name: str = "second") -> None:
        """From now on sign with new keys and show only those."""
        await self._command(do="rotate", keys=signing_keys(name))

    async def shift_clock(self, seconds: float) -> None:
        """Set its clock ahead of ours, or behind."""
        await self._command(do="clock", offset=seconds)

    async def requests(self) -> list[dict[str, JsonValue]]:
        """The parameters of each CIBA request so far."""
        seen: list[dict[str, JsonValue]] = await self._command(do="requests")
        return seen

    async def _command(self, **command: object) -> Any:
        return await self._exchange(command, "done")

    async def _exchange(self, said: object, wanted: str) -> Any:
        return await asyncio.to_thread(self._exchange_now, said, wanted)

    def _exchange_now(self, said: object, wanted: str) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with self._turn:
            process.stdin.write(json.dumps(said) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith("{"):  # oidc-provider writes notices of its own
                    answer = json.loads(line)
                    assert wanted in answer, answer
                    return answer[wanted]
        raise AssertionError("the provider ended: see its output above")
