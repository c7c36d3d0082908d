"""Signed documents and assertions: the formats joined with the session's key, the consent and the audit log.

``cardd.formats`` knows how they look, ``cardd.core.signing`` how the card signs; here a request becomes both. The
formats' libraries are large: they are imported for the first document, never at the daemon's start.
"""
