"""The API's bodies, as types, by subject: what is not here is refused by name, and ``/openapi.json`` is made from them.

Byte values are base64. Limits on lengths stand in the types; the body's size is limited before it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Anything = Annotated[object, Meta(extra_json_schema={"description": "any JSON value"})]
Name = Annotated[str, Meta(min_length=1, max_length=120)]
Identifier = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[\w:./-]+(?!\n)$")]
Verdict = Literal["valid", "undetermined", "invalid"]


class Body(Struct, forbid_unknown_fields=True):
    """A request body: unknown fields are errors."""


class Answer(Struct, omit_defaults=True):
    """The body of a response; what does not apply is left out."""


class Refusal(Answer):
    """What may not pass gets the same few words, whatever it asked for: a page learns nothing from them."""

    type: str
    title: str
    status: int
    code: str


class Problem(Answer):
    """An error, RFC 9457; ``code`` is stable, the sentences follow Accept-Language (fr, en)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    remedy: str
    where: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    right: str | UnsetType = UNSET
    tries_left: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    cards: list[str] | UnsetType = UNSET
