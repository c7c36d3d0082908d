"""Tells what is in the Debian package, as a software bill of materials (CycloneDX 1.5, JSON).

    sbom.py WHEELS     run by the environment that it tells about; prints one component for each Python package of it

A wheel that PyPI has is told by its hash; one that was built here from source, which was checked, is named so. The
libraries that wheels bring inside are told by their makers alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = ("cardd", "cardd-client")
LEFT_OUT = ("cardd-simulators",)  # a package of its own
LICENSE_CLASSIFIER = "License :: "
SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cardd.example/sbom")  # of the numbers of these documents


def document(wheels: Path) -> dict[str, Any]:
    """Return the whole document."""
    found = {_name(one): one for one in distributions()}
    names = sorted(found.keys() - set(LEFT_OUT))
    locked = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", (ROOT / ".make/runtime.lock").read_text()))
    built = {_normal(wheel.name.partition("-")[0]): wheel for wheel in wheels.glob("*.whl")}
    components = [_component(found[name], built.get(name), locked) for name in names]
    main = next(one for one in components if one["name"] == "cardd")
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": _built_at(), "component": main | {"type": "application"}},
        "components": [one for one in components if one is not main],
        "dependencies": [_dependency(found[name], found) for name in names],
    }
    number = uuid.uuid5(SPACE, json.dumps(told, sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "serialNumber": f"urn:uuid:{number}"} | told


def _component(one: Distribution, wheel: Path | None, locked: set[str]) -> dict[str, Any]:
    name = _name(one)
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(one),
        "name": name,
        "version": one.version,
        "description": _field(one, "Summary"),
        "licenses": _licenses(one),
        "purl": _reference(one),
    }
    if name in OWN:
        return told
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest() if wheel else ""
    if digest in locked:
        return told | {"hashes": [{"alg": "SHA-256", "content": digest}]}
    return told | {"properties": [{"name": "cardd:built", "value": "from its source, checked against runtime.lock"}]}


def _licenses(one: Distribution) -> list[dict[str, Any]]:
    if expression := _field(one, "License-Expression"):
        return [{"expression": expression}]
    classifiers = one.metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith(LICENSE_CLASSIFIER)]
    stated = _field(one, "License").strip().partition("\n")[0]
    return [{"license": {"name": name}} for name in names or [stated] if name]


def _dependency(one: Distribution, found: dict[str, Distribution]) -> dict[str, Any]:
    wanted = (line for line in one.requires or () if "extra ==" not in line)
    names = {_normal(match[0]) for line in wanted if (match := re.match(r"[\w.-]+", line))}
    return {"ref": _reference(one), "dependsOn": [_reference(found[name]) for name in sorted(names & found.keys())]}


def _field(one: Distribution, name: str) -> str:
    return next(iter(one.metadata.get_all(name) or ()), "")


def _name(one: Distribution) -> str:
    return _normal(one.metadata["Name"])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _reference(one: Distribution) -> str:
    return f"pkg:pypi/{_name(one)}@{one.version}"


def _built_at() -> str:
    return datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    print(json.dumps(document(Path(sys.argv[1])), indent=2, ensure_ascii=False))  # noqa: T201 - what it is for
