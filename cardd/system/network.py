"""The way out of this machine as the configuration has it, with the proxy's password from the OS secrets."""

from __future__ import annotations

from functools import partial

from cardd.config import Network
from cardd.outward import Outward
from cardd.ports import SecretStore

PASSWORD = "network-proxy-password"  # noqa: S105 - the secret's name


def way_out(settings: Network, secrets: SecretStore) -> Outward:
    """Return the way out; the password is asked for when a proxy that has a user is first needed."""
    return Outward(
        None if settings.proxy == "none" else settings.proxy,
        user=settings.proxy_user,
        password=partial(secrets.get, PASSWORD),
        no_proxy=settings.no_proxy,
        authorities=settings.authorities,
    )
