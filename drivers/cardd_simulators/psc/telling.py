"""What the sandbox tells on its terminal: sentences for a person, or a line of JSON each for a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from cardd.sandbox import SandboxOptions
from cardd_simulators.keys import Keys
from cardd_simulators.psc.logins import Request
from cardd_simulators.psc.people import Userinfo
from cardd_simulators.psc.provider import CLIENT, REALM, SECRET
from cardd_simulators.psc.texts import TEXTS


class Telling:
    """Tells it to ``report``, as the options want it."""

    def __init__(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        self._texts = TEXTS[options.language]
        self._json = options.json
        self._report = report

    def start(self, people: Mapping[str, Userinfo], keys: Keys, port: int) -> None:
        """Where it listens, and what to tell cardd."""
        url, names = f"https://localhost:{port}", {number: str(one["given_name"]) for number, one in people.items()}
        section = {"issuer": url + REALM, "client_id": CLIENT, "authorities": str(keys.authorities)}
        mobile = f"{url}/mobile"
        if self._json:
            self._line("listening", {**section, "secret": SECRET, "mobile": mobile, "people": names})
            return
        self._report(self._texts["ready"].format(url=mobile))
        self._report(self._texts["people"].format(people=", ".join(f"{name} {one}" for one, name in names.items())))
        for line in (self._texts["configure"], "", "[psc]", *(f'{key} = "{value}"' for key, value in section.items())):
            self._report(line)
        self._report("")
        self._report(self._texts["secret"].format(secret=SECRET))

    def asked(self, request: Request) -> None:
        """The mobile rings."""
        told = {"request": request.number, "person": request.person["SubjectNameID"], "digits": request.digits}
        if self._json:
            self._line("request", told)
        else:
            self._report(self._texts["asked"].format(**told))

    def _line(self, event: str, values: object) -> None:
        self._report(json.dumps({"event": event, "values": values}, ensure_ascii=False))
