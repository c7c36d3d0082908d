// Logging in by card for a Node portal: three routes for the page, and request.card for the application.
//
//   const login = cardLogin({origin: "https://webps.example", trust: {authorities, lists}});
//   createServer((request, response) => login(request, response, () => answer(request, response)));
//   express().use(login);
//
// POST /card/challenge {} gives {"nonce"}; POST /card/login TOKEN gives the holder; POST /card/logout {}. request.card is
// the holder, or null, and request.cardKept an object for what the application keeps of this login, with its way;
// login.memberOf(request) is both, for an upgrade to WebSocket. Sessions are in the memory of one process. Nothing but
// web-eid.mjs is needed; ways are other logins beside the card's. Stand before whatever reads bodies.

import {randomBytes} from "node:crypto";
import {newNonce, Refused, spentNonce, verify} from "./web-eid.mjs";

const COOKIE = "__Host-card"; // browsers take it from https alone, for this host alone
const ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax";
const BODY_MAX = 32_768; // bytes
const VISITORS_MAX = 10_000; // who asked for a nonce and have not logged in
const NONCE_LIFETIME = 300; // seconds
const READING = ["GET", "HEAD", "OPTIONS"];

/** The request ends here, with this status. */
export class Answered extends Error {
  constructor(status) {
    super();
    this.status = status;
  }
}

/**
 * The middleware; a login lasts lifetime seconds, whatever happens meanwhile. log is told why one was refused.
 *
 * ways has async functions by the name of their route. Each is given what this browser's session keeps on the server and
 * the page's JSON, and resolves with told, for the page, and with the holder once somebody has logged in.
 */
export function cardLogin({origin, trust, lifetime = 3600, prefix = "/card", ways = {}, log = console.warn, accept11}) {
  const visitors = new Map(); // by the cookie's value
  const members = new Map();
  const living = (sessions, cookie) => {
    const session = sessions.get(cookie);
    return session && session.ends > performance.now() ? session : undefined;
  };
  const known = (cookie) => living(members, cookie) ?? living(visitors, cookie);
  const forget = (cookie) => visitors.delete(cookie) | members.delete(cookie);

  // a session under a new name, which nobody can have planted; the oldest end first
  function opened(sessions, seconds, holder = null) {
    const now = performance.now();
    for (const [old, {ends}] of sessions) {
      if (ends > now && !(sessions === visitors && sessions.size >= VISITORS_MAX)) break;
      sessions.delete(old);
    }
    const cookie = randomBytes(32).toString("base64url");
    const session = {ends: now + seconds * 1000, holder, kept: {}};
    sessions.set(cookie, session);
    return {cookie, session};
  }

  const acts = {
    challenge: (kept) => ({told: {nonce: newNonce(kept)}}),
    async login(kept, token) {
      const holder = await verify(token, {origin, nonce: spentNonce(kept), trust, accept11});
      return {told: holder, holder};
    },
    logout: null,
    ...ways,
  };

  async function acted(name, cookie, body) {
    const before = known(cookie);
    const session = before ?? {kept: {}};
    const {told, holder} = await acts[name](session.kept, body);
    if (known(cookie) !== before) throw new Answered(403); // the browser logged in or out meanwhile
    if (holder) {
      forget(cookie);
      const made = opened(members, lifetime, holder);
      made.session.kept.way = name === "login" ? "card" : name.split("/")[0];
      return {told, cookie: made.cookie};
    }
    if (!before && Object.keys(session.kept).length) {
      // what keeps nothing takes no other tab's cookie away
      const made = opened(visitors, NONCE_LIFETIME);
      made.session.kept = session.kept;
      return {told, cookie: made.cookie};
    }
    if (before && visitors.has(cookie)) before.ends = performance.now() + NONCE_LIFETIME * 1000;
    return {told};
  }

  async function done(name, request) {
    if (request.method !== "POST") throw new Answered(405);
    if (request.headers.origin !== origin) throw new Answered(403);
    const [kind] = (request.headers["content-type"] ?? "").split(";");
    if (kind.trim().toLowerCase() !== "application/json") throw new Answered(415);
    const [cookie, body] = [cookieOf(request), await jsonOf(request)];
    if (acts[name]) return acted(name, cookie, body);
    forget(cookie);
    return {told: {}, cookie: ""};
  }

  async function answer(name, request, response) {
    let status = 200;
    let {told, cookie} = {told: {error: "refused"}};
    try {
      ({told, cookie} = await done(name, request));
    } catch (fault) {
      status = fault instanceof Refused ? 403 : (fault.status ?? 500);
      if (!(fault instanceof Answered)) log(`refused: ${JSON.stringify(fault.message)}`);
    }
    const headers = {"Content-Type": "application/json", "Cache-Control": "no-store"};
    if (cookie !== undefined) headers["Set-Cookie"] = `${COOKIE}=${cookie}; ${ATTRIBUTES}${cookie ? "" : "; Max-Age=0"}`;
    if (status === 413) headers.Connection = "close";
    response.writeHead(status, headers).end(JSON.stringify(told));
  }

  const memberOf = (request) => {
    // nobody for a request of another site's page that could change something, nor for its WebSocket
    const reading = READING.includes(request.method) && !request.headers.upgrade;
    if (!reading && request.headers.origin !== origin) return null;
    return living(members, cookieOf(request)) ?? null;
  };

  const middleware = (request, response, next) => {
    const path = request.url.split("?")[0];
    const name = path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : "";
    if (Object.hasOwn(acts, name)) return answer(name, request, response);
    const member = memberOf(request);
    Object.assign(request, {card: member?.holder ?? null, cardKept: member?.kept ?? null});
    return next();
  };
  return Object.assign(middleware, {memberOf});
}

function cookieOf(request) {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const found = pairs.filter((pair) => pair.startsWith(`${COOKIE}=`));
  return found.length === 1 ? found[0].slice(COOKIE.length + 1) : "";
}

/** Resolve with the JSON that the page sent; reject with Answered. */
export async function jsonOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request.iterator({destroyOnReturn: false})) {
    size += part.length;
    if (size > BODY_MAX) throw new Answered(413);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new Answered(400);
  }
}
