"""What every answer has in common, problems above all."""

from __future__ import annotations

import logging

import pytest
from aiohttp import HttpVersion11

from cardd.api.answers import Reply, WholeAnswer
from tests.api.workbench import PAGE, Workbench


async def test_every_answer_says_not_to_keep_frame_or_guess_it(api: Workbench) -> None:
    for got in (
        await api.call("GET", "/v1/status"),
        await api.call("GET", "/nowhere"),
        await api.call("GET", "/v1/status", headers={"Origin": "https://evil.test"}),
        await api.call("OPTIONS", "/v1/status", headers={"Origin": PAGE}),
    ):
        assert got.headers["Cache-Control"] == "no-store"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Referrer-Policy"] == "no-referrer"
        assert got.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert got.headers["Server"] == ""


@pytest.mark.parametrize(
    ("method", "target", "version", "expected"),
    [
        ("GET", "/nowhere", "1.1", "Connection: close"),
        ("GET", "/v1/status", "1.0", "Connection: keep-alive"),
        ("HEAD", "/nowhere", "1.1", "Connection: close"),
        ("OPTIONS", "/v1/status", "1.1", "Connection: close"),
    ],
)
async def test_an_answer_ends_where_its_head_says(
    api: Workbench, method: str, target: str, version: str, expected: str
) -> None:
    """What follows it on the connection would be taken for the next answer."""
    name = expected.partition(": ")[2]
    reader, writer = await api.connect()
    said = f"{method} {target} HTTP/{version}\r\nHost: 127.0.0.1:{api.port}\r\nConnection: {name}\r\n"
    writer.write(f"{said}{f'Origin: {PAGE}' if method == 'OPTIONS' else 'Accept: */*'}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith(f"HTTP/{version} ") and expected in head  # noqa: PT018 - one head
    length = 0 if method in ("HEAD", "OPTIONS") else int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
    assert ("Content-Length" in head) is (method != "OPTIONS")
    await reader.readexactly(length)
    if name == "close":
        assert await reader.read() == b""
    writer.close()


async def test_no_value_of_a_header_begins_another_header() -> None:
    with pytest.raises(ValueError, match="control character"):
        WholeAnswer(Reply(headers={"Location": "/a\r\nSet-Cookie: b"}), {}).head(HttpVersion11)


async def test_status_tells_no_workstation_from_another(api: Workbench) -> None:
    got = await api.call("GET", "/v1/status")
    assert got.json == {"name": "cardd", "version": "0.0-test", "state": "ready"}
    api.readers.reader_removed("Lecteur A")
    api.readers.reader_removed("Lecteur B")
    assert (await api.call("GET", "/v1/status")).json["state"] == "no_readers"


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,en;q=0.9", "en"),
        ("en;q=0.5,fr", "fr"),
        ("fr;q=0,en", "en"),
        ("", "fr"),
    ],
)
async def test_a_problem_is_told_in_the_callers_language(api: Workbench, asked: str, spoken: str) -> None:
    got = await api.call("GET", "/nowhere", headers={"Accept-Language": asked})
    assert got.headers["Content-Language"] == spoken
    other = await api.call("GET", "/nowhere", headers={"Accept-Language": "en" if spoken == "fr" else "fr"})
    assert got.json["title"] != other.json["title"]
    assert got.json["code"] == other.json["code"] == "request.not_found"


async def test_a_problem_has_all_that_the_description_promises(api: Workbench) -> None:
    got = await api.call("GET", "/v1/cards", headers={"Accept-Language": "en"})
    problem = got.json
    assert {key: problem[key] for key in ("type", "status", "code", "retryable")} == {
        "type": "urn:cardd:problem:client.unknown",
        "status": 401,
        "code": "client.unknown",
        "retryable": False,
    }
    assert all(problem[key] for key in ("title", "detail", "remedy"))
    assert got.headers["WWW-Authenticate"] == "Bearer"


async def test_a_fault_of_ours_is_told_without_its_inside_and_logged(
    api: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await api.pair()
    api.browsers.stranger_is = RuntimeError("inside")
    with caplog.at_level(logging.DEBUG):
        got = await api.call("GET", "/v1/cards", bearer=secret, headers={"Origin": PAGE})
    assert (got.status, got.code) == (500, "internal")
    assert got.headers["X-Request-ID"] in got.text("remedy")  # by which the journal's lines are found
    assert got.headers["Access-Control-Allow-Origin"] == PAGE
    assert b"inside" not in got.raw
    assert "RuntimeError: inside" in caplog.text
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("body", "french", "english"),
    [
        (
            {"pin": "1234"},
            "Le champ $.pin ne convient pas\N{NARROW NO-BREAK SPACE}: il est inconnu.",
            "The field $.pin will not do: it is unknown.",
        ),
        (
            {"name": 1},
            "$.name ne convient pas\N{NARROW NO-BREAK SPACE}: attendu `str`.",
            "$.name will not do: expected `str`.",
        ),
        (
            {"name": ""},
            "$.name ne convient pas\N{NARROW NO-BREAK SPACE}: sa longueur doit être >= 1.",
            "$.name will not do: its length must be >= 1.",
        ),
        (
            {"name": "LPS", "software_id": "a b"},
            "$.software_id ne convient pas\N{NARROW NO-BREAK SPACE}: il doit correspondre à '^[\\\\w:./-]+(?!\\\\n)$'.",
            "$.software_id will not do: it must match '^[\\\\w:./-]+(?!\\\\n)$'.",
        ),
    ],
)
async def test_why_a_field_will_not_do_is_told_in_both_languages(
    api: Workbench, body: object, french: str, english: str
) -> None:
    for language, sentence in (("fr", french), ("en", english)):
        got = await api.call("POST", "/v1/clients", body, headers={"Accept-Language": language})
        assert got.text("detail").endswith(sentence)
