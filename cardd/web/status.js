// The status page: what the daemon tells its person, as it changes, and what that person may do about it.
"use strict";

const PASS = "pass"; // in sessionStorage, which is this tab's alone; a cookie would go to every port of this machine
const SETTLE = 150; // milliseconds for what happens together to be read together
const LEAST = 500; // milliseconds between two looks, however much happens
const QUIET = 2500; // milliseconds without an event before a card is asked for its PIN's tries: signing waits for nobody
const READ = ["status", "readers", "cards", "sessions", "methods", "clients", "origins", "programs", "audit"];
const ARMED = 700; // milliseconds before a second press is taken, as in cardd's own dialogs: no double click agrees
const OF_CARDS = /^event: (hello|card|reader)/m;
const RETRY = [500, 2000, 10_000]; // milliseconds before the stream is opened again

const TEXTS = {
  hint_title: ["Ouvrir cette page", "Open this page"],
  todo: ["À faire", "To do"],
  fine: ["Rien : tout est prêt.", "Nothing: all is well."],
  cards: ["Lecteurs et cartes", "Readers and cards"],
  no_reader: ["Aucun lecteur : branchez le vôtre.", "No reader: plug yours in."],
  no_card: ["Aucune carte", "No card"],
  pin_ready: ["Code porteur : {tries} essais restants", "PIN: {tries} tries left"],
  pin_last_try: ["Code porteur : dernier essai avant le blocage", "PIN: last try before it is blocked"],
  pin_blocked: ["Code porteur bloqué : il faut le code de déblocage", "PIN blocked: the unblocking code is needed"],
  pin_unknown: ["Code porteur : état inconnu", "PIN: state unknown"],
  card_problem: ["Carte inutilisable", "Card not usable"],
  sessions: ["Vos sessions", "Your sessions"],
  no_session: ["Aucune session ouverte", "No open session"],
  session: ["ouverte par {client}, jusqu’à {until}", "opened by {client}, until {until}"],
  active: ["ouverte", "open"],
  locked: ["verrouillée", "locked"],
  pending: ["en attente de vous", "waiting for you"],
  methods: ["Moyens de connexion", "Ways to log in"],
  cpx: ["Carte CPx", "CPx card"],
  ecps: ["e-CPS", "e-CPS"],
  csa: ["Certificat de la structure", "Organisation’s certificate"],
  access: ["Sites et logiciels autorisés", "Allowed sites and programs"],
  no_access: ["Aucun", "None"],
  site: ["site", "site"],
  program: ["logiciel", "program"],
  file: ["programme, par PKCS#11", "program, through PKCS#11"],
  tls: ["vous connecter à des serveurs", "log you in at servers"],
  data: ["faire signer ou déchiffrer des données", "have data signed or decrypted"],
  listed: ["site, par la configuration", "site, by the configuration"],
  refused_site: ["site refusé", "refused site"],
  shut: ["logiciel verrouillé", "locked program"],
  audit: ["Derniers actes en votre nom", "Last acts in your name"],
  no_audit: ["Aucun acte", "No act"],
  refused: ["refusé", "refused"],
  failed: ["échoué", "failed"],
  change_pin: ["Changer le code porteur", "Change the PIN"],
  unblock_pin: ["Débloquer le code porteur", "Unblock the PIN"],
  lock: ["Verrouiller", "Lock"],
  log_out: ["Se déconnecter", "Log out"],
  revoke: ["Retirer {name}", "Revoke {name}"],
  sure: ["Oui, retirer {name}", "Yes, revoke {name}"],
  under_way: ["Répondez dans la fenêtre de cardd.", "Answer in cardd’s own window."],
  detect: ["voir qu’une carte est là", "see that a card is there"],
  holder: ["lire qui vous êtes", "read who you are"],
  authenticate: ["vous connecter", "log you in"],
  sign: ["faire signer", "have documents signed"],
  relay: ["agir auprès d’autres services", "act at other services"],
  is_done: ["C’est fait.", "Done."],
  usable: ["utilisable", "usable"],
  unusable: ["non utilisable", "not usable"],
  ending: ["Le certificat {serial} expire le {day}.", "Certificate {serial} ends on {day}."],
  live: ["cardd {version}", "cardd {version}"],
  lost: ["cardd ne répond plus. Nouvel essai…", "cardd does not answer. Trying again…"],
  elsewhere: ["Cette page est ouverte dans un autre onglet.", "This page is open in another tab."],
};

// The audit log's acts in words; a newer daemon's are shown as the log has them.
const ACTS = {
  "session.open": ["connexion", "login"],
  "session.lock": ["session verrouillée", "session locked"],
  "auth_token.issue": ["jeton d’authentification", "authentication token"],
  "client.pair": ["logiciel autorisé", "program allowed"],
  "client.remove": ["logiciel retiré", "program revoked"],
  "client.lock": ["logiciel verrouillé", "program locked"],
  "client.unlock": ["logiciel déverrouillé", "program unlocked"],
  "origin.list": ["sites consultés", "sites listed"],
  "origin.allow": ["site autorisé", "site allowed"],
  "origin.revoke": ["site retiré", "site revoked"],
  "program.allow": ["programme autorisé", "program allowed"],
  "program.revoke": ["programme retiré", "program revoked"],
  "program.tls": ["connexion par un programme", "login by a program"],
  "program.data": ["données signées pour un programme", "data signed for a program"],
  "program.decrypt": ["données déchiffrées", "data decrypted"],
  "page.call": ["page d’un programme inconnu", "page of an unknown program"],
  "holder.read": ["lecture de votre identité", "your identity read"],
  "reader.use": ["usage du lecteur", "use of the reader"],
  "pin.change": ["code porteur changé", "PIN changed"],
  "pin.unblock": ["code porteur débloqué", "PIN unblocked"],
  "psc_token.give": ["jeton Pro Santé Connect", "Pro Santé Connect token"],
  "agent.register": ["fenêtres de cardd prêtes", "cardd’s dialogs ready"],
  "agent.leave": ["fenêtres de cardd fermées", "cardd’s dialogs gone"],
  "config.change": ["réglages changés", "settings changed"],
  support: ["assistance", "support"],
  audit: ["journal", "audit log"],
  signature: ["signature", "signature"],
  assertion: ["assertion pour un service", "assertion for a service"],
};

const byId = (id) => document.getElementById(id);
const wish = sessionStorage.getItem("language") ?? (navigator.language.startsWith("fr") ? "fr" : "en");
let language = wish === "fr" ? "fr" : "en";
let pass = sessionStorage.getItem(PASS);
let shown = "";
let last;
let turns = 0;
let drawn = 0;
let leaving = new AbortController();
let lookedAt = -LEAST;
let waiting;
let asksSoon = false;
let quiet;
const asked = new Map(); // cards as they were when they were asked for their PIN's tries
let sure = ""; // the act that the person is asked about once more
let sureSince = 0;
const busy = new Set(); // acts that wait for their answer
const tabs = new BroadcastChannel("status page"); // this browser's tabs with this page
let opened = 0; // when this page was; no two are at the same time

function text(name, values = {}, texts = TEXTS) {
  const found = texts[name]?.[language === "fr" ? 0 : 1] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

function made(tag, content, kind) {
  const element = document.createElement(tag);
  element.textContent = content;
  if (kind) element.className = kind;
  return element;
}

const locale = () => (language === "fr" ? "fr-FR" : "en-GB");
const time = (when) => new Date(when).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });
const day = (when) => new Date(when).toLocaleDateString(locale());
const moment = (when) => (day(when) === day(Date.now()) ? time(when) : `${day(when)} ${time(when)}`);

function say(sentence) {
  const place = byId("said");
  if (place.textContent !== sentence) place.textContent = sentence;
}

class Refused extends Error {}

async function call(method, path, body, signal) {
  const headers = { "Accept-Language": language };
  if (pass) headers.Authorization = `Bearer ${pass}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "omit", signal });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  if (problem.code === "request.forbidden") leave(); // nobody knows this pass any more
  throw new Refused([problem.detail, problem.remedy].filter(Boolean).join(" ") || String(answer.status));
}

const read = async (path) => (await call("GET", path)).json();
const told = (path) => read(path).catch((fault) => ({ fault: fault.message }));

function leave() {
  pass = null;
  sessionStorage.removeItem(PASS);
  say("");
  byId("content").hidden = true;
  byId("hint").hidden = false;
}

// --- what is shown

function fill(place, items, none) {
  const list = byId(place);
  list.replaceChildren(...(items.length ? items : [made("li", text(none), "more")]));
}

function item(name, state, kind, ...more) {
  const entry = document.createElement("li");
  entry.append(made("span", name, "name"), " ", made("span", state, kind));
  for (const line of more.filter(Boolean)) entry.append(typeof line === "string" ? made("p", line, "more") : line);
  return entry;
}

// An entry whose buttons say the same as its neighbours': who does not see where they stand is told what they are for.
function described(id, entry) {
  const lines = [...entry.querySelectorAll(":scope > span, :scope > p")];
  lines.forEach((line, at) => { line.id = `${id}-${at}`; });
  const about = lines.map((line) => line.id).join(" ");
  entry.querySelectorAll("button").forEach((each) => each.setAttribute("aria-describedby", about));
  return entry;
}

// A button; one that asks once more has a ``name`` to ask about.
function button(label, method, path, { body, name, says } = {}) {
  const act = `${method} ${path}`;
  const asksAgain = name && sure !== act;
  const element = made("button", text(name && !asksAgain ? "sure" : label, { name }));
  element.type = "button";
  element.dataset.act = act;
  if (busy.has(act)) element.setAttribute("aria-disabled", "true");
  element.addEventListener("click", () => {
    if (busy.has(act) || (sure === act && performance.now() - sureSince < ARMED)) return;
    sure = asksAgain ? act : "";
    sureSince = performance.now();
    if (asksAgain) again();
    else void perform(act, method, path, body, says);
  });
  return element;
}

async function perform(act, method, path, body, says) {
  busy.add(act);
  again();
  if (says) say(text(says));
  try {
    await call(method, path, body);
    say(text("is_done"));
  } catch (fault) {
    if (pass) say(fault instanceof Refused ? fault.message : text("lost"));
  }
  busy.delete(act);
  if (pass) await look({ anew: true, asks: true });
}

function pinButton(card) {
  if (!card.pin || card.problem) return "";
  const isBlocked = card.pin.state === "blocked";
  const path = `/v1/cards/${encodeURIComponent(card.id)}/${isBlocked ? "pin-unblocks" : "pin-changes"}`;
  return button(isBlocked ? "unblock_pin" : "change_pin", "POST", path, { body: {}, says: "under_way" });
}

function cardItem(reader, card) {
  if (!card) return item(reader.name, text("no_card"), "more");
  const state = card.pin?.state ?? "unknown";
  const isGood = state === "ready" && !card.problem;
  const pin = card.problem ? text("card_problem") : pinText(card);
  const lines = [reader.name, card.detail, card.remedy, pinButton(card)];
  return described(`card-${card.id}`, item(card.kind.toUpperCase(), pin, isGood ? "good" : "bad", ...lines));
}

const pinText = (card) => text(`pin_${card.pin?.state ?? "unknown"}`, { tries: card.pin?.tries_left });

function sessionItem(session) {
  const { given_name: given, family_name: family } = session.identity;
  const name = [given, family].filter(Boolean).join(" ") || text(session.method);
  const about = text("session", { client: session.client, until: moment(session.expires_at) });
  const path = `/v1/sessions/${encodeURIComponent(session.id)}`;
  const mayLock = session.card && session.state === "active";
  const buttons = document.createElement("div");
  if (mayLock) buttons.append(button("lock", "POST", `${path}/lock`, { body: {} }));
  buttons.append(button("log_out", "DELETE", path));
  const kind = session.state === "active" ? "good" : "bad";
  return described(`session-${session.id}`, item(name, text(session.state), kind, about, buttons));
}

function programItem({ id, name, vendor, locked }) {
  const revoke = button("revoke", "DELETE", `/v1/clients/${encodeURIComponent(id)}`, { name });
  return item(name, text(locked ? "shut" : "program"), "more", vendor, revoke);
}

function siteItem({ origin, listed, refused, keys, rights }) {
  const state = keys.length ? "site" : listed ? "listed" : refused ? "refused_site" : "site";
  const path = `/v1/origins/${encodeURIComponent(origin)}`;
  const words = rights.map((right) => text(right)).join(", ");
  return item(origin, text(state), "more", words, keys.length ? button("revoke", "DELETE", path, { name: origin }) : "");
}

function fileItem({ path, rights }) {
  const revoke = button("revoke", "DELETE", `/v1/programs/${encodeURIComponent(path)}`, { name: path });
  return item(path, text("file"), "more", rights.map((right) => text(right)).join(", "), revoke);
}

function accessItems({ clients, origins, programs }) {
  const paired = (clients.clients ?? []).filter((one) => one.kind === "program");
  const files = programs.programs ?? [];
  return [...paired.map(programItem), ...files.map(fileItem), ...(origins.origins ?? []).map(siteItem)];
}

function auditItem(row) {
  const family = row.action.split(".")[0];
  const act = text(row.action in ACTS ? row.action : family in ACTS ? family : row.action, {}, ACTS);
  const end = row.outcome === "done" ? "" : `, ${text(row.outcome)}${row.code ? ` (${row.code})` : ""}`;
  return item(`${day(row.time)} ${time(row.time)}`, act + end, end ? "bad" : "", row.program);
}

function methodItem(method) {
  const state = text(method.usable ? "usable" : "unusable");
  return item(text(method.method), state, method.usable ? "good" : "bad", method.detail, method.remedy);
}

function todo(state) {
  const { readers, cards, methods } = state;
  const faults = new Set(Object.values(state).map((each) => each.fault).filter(Boolean));
  const items = [...faults].map((fault) => made("li", fault, "bad"));
  const isAnyUsable = methods.methods?.some((method) => method.usable);
  if (readers.readers && !readers.readers.length) items.push(made("li", text("no_reader"), "bad"));
  for (const card of cards.cards ?? []) {
    if (["last_try", "blocked"].includes(card.pin?.state)) items.push(made("li", pinText(card), "bad"));
  }
  for (const method of methods.methods ?? []) {
    const isSpare = isAnyUsable && method.problem === "session.method_unavailable"; // not set up, and not needed
    if (!method.usable && !isSpare && method.remedy) items.push(item(text(method.method), method.remedy, ""));
    for (const { serial, not_after: end } of method.expiring ?? []) {
      items.push(made("li", text("ending", { serial, day: day(end) }), "bad"));
    }
  }
  return items;
}

function show(state) {
  const now = JSON.stringify([language, state]);
  if (now === shown) return; // nobody's reading or focus is disturbed for nothing
  shown = now;
  last = state;
  again();
}

function speak() {
  document.documentElement.lang = language;
  document.querySelectorAll("[data-text]").forEach((place) => { place.textContent = text(place.dataset.text); });
  byId("language").textContent = language === "fr" ? "English" : "Français";
  byId("language").lang = language === "fr" ? "en" : "fr";
}

function again() {
  const state = last;
  const focused = document.activeElement?.dataset?.act;
  const section = document.activeElement?.closest("section");
  const inSlots = new Map((state.cards.cards ?? []).map((card) => [card.id, card]));
  byId("version").textContent = text("live", { version: state.status.version ?? "" });
  fill("todo", todo(state), "fine");
  fill("cards", (state.readers.readers ?? []).map((reader) => cardItem(reader, inSlots.get(reader.card))), "no_reader");
  fill("sessions", (state.sessions.sessions ?? []).map(sessionItem), "no_session");
  fill("access", accessItems(state), "no_access");
  fill("audit", (state.audit.rows ?? []).map(auditItem), "no_audit");
  fill("methods", (state.methods.methods ?? []).map(methodItem), "methods");
  byId("hint").hidden = true;
  byId("content").hidden = false;
  if (!focused) return;
  const same = [...document.querySelectorAll("[data-act]")].find((each) => each.dataset.act === focused);
  (same ?? section.querySelector("h2")).focus(); // the act of a button that is there no more is done
}

async function look({ anew = false, asks = false } = {}) {
  if (!pass) return;
  lookedAt = performance.now();
  const turn = ++turns;
  const paths = READ.map((name) => (name === "cards" && asks ? "cards?pin=true" : name));
  const answers = await Promise.all(paths.map((path) => told(`/v1/${path}`)));
  if (turn < drawn) return; // what was asked later was told sooner
  drawn = turn;
  const state = Object.fromEntries(READ.map((name, at) => [name, answers[at]]));
  const cards = state.cards.cards ?? [];
  if (asks) asked.clear();
  for (const [at, card] of cards.entries()) {
    if (asks) asked.set(card.id, card);
    else cards[at] = asked.get(card.id) ?? card;
  }
  if (anew) shown = "";
  if (pass) show(state);
}

// Looks again, and asks cards for their PIN's tries at once where they came or left, else when nothing happens any more:
// another program may be signing.
function lookSoon(isOfCards) {
  asksSoon ||= isOfCards;
  waiting ??= setTimeout(() => {
    void look({ asks: asksSoon });
    waiting = undefined;
    asksSoon = false;
  }, Math.max(SETTLE, lookedAt + LEAST - performance.now()));
  clearTimeout(quiet);
  if (!isOfCards) quiet = setTimeout(() => void look({ asks: true }), QUIET);
}

// --- what comes by itself

async function listen(signal) {
  for (let failed = 0; pass && !signal.aborted; failed++) {
    try {
      const answer = await call("GET", "/v1/events", undefined, signal);
      for await (const events of chunks(answer.body.pipeThrough(new TextDecoderStream()))) {
        failed = 0;
        if (byId("said").textContent === text("lost")) say("");
        lookSoon(OF_CARDS.test(events));
      }
    } catch (fault) {
      if (!signal.aborted && !(fault instanceof Refused || fault instanceof TypeError)) throw fault;
    }
    if (!pass || signal.aborted) return;
    say(text("lost"));
    await new Promise((done) => { setTimeout(done, RETRY[Math.min(failed, RETRY.length - 1)]); });
  }
}

async function* chunks(body) {
  const reader = body.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
}

async function enter() {
  const link = location.hash.slice(1);
  if (!link) return;
  history.replaceState(null, "", location.pathname); // a link serves once; “Back” and a reload have none of it
  try {
    pass = (await (await call("POST", "/v1/status-page/sessions", { link })).json()).token;
    sessionStorage.setItem(PASS, pass);
    opened = Date.now() + Math.random();
    tabs.postMessage(opened);
  } catch (fault) {
    say(fault.message); // a pass that this tab has serves on
  }
}

byId("language").addEventListener("click", () => {
  language = language === "fr" ? "en" : "fr";
  sessionStorage.setItem("language", language);
  speak();
  if (pass && last) again();
  if (pass) void look(); // what the daemon says, in the other language
});

// A tab that nobody looks at holds no connection: a browser has six for one host, over all of its tabs.
function begin() {
  leaving.abort();
  leaving = new AbortController();
  if (pass && document.visibilityState === "visible") void listen(leaving.signal);
}

// One page is enough: those of before make way for the one that was just opened, and close where the browser lets them.
tabs.addEventListener("message", ({ data: other }) => {
  if (!pass || other < opened) return; // of two that are opened at once the later one stays
  if (busy.size) return; // what a person is doing in this one would be broken off
  leaving.abort();
  leave();
  say(text("elsewhere"));
  close();
});

addEventListener("pagehide", () => leaving.abort());
document.addEventListener("visibilitychange", begin);
addEventListener("hashchange", () => void enter().then(begin)); // the browser had this page open already
addEventListener("pageshow", (event) => { if (event.persisted) begin(); });
speak();
void enter().then(begin);
