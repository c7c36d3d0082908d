"""Metrics for a monitoring system: judged by Prometheus' own tool, read by few, and naming nobody."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from pathlib import Path
from typing import cast

from cardd.config import Config, Metrics
from tests.api.workbench import Json, Workbench
from tests.rig.promtool import promtool

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NAME = re.compile(r"\bcardd_\w+")
VALUE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def values(text: str) -> dict[tuple[str, str], float]:
    """Each sample's value, by its name and its labels."""
    return {(name, labels): float(value) for name, labels, value in VALUE.findall(text)}


async def metrics(api: Workbench) -> str:
    got = await api.call("GET", "/metrics", via="unix")
    assert got.status == 200, got.raw
    assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return got.raw.decode()


async def used(api: Workbench) -> str:
    """The metrics of a workstation where somebody signed, mistyped the PIN and left."""
    path, token = await api.logged_in()
    document: Json = {"document_name": "Ordonnance de Jeanne", "digest": b64encode(bytes(32)).decode()}
    await api.call("POST", f"{path}/signatures", document, bearer=token)
    await api.call("POST", f"{path}/signatures", {**document, "algorithm": "RS512"}, bearer=token)
    before = await metrics(api)
    await api.call("DELETE", path, bearer=token)
    assert values(before)["cardd_sessions", 'method="cpx",state="active"'] == 1
    return await metrics(api)


async def test_what_happened_is_counted_and_names_nobody(api: Workbench) -> None:
    text = await used(api)
    found = values(text)
    assert found["cardd_signatures_total", 'format="raw",outcome="done"'] == 1
    assert found["cardd_logins_total", 'method="cpx",outcome="done"'] == 1
    assert found["cardd_waiting_seconds_total", 'for="card"'] > 0
    assert (found["cardd_readers", ""], found["cardd_cards", 'kind="cps3"']) == (2, 1)
    assert (found["cardd_session_dialogs_count", ""], found["cardd_session_dialogs_bucket", 'le="1"']) == (1, 0)
    left = [value for (name, labels), value in found.items() if "left_seconds" in name and 'of="card"' in labels]
    assert len(left) == 2
    assert all(0 < value < 5000 * 86400 for value in left)
    holder = api.card.issued.profile
    assert not [word for word in (holder.family_name, holder.national_id, "Jeanne", "LPS de test") if word in text]


async def test_promtool_finds_nothing_wrong_and_knows_what_rules_and_dashboard_ask_for(api: Workbench) -> None:
    text = await used(api)
    promtool("check", "metrics", given=text)
    promtool("check", "rules", str(EXAMPLES / "prometheus" / "cardd.rules.yml"))
    promtool("test", "rules", str(EXAMPLES / "prometheus" / "cardd.rules.test.yml"))
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    known |= {f"cardd_session_dialogs_{end}" for end in ("sum", "count", "bucket")}
    dashboard = cast(Json, json.loads((EXAMPLES / "grafana" / "cardd.json").read_text("utf-8")))
    asked = NAME.findall(json.dumps(dashboard)) + NAME.findall(
        (EXAMPLES / "prometheus" / "cardd.rules.yml").read_text()
    )
    assert set(asked) <= known
    page = (EXAMPLES.parent / "operations.md").read_text("utf-8")
    assert {name for name in known if f"`{name}" not in page and "session_dialogs_" not in name} == set()


async def test_metrics_are_for_administrators_and_whom_the_configuration_names(tmp_path: Path) -> None:
    api = Workbench(tmp_path, Config(metrics=Metrics(users=("4242", "prometheus"))))
    await api.start()
    try:
        for uid, status in ((os.geteuid(), 200), (0, 200), (4242, 200), (4243, 403)):
            api.turn_to(uid)
            got = await api.call("GET", "/metrics", via="unix")
            assert got.status == status
        assert (await api.call("GET", "/metrics")).status == 403  # over TCP nobody
    finally:
        await api.stop()
