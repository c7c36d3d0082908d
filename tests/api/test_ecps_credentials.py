"""How the configured service proves itself to oidc-provider: each way, and what is said when its proof is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cardd.errors import SecretStoreUnavailable
from cardd.model import KeyPurpose
from cardd.oidc.client_auth import ClientKey, thumbprint_of
from cardd.secret import Secret
from cardd_drivers.pkcs12.source import FilesSource
from tests.api.ecps import LOGIN, ends_in, pair, pending, tokens_of, workbench_at
from tests.api.workbench import Got, Workbench
from tests.rig import organisation
from tests.rig.memory import MemorySecrets
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import ORGANISATION, Authority, Issued
from tests.rig.oidc.provider import PscRig, client, jwk

PASSWORD = b"mot de passe SIMULATION"
Working = Callable[..., Awaitable[Workbench]]


@pytest_asyncio.fixture
async def working(tmp_path: Path) -> AsyncIterator[Working]:
    """Start a workbench with this service and these settings; ``issued`` is its PKCS#12."""
    async with AsyncExitStack() as stack:

        async def start(psc: PscRig, name: str, issued: Issued | None = None, **settings: object) -> Workbench:
            if issued is not None:
                settings["certificate"] = tmp_path / "organisation.p12"
                (tmp_path / "organisation.p12").write_bytes(issued.pkcs12(PASSWORD))
            api = workbench_at(psc, tmp_path, name, **settings)  # type: ignore[arg-type]
            api.secrets.values["psc-certificate"] = PASSWORD
            await api.start()
            stack.push_async_callback(api.stop)
            return api

        yield start


async def logged_in(api: Workbench, psc: PscRig) -> None:
    path, token = await pending(api)
    await psc.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")


async def refused(api: Workbench) -> Got:
    return await api.call("POST", "/v1/sessions", LOGIN, bearer=await pair(api))


@pytest.mark.parametrize(("name", "way"), [("basic", "secret_basic"), ("post", "secret_post")])
async def test_by_its_secret(working: Working, psc: PscRig, name: str, way: str) -> None:
    await logged_in(await working(psc, name, authentication=way), psc)


async def test_by_the_organisation_s_certificate_to_which_its_tokens_are_bound(working: Working, psc: PscRig) -> None:
    issued = psc.authority.issue(ORGANISATION)
    api = await working(psc, "mtls", issued, authentication="tls")
    await logged_in(api, psc)
    bound = await psc.thumbprint(tokens_of(api).access.reveal())
    assert bound == thumbprint_of(issued.der)


@pytest.mark.parametrize("key_id", ["own", None])
async def test_by_what_the_certificate_s_key_signs(working: Working, key_id: str | None) -> None:
    authority = Authority()
    issued = authority.issue(ORGANISATION)
    public = {
        name: value
        for name, value in jwk(ClientKey.from_pkcs12(issued.pkcs12(PASSWORD), PASSWORD).key, "own").items()
        if name != "d"
    }
    psc = PscRig(authority, extra_clients=[client("signing", "private_key_jwt", jwks={"keys": [public]})])
    await psc.start()
    try:
        await logged_in(await working(psc, "signing", issued, authentication="private_key_jwt", key_id=key_id), psc)
    finally:
        await psc.stop()


@asynccontextmanager
async def holding(api: Workbench, key: Path, password: bytes) -> AsyncIterator[None]:
    """The organisation's own key (section ``csa``) is there, and its password kept."""
    api.secrets.values["csa"] = password
    source = FilesSource({KeyPurpose.AUTHENTICATION: key})
    await source.start(api.readers)
    try:
        yield
    finally:
        await source.stop()


async def test_by_the_organisation_s_own_key_over_tls(working: Working, psc: PscRig, tmp_path: Path) -> None:
    issued = psc.authority.issue(ORGANISATION)
    (tmp_path / "own.p12").write_bytes(issued.pkcs12(PASSWORD))
    api = await working(psc, "mtls", authentication="tls", organisation=True)
    async with holding(api, tmp_path / "own.p12", PASSWORD):
        await logged_in(api, psc)
        bound = await psc.thumbprint(tokens_of(api).access.reveal())
        assert bound == thumbprint_of(issued.der)
        await api.ecps.stop()


@pytest.mark.parametrize("kind", ["RSA", "EC"])
async def test_by_what_the_organisation_s_own_key_signs(working: Working, tmp_path: Path, kind: str) -> None:
    own = organisation.make(tmp_path, ec=kind == "EC")
    key = load_pem_private_key((tmp_path / "authentication.key").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)
    public = {name: value for name, value in jwk(key, "own").items() if name in ("kty", "crv", "x", "y", "n", "e")}
    psc = PscRig(extra_clients=[client("signing", "private_key_jwt", jwks={"keys": [public]})])
    await psc.start()
    try:
        api = await working(psc, "signing", authentication="private_key_jwt", organisation=True)
        async with holding(api, own.authentication, organisation.PASSWORD.encode()):
            await logged_in(api, psc)
            await api.ecps.stop()
    finally:
        await psc.stop()


async def test_without_the_password_of_the_organisation_s_own_key_nobody_is_asked_for_it(
    working: Working, psc: PscRig, tmp_path: Path
) -> None:
    (tmp_path / "own.p12").write_bytes(psc.authority.issue(ORGANISATION).pkcs12(PASSWORD))
    api = await working(psc, "mtls", authentication="tls", organisation=True)
    async with holding(api, tmp_path / "own.p12", PASSWORD):
        del api.secrets.values["csa"]
        assert (await refused(api)).code == "psc.incomplete"
    assert api.person.pin_questions == []


async def test_a_wrong_password_of_the_organisation_s_own_key_is_presented_once(
    working: Working, psc: PscRig, tmp_path: Path
) -> None:
    (tmp_path / "own.p12").write_bytes(psc.authority.issue(ORGANISATION).pkcs12(PASSWORD))
    api = await working(psc, "mtls", authentication="tls", organisation=True)
    async with holding(api, tmp_path / "own.p12", b"perdu"):
        assert (await refused(api)).code == "pin.refused"
        api.secrets.values["csa"] = PASSWORD  # as far as the daemon knows, it is the same
        again = await refused(api)
        assert again.code == "psc.incomplete"
        assert "redémarrage" in again.text("detail")
    assert api.person.pin_questions == []


async def test_another_organisation_s_certificate_is_told_as_such(working: Working, psc: PscRig) -> None:
    api = await working(psc, "mtls", psc.authority.issue("AUTRE SIMULATION"), authentication="tls")
    assert (await refused(api)).code == "psc.client_refused"


@pytest.mark.parametrize("password", [b"perdu", b"perdu\xff", b"perdu\0", None], ids=["wrong", "bytes", "zero", "none"])
async def test_a_certificate_that_cannot_be_opened_is_told_before_anybody_is_asked(
    working: Working, psc: PscRig, password: bytes | None
) -> None:
    api = await working(psc, "mtls", psc.authority.issue(ORGANISATION), authentication="tls")
    del api.secrets.values["psc-certificate"]
    if password:
        api.secrets.values["psc-certificate"] = password
    assert (await refused(api)).code == "psc.incomplete"
    assert await psc.requests() == []
    api.secrets.values["psc-certificate"] = PASSWORD  # put right, it serves without a restart
    await logged_in(api, psc)


async def test_a_certificate_that_is_not_there_is_told(working: Working, psc: PscRig, tmp_path: Path) -> None:
    api = await working(psc, "mtls", authentication="tls", certificate=tmp_path / "nowhere.p12")
    assert (await refused(api)).code == "psc.incomplete"


async def test_a_secret_that_is_not_there_is_told(working: Working, psc: PscRig) -> None:
    api = await working(psc, "basic")
    api.secrets.values.clear()
    assert (await refused(api)).code == "psc.incomplete"
    api.secrets.values["psc-client-secret"] = b"perdu\xff"  # no text
    assert (await refused(api)).code == "psc.incomplete"


class LockedKeyring(MemorySecrets):
    """One that the user has not unlocked."""

    async def get(self, name: str) -> Secret | None:
        raise SecretStoreUnavailable(why="KeyringLocked")


async def test_a_keyring_that_is_locked_is_not_taken_for_a_wrong_secret(working: Working, psc: PscRig) -> None:
    api = await working(psc, "basic")
    api.secrets.now = LockedKeyring()
    got = await refused(api)
    assert got.code == "psc.incomplete"
    assert "psc-client-secret" in got.text("detail")
    assert "le trousseau reste verrouillé" in got.text("detail")
