"""Why a part of a request will not do: what ``request.invalid.detail`` says after its colon."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "reason.choice": "its value is none of those that it can have",
    "reason.duplicate": "it is given twice",
    "reason.expected": "expected {expected}",
    "reason.handshake": "this is no WebSocket handshake of version 13 without subprotocol",
    "reason.missing": "it is missing",
    "reason.not_of_format": "this field is not of this format",
    "reason.document_wanted": "this format needs the document, not its digest",
    "reason.one_of_digest_document": "exactly one of “digest”, “document” and “document_id” is wanted",
    "reason.page_says_nothing": "a page sends an empty object, for it is known by its origin",
    "reason.parameters": "there are too many parameters",
    "reason.unknown": "it is unknown",
}
