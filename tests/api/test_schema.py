"""An outside tool reads ``/openapi.json`` and asks what it likes: no fault of ours, and every answer as described.

What it asks for against the description is refused. Streams never end, and the relay's answers are the servers' own:
both are left out.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cardd.api.openapi import document
from cardd.api.router import Route
from cardd.api.routes import ROUTES
from cardd.config import Config, Prompt
from cardd.errors import CarddError, PromptBusy
from tests.api.workbench import PIN, SOFTWARE, Workbench

if TYPE_CHECKING:
    from schemathesis.core.jsonschema.types import JsonValue
    from schemathesis.specs.openapi.schemas import OpenApiOperation

T = TypeVar("T")

CASES = 10  # of each operation, in each mode
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAMS = ("/v1/events", "/v1/support/traces")
ASKED = [
    pytest.param(route, mode, id=f"{route.method} {route.path} {mode.value}")
    for route in ROUTES
    if not route.is_open and route.path not in STREAMS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or route.body or route.query
]
LIMITED = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Served:
    """A workbench on a thread of its own, with a paired program and its session."""

    api: Workbench
    loop: asyncio.AbstractEventLoop
    secret: str = ""
    opened: tuple[str, str] | None = None

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Have the loop of that thread do it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def session(self) -> tuple[str, str]:
        """Return path and token of an open session, the same one while nobody ended it."""
        self.api.person.pins = [PIN]
        if self.opened is None or (await self.api.call("GET", self.opened[0], bearer=self.opened[1])).status != 200:
            self.opened = await self.api.login(self.secret)
        return self.opened


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def prepare() -> Served:
        patient = Config(prompt=Prompt(refusals=1000))  # the person types one PIN, and cancels what else is asked
        api = Workbench(tmp_path_factory.mktemp("api"), patient)
        await api.start()
        return Served(api, loop, await api.pair())

    made = asyncio.run_coroutine_threadsafe(prepare(), loop).result(60)
    yield made
    made.run(made.api.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize(("route", "mode"), ASKED)
def test_whatever_is_asked_the_answer_is_as_described_and_no_fault_of_ours(
    served: Served, route: Route, mode: GenerationMode
) -> None:
    path = route.path
    operation = described(path, route.method)

    @LIMITED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[OpenApiOperation]) -> None:
        session, token = served.run(served.session())
        if "{id}" in path and mode is GenerationMode.POSITIVE:
            card = served.api.readers.cards()[0].id
            case.path_parameters["id"] = card if "/cards/" in path else session.rpartition("/")[2]
        # by the first three the description says who calls; the last says how the body is cut, which no route sees
        for name in ("Host", "Origin", "Authorization", "Transfer-Encoding"):
            case.headers.pop(name, None)
        bearer = token if path.startswith("/v1/sessions/") else served.secret
        answer = case.call(base_url=served.api.base(), headers={"Authorization": f"Bearer {bearer}"}, timeout=30)
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code >= 400 or not is_against(route, case), case.as_curl_command()

    ask()


@pytest.mark.parametrize(
    ("headers", "fault", "status", "code"),
    [
        ({"Origin": "https://inconnue.example"}, None, 403, "request.forbidden"),
        ({"Host": "inconnu.example"}, None, 403, "request.forbidden"),
        ({}, PromptBusy(waiting=8), 503, "prompt.busy"),
    ],
    ids=["a page that nobody knows", "a name that is not ours", "too many dialogs"],
)
def test_what_is_refused_at_the_door_is_described_too(
    served: Served, headers: dict[str, str], fault: CarddError | None, status: int, code: str
) -> None:
    served.api.person.fault = fault
    case = described("/v1/clients", "POST").Case(body=cast("JsonValue", SOFTWARE), media_type="application/json")
    try:
        answer = case.call(base_url=served.api.base(), headers=headers, timeout=30)
    finally:
        served.api.person.fault = None
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    case.validate_response(answer, checks=CHECKS[1:])


def is_against(route: Route, case: Case[OpenApiOperation]) -> bool:
    """Body or query are against the description; a header that nobody knows is not, and an empty list is never sent."""
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    asked = {name: value for name, value in case.query.items() if value != []}
    return (body is not None and body.mode is GenerationMode.NEGATIVE) or any(
        value not in route.query.get(name, ()) for name, value in asked.items()
    )


def described(path: str, method: str) -> OpenApiOperation:
    return schemathesis.openapi.from_dict(json.loads(document("0", ROUTES)))[path][method]
