"""The types of the API for C#, written from its description: docs/sdk/csharp/ is the library that they belong to.

csharp.py      print Api.cs (`make packages`)
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from typing import cast

from cardd import __version__
from cardd.api.openapi import document
from cardd.api.routes import ROUTES

Schema = Mapping[str, object]

HEAD = f"""// Written by `make packages` from the description of the API of cardd {__version__}; do not edit.
#nullable enable
#pragma warning disable CS1591 // what a name says has no comment

using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cardd;
"""
KINDS = {"string": "string", "integer": "long", "number": "double", "boolean": "bool"}
NO_TYPE: Schema = {"type": "null"}
WIDTH = 115


def page() -> str:
    """Return the file: one record for each schema, by name."""
    described = cast("dict[str, dict[str, dict[str, Schema]]]", json.loads(document(__version__, ROUTES)))
    schemas = described["components"]["schemas"]
    return "\n".join([HEAD, *(line for name in sorted(schemas) for line in _record(name, schemas[name]))])


def _record(name: str, schema: Schema) -> Iterator[str]:
    yield from _summary(str(schema.get("description", "")), "")
    yield f"public sealed record {name}\n{{"
    required = cast("list[str]", schema.get("required", []))
    for field, told in cast("dict[str, Schema]", schema.get("properties", {})).items():
        yield from _property(field, told, owner=name, is_required=field in required)
    yield "}\n"


def _property(field: str, told: Schema, *, owner: str, is_required: bool) -> Iterator[str]:
    words = [str(word) for word in cast("list[object]", _present(told).get("enum", []))]
    said = [str(told.get("description", "")), f"One of: {', '.join(words)}." if len(words) > 1 else ""]
    yield from _summary(" ".join(text for text in said if text), "    ")
    yield f'    [JsonPropertyName("{field}")]'
    kind = _kind(told)
    is_nullable = not is_required or _present(told) is not told
    if is_required and len(words) == 1:
        yield f'    public {kind} {_pascal(field, owner)} {{ get; init; }} = "{words[0]}";\n'
    else:
        demanded, absent = "required " if is_required else "", "?" if is_nullable else ""
        yield f"    public {demanded}{kind}{absent} {_pascal(field, owner)} {{ get; init; }}\n"


def _kind(told: Schema) -> str:
    told = _present(told)
    if "$ref" in told:
        return str(told["$ref"]).rpartition("/")[2]
    if "enum" in told:
        return "string"
    match told.get("type"):
        case "string" if told.get("contentEncoding") == "base64":
            return "byte[]"
        case "array":
            return f"IReadOnlyList<{_kind(cast(Schema, told['items']))}>"
        case "object":
            return f"IReadOnlyDictionary<string, {_kind(cast(Schema, told.get('additionalProperties', {})))}>"
        case kind:
            return KINDS.get(str(kind), "JsonElement")


def _present(told: Schema) -> Schema:
    """Return what the value is where it is not null."""
    given = [each for each in cast("list[Schema]", told.get("anyOf", [])) if each != NO_TYPE]
    return given[0] if len(given) == 1 else told


def _pascal(field: str, owner: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in field.split("_"))
    return name if name != owner else f"{name}Value"  # a member may not have its type's name


def _summary(text: str, indent: str) -> Iterator[str]:
    said = escape(" ".join(text.replace("``", "").split()), quote=False)
    if said:
        yield from textwrap.wrap(
            f"<summary>{said}</summary>", WIDTH, initial_indent=f"{indent}/// ", subsequent_indent=f"{indent}/// "
        )


if __name__ == "__main__":
    sys.stdout.write(page())
