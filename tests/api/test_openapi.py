"""``/openapi.json`` is valid, complete, and says what the API really answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from cardd.api.routes import ROUTES
from cardd.errors import every_error
from tests.api.test_signatures import NONCE, item
from tests.api.workbench import SOFTWARE, Got, Json, Workbench


async def description(api: Workbench) -> Json:
    got = await api.call("GET", "/openapi.json")
    assert got.headers["Content-Type"] == "application/json"
    return got.json


async def test_the_description_is_openapi_3_1(api: Workbench) -> None:
    document = cast(Mapping[str, object], await description(api))
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_the_description_has_every_route_and_every_code(api: Workbench) -> None:
    document = await description(api)
    paths = cast(dict[str, Json], document["paths"])
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        (route.method, route.path) for route in ROUTES
    }
    told = cast(Json, document["info"])["description"]
    assert isinstance(told, str)
    assert all(f"`{error.code}`" in told for error in every_error())


async def test_the_description_tells_the_headers_that_pairing_and_the_proof_need(api: Workbench) -> None:
    paths = cast(dict[str, dict[str, Json]], (await description(api))["paths"])
    for path, method, sent, status, told in (
        ("/v1/status", "get", "Cardd-Challenge", "200", "Cardd-Proof"),
        ("/v1/clients", "post", "Prefer", "202", "Location"),
    ):
        operation = paths[path][method]
        assert sent in {parameter["name"] for parameter in cast(list[Json], operation["parameters"])}
        answer = cast(dict[str, Json], operation["responses"])[status]
        assert cast(Json, answer["headers"]).keys() == {told}
        assert operation["security"] == []


async def test_only_get_post_and_delete_exist_and_every_post_has_a_body() -> None:
    own = [route for route in ROUTES if not route.is_open]
    assert {route.method for route in own} == {"GET", "POST", "DELETE"}
    assert all(route.body or route.takes for route in own if route.method == "POST")


async def test_no_body_has_a_place_for_a_pin_or_an_origin(api: Workbench) -> None:
    document = await description(api)
    schemas = cast(dict[str, Json], cast(Json, document["components"])["schemas"])
    for name, schema in schemas.items():
        fields = {field.lower() for field in cast(Json, schema.get("properties", {}))}
        assert not fields & {"password", "code_porteur"}
        if name.endswith("Body"):
            assert not any("pin" in field or ("origin" in field and name != "AllowBody") for field in fields)


async def test_answers_are_as_described(api: Workbench) -> None:
    document = await description(api)
    pairing = await api.call("POST", "/v1/clients", SOFTWARE, headers={"Prefer": "respond-async"})
    check(document, "PairingAnswer", pairing)
    client = await api.call("POST", "/v1/clients", SOFTWARE)
    check(document, "ClientAnswer", client)
    secret = client.text("client_secret")
    session = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    check(document, "SessionAnswer", session)
    path, token, card = session.headers["Location"], session.text("token"), session.text("card")
    signatures = {"signatures": [item(), item()]}
    for name, got in {
        "StatusAnswer": await api.call("GET", "/v1/status"),
        "ClientsAnswer": await api.call("GET", "/v1/clients", via="unix"),
        "ReadersAnswer": await api.call("GET", "/v1/readers", bearer=secret),
        "CardsAnswer": await api.call("GET", "/v1/cards?pin=true", bearer=secret),
        "CertificatesAnswer": await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret),
        "SessionsAnswer": await api.call("GET", "/v1/sessions", via="unix"),
        "SignatureAnswer": await api.call("POST", f"{path}/signatures", item(), bearer=token),
        "SignaturesAnswer": await api.call("POST", f"{path}/signatures", signatures, bearer=token),
        "AuthTokenAnswer": await api.call("POST", f"{path}/auth-tokens", {"nonce": NONCE}, bearer=token),
        "Problem": await api.call("GET", "/nowhere"),
        "Refusal": await api.call("GET", "/v1/status", headers={"Origin": "https://evil.test"}),
    }.items():
        check(document, name, got)


def check(document: Json, name: str, got: Got) -> None:
    """The answer has what the schema of this name says, and nothing else."""
    components = cast(Json, document["components"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(got.json)] == []
    described = cast(dict[str, dict[str, Json]], components["schemas"])[name]["properties"]
    assert got.json.keys() <= described.keys()
