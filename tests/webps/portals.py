"""Portals' servers as docs/webps-server.md writes them, each a process that does what its standard input says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.workstation import ROOT

EXAMPLES = ROOT / "docs/examples/webps"
PAGE = ROOT / "docs/webps-server.md"

# orders: challenge; expire, after which five minutes have gone by; login CERTIFICATE ALGORITHM SIGNATURE FORMAT
PYTHON = """
import sys
from web_eid import FIELDS, Refused
session = {}
for line in sys.stdin:
    order, *fields = line.split()
    if order == "challenge":
        print(challenge(session)["nonce"], flush=True)
    elif order == "expire":
        session["card_nonce_ends"] -= 301
    else:
        try:
            who = login(session, dict(zip(FIELDS, fields)))
            print("in", who.national_id, who.family_name, who.given_name, who.title, sep="|", flush=True)
        except Refused as why:
            print("out", str(why).replace(chr(10), " "), sep="|", flush=True)
"""
NODE = """
import {createInterface} from "node:readline";
import {challenge, login} from "./portal.mjs";
import {Refused} from "./web-eid.mjs";
const session = {};
for await (const line of createInterface({input: process.stdin})) {
  const [order, unverifiedCertificate, algorithm, signature, format] = line.split(" ");
  if (order === "challenge") console.log(challenge(session).nonce);
  else if (order === "expire") session.cardNonceEnds -= 301_000;
  else {
    try {
      const who = await login(session, {unverifiedCertificate, algorithm, signature, format});
      console.log(["in", who.nationalId, who.familyName, who.givenName, who.title].join("|"));
    } catch (why) {
      if (!(why instanceof Refused)) throw why;
      console.log(`out|${why.message.replaceAll("\\n", " ")}`);
    }
  }
}
"""
PHP = """
$session = [];
while (($line = fgets(STDIN)) !== false) {
    $fields = explode(' ', trim($line));
    $order = array_shift($fields);
    if ($order === 'challenge') {
        echo challenge($session)['nonce'], "\\n";
    } elseif ($order === 'expire') {
        $session['card_nonce_ends'] -= 301;
    } else {
        $names = array_slice(['unverifiedCertificate', 'algorithm', 'signature', 'format'], 0, count($fields));
        try {
            $who = login($session, array_combine($names, $fields));
            echo 'in|', implode('|', $who), "\\n";
        } catch (WebEid\\Refused $why) {
            echo 'out|', str_replace("\\n", ' ', $why->getMessage()), "\\n";
        }
    }
}
"""
JAVA = """
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.Map;

class Server {
    public static void main(String[] none) throws Exception {
        Map<String, Object> session = new HashMap<>();
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] said = java.util.Arrays.copyOf(line.split(" "), 5);
            if (said[0].equals("challenge")) {
                out.println(Portal.challenge(session));
            } else if (said[0].equals("expire")) {
                session.put("card_nonce_ends", (Long) session.get("card_nonce_ends") - 301);
            } else {
                try {
                    var token = new WebEid.Token(said[1], said[2], said[3], said[4]);
                    WebEid.Holder who = Portal.login(session, token);
                    out.println(String.join("|",
                            "in", who.nationalId(), who.familyName(), who.givenName(), who.title()));
                } catch (WebEid.Refused why) {
                    out.println("out|" + why.getMessage());
                }
            }
        }
    }
}
"""


def block(language: str) -> str:
    """The page's one block in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def _python(folder: Path) -> list[str]:
    (folder / "portal.py").write_text(block("python") + PYTHON)
    return [sys.executable, "portal.py"]


def _node(folder: Path) -> list[str]:
    (folder / "portal.mjs").write_text(block("js"))
    (folder / "server.mjs").write_text(NODE)
    return ["node", "server.mjs"]


def _php(folder: Path) -> list[str]:
    if not shutil.which("php"):
        pytest.skip("PHP is not installed (Debian: php-cli)")
    (folder / "portal.php").write_text(block("php") + PHP)
    return ["php", "-d", "display_errors=stderr", "portal.php"]


def _java(folder: Path) -> list[str]:
    if not shutil.which("javac"):
        pytest.skip("no JDK is installed (Debian: default-jdk-headless)")
    (folder / "Portal.java").write_text(block("java"))
    (folder / "Server.java").write_text(JAVA)
    subprocess.run(["javac", "-encoding", "UTF-8", "Portal.java", "Server.java", "WebEid.java"], cwd=folder, check=True)
    return ["java", "-XX:TieredStopAtLevel=1", "Server"]


PORTALS: dict[str, Callable[[Path], list[str]]] = {"python": _python, "node": _node, "php": _php, "java": _java}


@dataclass(frozen=True)
class Portal:
    """A portal's server with one visitor; its ``authorities.pem`` and ``lists.pem`` are in ``folder``."""

    process: subprocess.Popen[str]
    folder: Path

    def challenge(self) -> str:
        """A nonce for the visitor's page."""
        return self._told("challenge")

    def expire(self) -> None:
        """Let the nonce's five minutes go by."""
        self._say("expire")

    def login(self, token: dict[str, object]) -> list[str]:
        """``in`` and who it is, or ``out`` and why."""
        named = ("unverifiedCertificate", "algorithm", "signature", "format")
        return self._told(" ".join(["login", *(str(token[name]) for name in named if name in token)])).split("|")

    def fetch_list(self, offered: bytes) -> None:
        """Do what the page's job does, where the authority has this list (DER)."""
        at = self.folder / "offered.der"
        at.write_bytes(offered)
        subprocess.run(
            ["sh", "-c", block("sh")], cwd=self.folder, env={**os.environ, "LIST_URL": at.as_uri()}, check=False
        )

    def _say(self, order: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()

    def _told(self, order: str) -> str:
        self._say(order)
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def running(language: str, folder: Path) -> Iterator[Portal]:
    """The portal in this language, until the end of the block."""
    for source in EXAMPLES.iterdir():
        if source.is_file():  # Python leaves a folder there
            shutil.copy(source, folder)
    command = PORTALS[language](folder)
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Portal(process, folder)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
