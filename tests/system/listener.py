"""What ``test_activation`` starts under systemd-socket-activate: tells the sockets it got, and its environment."""

from __future__ import annotations

import json
import os

from cardd.errors import ConfigInvalid
from cardd.system import systemd


def told() -> dict[str, object]:
    """The inherited sockets by what cardd takes them for, or the refusal."""
    try:
        found = systemd.take()
    except ConfigInvalid as error:
        return {"refused": error.params}
    again = systemd.take()
    return {
        "tcp": [one.getsockname()[:2] for one in found.tcp],
        "api": [one.getsockname() for one in found.api],
        "agent": [one.getsockname() for one in found.agent],
        "blocking": [one.getblocking() for one in (*found.tcp, *found.api, *found.agent)],
        "inheritable": [os.get_inheritable(one.fileno()) for one in (*found.tcp, *found.api, *found.agent)],
        "again": bool(again),
        "environment": sorted(name for name in os.environ if name.startswith("LISTEN_")),
    }


if __name__ == "__main__":
    print(json.dumps(told()), flush=True)
