"""Portals' servers as docs/webps-server.md writes them, each a process that does what its standard input says."""

from __future__ import annotations

import json
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

# orders: challenge; expire, after which five minutes have gone by; login TOKEN; login-1.1 TOKEN, where 1.1 is let in
PYTHON = """
import json
import sys
from web_eid import Refused
session = {}
for line in sys.stdin:
    order, _, told = line.strip().partition(" ")
    if order == "challenge":
        print(challenge(session)["nonce"], flush=True)
    elif order == "expire":
        session["card_nonce_ends"] -= 301
    else:
        try:
            token = json.loads(told)
            if order == "login":
                who = login(session, token)
            else:
                who = verify(token, nonce=spent_nonce(session), origin=ORIGIN, trust=TRUST, accept_1_1=True)
            print("in", who.national_id, who.family_name, who.given_name, who.title, sep="|", flush=True)
        except Refused as why:
            print("out", str(why).replace(chr(10), " "), sep="|", flush=True)
"""
NODE = """
import {createInterface} from "node:readline";
import {challenge, login, origin, trust} from "./portal.mjs";
import {Refused, spentNonce, verify} from "./web-eid.mjs";
const session = {};
for await (const line of createInterface({input: process.stdin})) {
  const [order, told] = line.split(" ");
  if (order === "challenge") console.log(challenge(session).nonce);
  else if (order === "expire") session.cardNonceEnds -= 301_000;
  else {
    try {
      const token = JSON.parse(told);
      const who = order === "login"
        ? await login(session, token)
        : await verify(token, {nonce: spentNonce(session), origin, trust, accept11: true});
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
    [$order, $told] = [...explode(' ', trim($line)), ''];
    if ($order === 'challenge') {
        echo challenge($session)['nonce'], "\\n";
    } elseif ($order === 'expire') {
        $session['card_nonce_ends'] -= 301;
    } else {
        $token = json_decode($told, true);
        try {
            $who = $order === 'login'
                ? login($session, $token)
                : WebEid\\verify($token, ORIGIN, WebEid\\spentNonce($session), 'authorities.pem', 'lists.pem', true);
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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.function.Function;

class Server {
    public static void main(String[] none) throws Exception {
        Map<String, Object> session = new HashMap<>();
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] said = line.split(" ");
            if (said[0].equals("challenge")) {
                out.println(Portal.challenge(session));
            } else if (said[0].equals("expire")) {
                session.put("card_nonce_ends", (Long) session.get("card_nonce_ends") - 301);
            } else {
                try {
                    WebEid.Token token = token((Map<?, ?>) read(new Scanner(said[1]).useDelimiter("")));
                    WebEid.Holder who = said[0].equals("login")
                            ? Portal.login(session, token)
                            : WebEid.verify(token, Portal.ORIGIN, WebEid.spentNonce(session), Portal.TRUST, true);
                    out.println(String.join("|",
                            "in", who.nationalId(), who.familyName(), who.givenName(), who.title()));
                } catch (WebEid.Refused | ClassCastException why) {
                    out.println("out|" + why.getMessage());
                }
            }
        }
    }

    // in place of a JSON library: no token of ours has a number, or an escape in a string
    static Object read(Scanner json) {
        String begin = json.next();
        if (begin.equals("[")) {
            List<Object> list = new ArrayList<>();
            while (!json.hasNext("]")) {
                list.add(read(json));
                json.skip(",?");
            }
            json.next();
            return list;
        }
        if (begin.equals("{")) {
            Map<Object, Object> map = new HashMap<>();
            while (!json.hasNext("}")) {
                Object name = read(json);
                json.skip(":");
                map.put(name, read(json));
                json.skip(",?");
            }
            json.next();
            return map;
        }
        if (begin.equals("\\"")) {
            json.skip("([^\\"]*)\\"");
            return json.match().group(1);
        }
        json.skip("ull");
        return null;
    }

    static WebEid.Token token(Map<?, ?> of) {
        return of == null ? null : new WebEid.Token(
                text(of, "unverifiedCertificate"), text(of, "algorithm"), text(of, "signature"), text(of, "format"),
                list(of, "unverifiedSigningCertificates", Server::document),
                list(of, "unverifiedIntermediateCertificates", String.class::cast));
    }

    static WebEid.DocumentCertificate document(Object told) {
        Map<?, ?> of = (Map<?, ?>) told;
        return of == null ? null : new WebEid.DocumentCertificate(text(of, "certificate"),
                list(of, "supportedSignatureAlgorithms", Server::algorithm),
                list(of, "intermediateCertificates", String.class::cast));
    }

    static WebEid.DocumentAlgorithm algorithm(Object told) {
        Map<?, ?> of = (Map<?, ?>) told;
        return of == null ? null : new WebEid.DocumentAlgorithm(
                text(of, "cryptoAlgorithm"), text(of, "hashFunction"), text(of, "paddingScheme"));
    }

    static String text(Map<?, ?> of, String name) {
        return (String) of.get(name);
    }

    static <T> List<T> list(Map<?, ?> of, String name, Function<Object, T> each) {
        List<?> found = (List<?>) of.get(name);
        return found == null ? null : found.stream().map(one -> (T) each.apply(one)).collect(
                ArrayList::new, ArrayList::add, ArrayList::addAll);
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
    (folder / "portal.mjs").write_text(block("js") + "export {origin, trust};\n")
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

    def login(self, token: dict[str, object] | None, *, accept_1_1: bool = False) -> list[str]:
        """``in`` and who it is, or ``out`` and why."""
        order = "login-1.1" if accept_1_1 else "login"
        return self._told(f"{order} {json.dumps(token, separators=(',', ':'))}").split("|")

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
