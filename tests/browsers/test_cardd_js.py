"""cardd.js in real browsers: all the work of a page, and the package."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

import cardd.web
from cardd.web import web_file
from tests.browsers.opening import NONCE, page
from tests.integration.workstation import Workstation
from tests.rig import other_user
from tests.rig.browsers import NAMES, Browser, Name, Portal, running
from tests.rig.packages import NODE_MODULES, packaged

LARGE = 12 * 1024  # bytes; the module is copied into portals, and read there
WORK = """
const {Cardd, CarddError} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]], language: "fr"});
const state = (await cardd.find()).state;
const greeted = new Promise(done => cardd.addEventListener("hello", done));
const ends = cardd.listen();
const session = await cardd.login({method: "cpx"});
const token = await session.authToken(arguments[1]);
const small = await session.sign("cr.txt", new TextEncoder().encode("SIMULATION"));
const large = await session.sign("image.bin", new Uint8Array(600_000), {format: "cades"});
const file = await session.fetch(large.document_id);
await greeted;
const closed = new Promise(done => cardd.addEventListener("session.closed", done));
await session.close();
await closed;
ends();
const after = await session.refresh().catch(error => error.code);
return {
  state,
  family: session.identity.family_name,
  token,
  small: small.signature.length,
  held: "document_id" in large,
  file: file.length > 600_000,
  after,
};
"""


def test_a_page_does_all_its_work_through_the_module(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(WORK, workstation.daemon.url, NONCE)
    assert done.pop("state") in ("consent", "ready")
    assert done.pop("token")["format"] == "web-eid:1.0"
    assert done == {"family": "SIMULATION-MEDECIN", "small": 344, "held": True, "file": True, "after": "session.closed"}


def test_a_page_whose_keys_are_deleted_under_it_makes_another_one(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    wipe = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    const cardd = new Cardd({bases: [arguments[0]]});
    await cardd.enter();
    const gone = indexedDB.deleteDatabase("cardd");
    const deleted = await new Promise(done => {
      gone.onsuccess = () => done("deleted");
      gone.onblocked = () => done("blocked");
    });
    return [deleted, await Promise.race([
      cardd.enter().then(() => "entered"), new Promise(done => setTimeout(done, 8000, "hangs"))])];
    """
    with page(browser, portal, "portal.test") as tab:
        assert tab.run(wipe, workstation.daemon.url) == ["deleted", "entered"]


BYTES = """
const {Cardd} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]], language: "fr"});
const session = await cardd.login();
const bytes = Uint8Array.from({length: 64}, (_, at) => at);
const given = {
  array: bytes, part: bytes.subarray(8, 16), words: new Uint16Array(bytes.buffer),
  view: new DataView(bytes.buffer, 3, 5),
  buffer: bytes.buffer, blob: new Blob([bytes], {type: "text/plain"}), file: new File([bytes], "x.pdf"),
};
const held = {};
for (const [name, document] of Object.entries(given)) {
  const {id} = await session.handOver(document);
  held[name] = Array.from(await session.fetch(id)).join();
}
const refused = [];
for (const document of ["text", [1, 2], null, undefined, {size: 3}, 5])
  refused.push(await session.sign("x", document).catch(error => error.name));

const large = new Uint8Array(arguments[1]);
const sent = [];
const {id, size} = await session.handOver(large, {onProgress: ({loaded, total}) => sent.push(loaded / total)});
const leaving = new AbortController();
const onProgress = () => leaving.abort();
const given_up = await session.sign("large", large, {onProgress, signal: leaving.signal}).catch(error => error.name);
const over = await session.handOver(bytes, {signal: leaving.signal}).catch(error => error.name);
const rises = sent.every((each, at) => at === 0 || each >= sent[at - 1]);
await session.close();
return {held, refused, size, sent: [sent.length > 1, rises, sent.at(-1)], given_up, over};
"""


def test_a_page_gives_bytes_in_any_form_and_a_large_document_with_progress_and_can_give_that_up(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    large, dialogs = 50 * 1000 * 1000, len(workstation.pinentry.shown())
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(BYTES, workstation.daemon.url, large)
    whole = ",".join(map(str, range(64)))
    held = dict.fromkeys(("array", "words", "buffer", "blob", "file"), whole)
    assert done.pop("held") == {**held, "part": "8,9,10,11,12,13,14,15", "view": "3,4,5,6,7"}
    assert done.pop("refused") == ["TypeError"] * 6
    assert done == {"size": large, "sent": [True, True, 1], "given_up": "AbortError", "over": "AbortError"}
    assert all(shown.kind != "confirm" or "x" not in shown.title for shown in workstation.pinentry.shown()[dialogs:])


@other_user.needs_root
@pytest.mark.parametrize("name", NAMES)
def test_another_users_browser_opens_no_dialog_of_the_persons_and_learns_of_no_card(
    name: Name, portal: Portal, workstation: Workstation, tmp_path: Path
) -> None:
    asks = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    const cardd = new Cardd({bases: [arguments[0]]});
    const told = [];
    for (const type of ["hello", "disconnected"])
      cardd.addEventListener(type, ({detail}) => told.push(`${type} ${detail.code}`));
    cardd.listen();
    const codes = [];
    for (const ask of [() => cardd.enter(), () => cardd.login(), () => cardd.call("GET", "/v1/cards")])
      codes.push(await ask().then(() => "given", error => error.code));
    return [codes, told];
    """
    other_user.open_to_everybody(tmp_path)
    dialogs = len(workstation.pinentry.shown())
    with (
        running(name, [portal.port], tmp_path, user=other_user.UID) as browser,
        page(browser, portal, "portal.test") as tab,
    ):
        codes, told = tab.run(asks, workstation.daemon.url)
    assert (codes, told) == (["prompt.unavailable"] * 3, ["disconnected page.consent_needed"])
    assert len(workstation.pinentry.shown()) == dialogs


def test_the_module_is_small_and_a_package_with_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert len(web_file("cardd.js").content) <= LARGE
    types = Path(cardd.web.__file__).with_name("cardd.d.ts")
    if shutil.which("node"):  # as a server does that renders pages
        script = (
            f"const {{cardd, Cardd}} = await import('{types.with_name('cardd.js')}'); console.log(cardd, typeof Cardd)"
        )
        told = subprocess.check_output(["node", "--input-type=module", "-e", script], text=True)
        assert told == "undefined function\n"
    (package,) = packaged("web", tmp_path_factory).glob("*.tgz")
    with tarfile.open(package) as files:
        assert {"package/cardd.js", "package/cardd.d.ts", "package/LICENSE"} <= set(files.getnames())
    compiler = NODE_MODULES / ".bin/tsc"
    if not compiler.exists():
        pytest.skip("no compiler of TypeScript here")
    subprocess.run([compiler, "--strict", "--noEmit", "--lib", "es2022,dom", types], check=True)
