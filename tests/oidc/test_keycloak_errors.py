"""How Keycloak, which PSC is, says no: its codes are not those of the standard everywhere."""

from __future__ import annotations

import pytest

from cardd.errors import CarddError, PscLoginHintUnknown, PscNoCiba, PscRequestRefused, PscSecretWrong
from cardd.oidc import ciba
from cardd.oidc.provider import Provider
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ALICE


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        (401, ("invalid_grant", "Client not allowed OIDC CIBA Grant"), PscNoCiba),
        (400, ("unauthorized_client", ""), PscNoCiba),
        (401, ("unauthorized_client", "Invalid client or Invalid client credentials"), PscSecretWrong),
        (401, ("invalid_client", ""), PscSecretWrong),
        (400, ("invalid_request", "invalid_user"), PscLoginHintUnknown),
        (400, ("unknown_user_id", ""), PscLoginHintUnknown),
        (400, ("invalid_scope", "Invalid scopes: openid scope_all"), PscRequestRefused),
        (400, ("\x1b[31m", ""), PscRequestRefused),
        (404, ("", ""), PscRequestRefused),
    ],
)
async def test_a_login_that_cannot_begin_is_told_by_its_cause(
    fake: FakeProvider, at_fake: Provider, status: int, told: tuple[str, str], expected: type[CarddError]
) -> None:
    fake.start_refusal = (status, {"error": told[0], "error_description": told[1]})
    with pytest.raises(CarddError) as refused:
        await ciba.start(at_fake, ALICE)
    assert type(refused.value) is expected


async def test_a_refusal_without_a_known_code_shows_only_its_status(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start_refusal = (400, {"error": "\x1b[31m<script>", "error_description": ["odd"]})
    with pytest.raises(PscRequestRefused) as refused:
        await ciba.start(at_fake, ALICE)
    assert refused.value.params == {"error": "HTTP 400"}
