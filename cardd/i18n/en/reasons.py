"""Why a part of a request will not do, why a session ended: what stands after the colon."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "ended.card_removed": "the card was taken out",
    "ended.client_gone": "its program asked for nothing any more",
    "ended.client_locked": "its program was locked",
    "ended.client_removed": "its program was unpaired",
    "ended.daemon_stopped": "the service stopped",
    "ended.idle": "nothing was asked of it for long",
    "ended.logout": "it was closed by a logout",
    "ended.max_age": "it reached the age that sessions may have",
    "ended.pin_changed": "the PIN was changed",
    "ended.provider_ended": "Pro Santé Connect ended it",
    "reason.choice": "its value is none of those that it can have",
    "reason.duplicate": "it is given twice",
    "reason.expected": "expected {expected}",
    "reason.handshake": "this is no WebSocket handshake of version 13 without subprotocol",
    "reason.missing": "it is missing",
    "reason.no_hint": "it needs the national id",
    "reason.no_organisation": "there is no certificate of the organisation ([csa])",
    "reason.no_psc": "Pro Santé Connect is not configured ([psc])",
    "reason.organisation_s": "what is inserted is the organisation's",
    "reason.not_of_format": "this field is not of this format",
    "reason.document_wanted": "this format needs the document, not its digest",
    "reason.one_of_digest_document": "exactly one of “digest”, “document” and “document_id” is wanted",
    "reason.page_says_nothing": "a page sends an empty object, for it is known by its origin",
    "reason.parameters": "there are too many parameters",
    "reason.unknown": "it is unknown",
}
