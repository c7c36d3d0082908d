"""Whatever body comes, the answer is no fault of ours, and the next request is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardd.api.routes import ROUTES
from tests.api.workbench import PAGE, PIN, Got, Workbench

FIELDS = sorted({name for route in ROUTES for body in route.body for name in body.__struct_fields__})
ANY_EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(max_size=50) | st.sampled_from(["cpx", "raw", "RS256", "A" * 43 + "=", "lps-test"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | texts, inner, max_size=6),
    max_leaves=20,
)
bodies = values | st.dictionaries(st.sampled_from(FIELDS), values, max_size=8) | st.binary(max_size=200)


@dataclass
class Caller:
    """Calls from outside the loop, one request at a time."""

    runner: asyncio.Runner
    api: Workbench
    path: str = ""
    token: str = ""

    def __call__(self, method: str, path: str, body: object) -> Got:
        """One request with the session's token, or as the allowed page."""
        credentials = {"bearer": self.token} if self.path in path else {"bearer": None}
        headers = {} if self.path in path or path == "/v1/clients" else {"Origin": PAGE}
        return self.runner.run(self.api.call(method, path, body, headers=headers, **credentials))


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    with asyncio.Runner() as runner:

        async def prepare() -> Caller:
            api = Workbench(tmp_path)
            await api.start()
            path, token = await api.logged_in()
            return Caller(runner, api, path, token)

        prepared = runner.run(prepare())
        yield prepared
        runner.run(prepared.api.stop())


@pytest.mark.parametrize("place", ["/v1/clients", "/v1/sessions", "{session}/signatures", "{session}/auth-tokens"])
@ANY_EXAMPLES
@given(body=bodies)
def test_any_body_gets_an_answer_that_is_no_fault_of_ours(caller: Caller, place: str, body: object) -> None:
    caller.api.person.pins = [PIN]
    caller.api.sessions.close_where(lambda session: session.id not in caller.path, "test")
    got = caller("POST", place.format(session=caller.path), body)
    assert got.status < 500, got.raw
    if got.status >= 400:
        assert isinstance(got.code, str)


@ANY_EXAMPLES
@given(
    path=st.text(
        alphabet=st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters=" #?\\"), max_size=40
    )
)
def test_any_path_gets_an_answer_that_is_no_fault_of_ours(caller: Caller, path: str) -> None:
    for prefix in ("/", "/v1/", "/v1/cards/", "/v1/sessions/", "/v1/clients/"):
        for method in ("GET", "DELETE"):
            assert caller(method, prefix + path, None).status in (200, 204, 401, 403, 404, 405, 422)
