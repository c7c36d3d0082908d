// The portal's page: it asks cardd for a proof and for signatures, and its own server for every verdict.

import { Cardd, CarddError } from "./cardd.js";
import { PROBLEMS, TEXTS } from "./texts.js";

const SECOND = 1000; // milliseconds
const OWN = ["name", "number", "profession", "proof", "document", "digest", "signed"];
const byId = (id) => document.getElementById(id);
const may = (get) => {
  try {
    return get();
  } catch {
    return undefined; // a browser that keeps nothing for this site
  }
};
const kept = may(() => localStorage);
const keptHere = may(() => sessionStorage); // this tab's
const tabs = may(() => new BroadcastChannel("portal")); // of this browser, which have one login together

let language = kept?.getItem("language") === "en" ? "en" : "fr";
let me; // as the server tells it
let daemon; // cardd, once it was asked for
let session; // of cardd, while this page has one
let ends; // what ends listening to cardd
let shown; // the document: its id and the bytes that are on the screen
let busy = false;
let late = false; // something changed while the page was busy
let turn = Promise.resolve();
let digits = keptHere?.getItem("digits") ?? ""; // of a login by e-CPS that waits
let left; // seconds of it
let watched; // which one of them

const text = (name, values = {}, texts = TEXTS) =>
  texts[name][language === "fr" ? 0 : 1].replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const cardd = () => Object.assign((daemon ??= new Cardd({ bases: me.cardd })), { language });

function made(tag, content, attributes = {}) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.textContent = content;
  return element;
}

/** Tell what goes on, or nothing; a problem of before is over. */
function say(name) {
  byId("problem").replaceChildren();
  byId("said").replaceChildren(...(name ? [made("p", text(name))] : []));
}

/** Tell what stands in the way and what to do; words that are not ours come from cardd, in the page's language. */
function complain(name, values = {}) {
  byId("said").replaceChildren();
  const words = PROBLEMS[name] ? text(name, { site: location.origin, ...values }, PROBLEMS) : values.text;
  byId("problem").replaceChildren(made("p", words));
}

class Stopped extends Error {
  /** A problem of PROBLEMS, or the text of one. */
  constructor(name, values) {
    super(name);
    this.values = values;
  }
}

async function ask(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => undefined);
  if (!answer || answer.status >= 500) throw new Stopped("portal");
  if (answer.status === 401) throw new Stopped("session_over");
  if (answer.status === 403) throw new Stopped("login");
  if (answer.status === 409) throw new Stopped("many");
  return answer;
}

const told = async (method, path, body) => (await ask(method, path, body)).json();

/** One act at a time, begun by a press; whatever stops it is told, and what the server knows is drawn. */
function onPress(id, act, event = "click") {
  byId(id).addEventListener(event, async (pressed) => {
    pressed.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      await act();
    } catch (fault) {
      await stopped(fault);
    } finally {
      setBusy(false);
      if (late) void again();
    }
  });
}

function setBusy(is) {
  busy = is;
  for (const button of document.querySelectorAll("button:not(#language)")) button.ariaDisabled = String(is);
}

async function stopped(fault) {
  if (fault.name === "AbortError") return undefined; // the page is being left
  if (fault instanceof CarddError) {
    if (/^session\.(closed|unknown)$/.test(fault.code) && (await gone(fault.problem.reason))) return undefined;
    return complain("", { text: fault.message });
  }
  if (!(fault instanceof Stopped)) console.error(fault);
  if (fault.message === "session_over") await refresh().catch(() => undefined);
  return complain(fault instanceof Stopped ? fault.message : "fault", fault.values);
}

/** Have cardd reachable, on the person's press; tell what this browser wants of them meanwhile. */
async function reach() {
  say("looking");
  const found = await cardd().find();
  if (found.state === "asking") say("asking");
  const last = (await found.answered) ?? found;
  if (last.state === "ready" || last.state === "consent") return say(last.state === "ready" ? "pin" : "first");
  throw new Stopped(problemOf(last), last);
}

function problemOf({ state, reason }) {
  if (state === "denied") return navigator.userAgent.includes("Firefox") ? "denied_firefox" : "denied_chromium";
  return state === "blocked" ? `blocked_${reason}` : state;
}

async function open() {
  await reach();
  session = await cardd().login({ method: "cpx", card: "ask" });
  follow();
}

/**
 * Log out here when cardd's session ends, for the server does not see the card. A tab without a session of its own looks
 * at the cards: the login was by one of those that were in, and is over when none of them is; a carte Vitale is none.
 */
function follow() {
  ends?.();
  const stop = new AbortController();
  const listen = (kind, act) => cardd().addEventListener(kind, act, { signal: stop.signal });
  const cards = new Set();
  const judge = () => !session && me.way === "card" && cards.size === 0 && gone("card_removed");
  listen("session.closed", ({ detail }) => detail.session === session?.id && gone(detail.reason));
  // cardd started anew, or its person shut the site out: this page has no session there, and sees no card any more
  listen("disconnected", ({ detail }) => detail?.code === "page.consent_needed" && gone("unknown"));
  listen("card.removed", ({ detail }) => cards.delete(detail.card) && judge());
  listen("hello", ({ detail }) => {
    cards.clear();
    for (const { id, problem } of detail.cards ?? []) if (!problem) cards.add(id);
    judge();
    session?.refresh().catch(({ code }) => code?.startsWith("session.") && gone("unknown"));
  });
  const quiet = cardd().listen();
  ends = () => {
    stop.abort();
    quiet();
    ends = undefined;
  };
}

function drop() {
  ends?.();
  session = undefined;
}

/** Log out of cardd, which forgets the PIN then. */
async function shut() {
  const open = session;
  drop();
  await Promise.allSettled([open?.close()]);
}

/** Without cardd's session; return whether the portal's login, which it proved, has ended with it. */
async function gone(reason) {
  drop();
  if (me.way !== "card") return false;
  await leave().catch(() => undefined);
  say(reason === "card_removed" ? "pulled" : "session_closed");
  return true;
}

/** End both sessions, cardd's and the portal's. */
async function leave() {
  await shut();
  await ask("POST", "/card/logout", {});
  tabs?.postMessage("");
  await refresh();
}

async function logInByCard() {
  await open();
  say("proving");
  try {
    const { nonce } = await told("POST", "/card/challenge", {});
    await ask("POST", "/card/login", await session.authToken(nonce));
  } catch (fault) {
    await shut();
    throw fault;
  }
  await entered();
  if (!session) await gone("card_removed"); // while the server looked
}

async function entered() {
  tabs?.postMessage("");
  say();
  await refresh();
}

async function askMobile() {
  say();
  const answer = await told("POST", "/card/ecps", { national_id: byId("national-id").value.replace(/\s/g, "") });
  if (answer.state !== "waiting") throw new Stopped(`ecps_${answer.state}`);
  keptHere?.setItem("digits", answer.digits);
  digits = answer.digits;
  void watch(answer.seconds_left);
}

/** Show digits and time until the server knows who agreed; a page that was reloaded goes on. */
async function watch(seconds) {
  const asked = (watched = {});
  left = seconds;
  drawPending();
  byId("digits").focus();
  let state = "waiting";
  try {
    while (state === "waiting") {
      await new Promise((done) => setTimeout(done, SECOND));
      if (watched !== asked) return; // given up
      const answer = await told("POST", "/card/ecps/state", {});
      if (watched !== asked) return;
      state = answer.state;
      left = answer.seconds_left ?? 0;
      drawPending();
    }
    forget();
    await (state === "in" ? entered() : refresh());
    if (!me.holder) complain(`ecps_${state}`);
  } catch (fault) {
    if (watched !== asked && state === "waiting") return;
    forget();
    await refresh().catch(() => undefined);
    if (!me.holder) await stopped(fault); // else a copy of this tab was first
  }
}

function forget() {
  watched = undefined;
  left = undefined;
  digits = "";
  keptHere?.removeItem("digits");
  drawPending();
}

function drawPending() {
  [byId("ask").hidden, byId("pending").hidden] = [left !== undefined, left === undefined];
  byId("digits").textContent = digits;
  byId("digits").ariaLabel = text("digits_said", { digits: digits.split("").join(" ") });
  byId("digits").role = "img";
  byId("left").textContent = text("seconds_left", { seconds: left });
}

async function giveUp() {
  forget();
  await ask("POST", "/card/ecps/cancel", {});
  say("given_up");
  byId("national-id").focus();
}

async function sign() {
  const { id, bytes } = shown;
  if (!session) await open();
  if (session.identity.national_id !== me.holder.nationalId) {
    await shut();
    throw new Stopped("signer");
  }
  say("consent");
  const form = { format: "cades", detached: true, mime_type: "text/plain" };
  const made = await session.sign(`compte-rendu-${id}.txt`, bytes, form);
  say("verifying");
  const verdict = await told("POST", "/signatures", { id, signature: made.document });
  await refresh();
  if (verdict.error) throw new Stopped(verdict.error === "signed" ? "signed_before" : verdict.error);
  tabs?.postMessage("");
  say("is_signed");
}

/** Ask the server who is logged in, and draw that; one look after the other. */
function refresh() {
  turn = turn.catch(() => undefined).then(look);
  return turn;
}

async function look() {
  const before = me?.holder?.nationalId;
  me = await told("GET", "/me");
  if (before && before !== me.holder?.nationalId) await shut(); // logged out in another tab, or by the server
  if (!me.holder) shown = undefined;
  try {
    if (me.holder) await prepare();
  } finally {
    if (shown || !me.holder) draw();
  }
  if (me.way === "card" && !ends) follow();
  if (before !== me.holder?.nationalId) byId(me.holder ? "inside-title" : "outside-title").focus();
}

/** Have the document that is to be signed on the screen, byte for byte. */
async function prepare() {
  const { id } = await told("POST", "/documents");
  if (shown?.id === id) return;
  const bytes = new Uint8Array(await (await ask("GET", `/documents/${id}`)).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hexadecimal = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  shown = { id, bytes, content: new TextDecoder("utf-8", { fatal: true }).decode(bytes), digest: hexadecimal };
}

function draw() {
  document.documentElement.lang = language;
  document.title = text("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  const [switched, other] = [byId("language"), language === "fr" ? "en" : "fr"];
  [switched.lang, switched.textContent] = [other, other === "en" ? "English" : "Français"];
  [byId("outside").hidden, byId("inside").hidden] = [Boolean(me.holder), !me.holder];
  byId("ecps").hidden = !me.ecps;
  drawPending();
  for (const id of OWN) byId(id).replaceChildren(); // nothing stays of who has left
  if (me.holder) drawInside(me.holder);
}

function drawInside({ nationalId, familyName, givenName, title }) {
  byId("name").textContent = `${givenName} ${familyName}`;
  byId("number").textContent = nationalId;
  byId("profession").textContent = title || text("not_told");
  byId("proof").textContent = text(`proof_${me.way}`);
  byId("document").textContent = shown.content;
  byId("digest").textContent = shown.digest;
  const signed = me.documents.filter((each) => each.signed);
  byId("none").hidden = signed.length > 0;
  byId("signed").replaceChildren(...signed.reverse().map(row));
}

function row({ id, signed: { by, at } }) {
  const time = new Date(at).toLocaleString(language === "fr" ? "fr-FR" : "en-GB");
  const found = made("li", "");
  const named = { name: `${by.givenName} ${by.familyName}`, number: by.nationalId, time };
  const file = (name, words) => made("a", words, { href: `/documents/${name}`, download: `compte-rendu-${name}` });
  found.append(made("p", text("verified")), made("p", text("signed_by", named)));
  found.append(file(id, text("get_document", { id })), file(`${id}.p7s`, text("get_signature")));
  return found;
}

async function again() {
  late = busy;
  if (!busy) await refresh().catch(stopped);
}

onPress("card", logInByCard);
onPress("ask", askMobile, "submit");
onPress("leave", async () => {
  await leave();
  say("is_out");
});
onPress("sign", sign);
onPress("cancel", giveUp);
byId("language").addEventListener("click", () => {
  language = language === "fr" ? "en" : "fr";
  kept?.setItem("language", language);
  if (daemon) cardd(); // speaks it too
  say();
  draw();
});
tabs?.addEventListener("message", again);
addEventListener("pageshow", ({ persisted }) => persisted && again());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && again());
refresh()
  .then(() => digits && !me.holder && watch(120)) // a reload, while the mobile is asked
  .catch(stopped);
