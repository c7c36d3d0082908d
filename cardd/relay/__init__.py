"""The relay: requests of a session to configured servers, over TLS with the session's own certificate and key."""
