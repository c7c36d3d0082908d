// Logging in by e-CPS on a portal's server: Pro Santé Connect (PSC) wakes the person's mobile and says who agreed.
//
//   const login = cardLogin({origin, trust, ways: pscLogin({issuer, clientId, secret})});
//
// POST /card/ecps {"national_id"} gives the digits to compare; POST /card/ecps/state {} how it stands, until it has logged
// in; POST /card/ecps/cancel {}. The portal is a service that is registered at PSC, with CIBA; PSC's word comes to this
// server and nobody's page. Node checks the token. Nothing of PSC's is kept: the login there ends at once.

import {createPublicKey, randomInt, verify} from "node:crypto";
import {request} from "node:https";
import {NATIONAL_ID, Refused} from "./web-eid.mjs";

const CIBA = "urn:openid:params:grant-type:ciba";
const REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id";
const LEVEL = /^eidas[1-3]$/;
const ANSWER_MAX = 1_000_000; // bytes
const TIME_MAX = 10_000; // milliseconds
const LEEWAY = 30; // seconds between PSC's clock and this one
const TOLD_MAX = 3600; // seconds that PSC may give a person, or have this server wait
const [PUSHES, WINDOW] = [3, 300_000]; // so often is one person woken, within these milliseconds
const PEOPLE_MAX = 10_000; // who were woken lately
const PROFESSIONS = new Map([
  ["10", "Médecin"],
  ["21", "Pharmacien"],
  ["40", "Chirurgien-dentiste"],
  ["50", "Sage-femme"],
  ["60", "Infirmier"],
  ["70", "Masseur-kinésithérapeute"],
]); // ANS's table G15 has the others
const ENDS = new Map([["access_denied", "refused"], ["expired_token", "expired"]]);

/** What cardLogin serves, for one registered service at one provider; authorities (PEM) are trusted instead of Node's. */
export function pscLogin({issuer, clientId, secret, authorities}) {
  const woken = new Map(); // times by national id
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`).toString("base64");
  let places;

  // status and JSON of one of PSC's endpoints; 503 and nothing where it cannot be reached
  async function asked(endpoint, {form, bearer} = {}) {
    const authorization = form ? `Basic ${basic}` : bearer && `Bearer ${bearer}`;
    try {
      if (!places) {
        const {told} = await got(`${issuer}/.well-known/wallet-openid-configuration`, {ca: authorities});
        if (told.issuer !== issuer) throw new Refused("PSC's discovery is another's");
        places = told;
      }
      return await got(places[endpoint], {form, authorization, ca: authorities});
    } catch (fault) {
      if (fault instanceof Refused) throw fault;
      return {status: 503, told: {error: `unreachable: ${fault.message}`}};
    }
  }

  // nobody's mobile rings all day because somebody types their number; the longest ago is forgotten first
  function mayWake(who) {
    const now = performance.now();
    const lately = (woken.get(who) ?? []).filter((at) => at > now - WINDOW);
    const may = lately.length < PUSHES;
    woken.delete(who);
    woken.set(who, may ? [...lately, now] : lately);
    if (woken.size > PEOPLE_MAX) woken.delete(woken.keys().next().value);
    return may;
  }

  // who agreed; what PSC answers in another form than it should is refused too
  async function holderOf(told, pending) {
    try {
      return await agreed(told, pending);
    } catch (fault) {
      throw fault instanceof Refused ? fault : new Refused(`PSC's answer: ${fault.message}`);
    }
  }

  // by PSC's signed token and what it says of that subject
  async function agreed(told, {id, who}) {
    const {told: keys} = await asked("jwks_uri");
    const claims = claimsOf(told.id_token, keys.keys ?? []);
    const now = Date.now() / 1000;
    const {iss, aud, azp = clientId, sub, exp, iat, nbf = iat, acr = "eidas1", [REQUEST_CLAIM]: named = id} = claims;
    const isOurs = iss === issuer && [aud].flat().includes(clientId) && azp === clientId && named === id;
    if (!isOurs || typeof sub !== "string" || !sub) throw new Refused("PSC's token is for another request or service");
    const areTimes = [exp, iat, nbf].every(Number.isFinite);
    if (!areTimes || exp <= now - LEEWAY || Math.max(iat, nbf) > now + LEEWAY) {
      throw new Refused("PSC's token is not of now");
    }
    const hasLevel = typeof acr === "string" && LEVEL.test(acr); // PSC has left it out
    if (!hasLevel) throw new Refused("PSC's token says too low a level");
    const {told: person} = await asked("userinfo_endpoint", {bearer: told.access_token});
    await asked("end_session_endpoint", {form: {id_token_hint: told.id_token}});
    if (person.sub !== sub || person.SubjectNameID !== who) throw new Refused("somebody else agreed than was asked");
    const [familyName, givenName] = [nameOf(person.family_name), nameOf(person.given_name)];
    return {nationalId: who, familyName, givenName, title: professionsOf(person)};
  }

  async function begin(kept, body) {
    const who = body?.national_id;
    if (typeof who !== "string" || !NATIONAL_ID.test(who)) return {told: {state: "unknown"}};
    if (!mayWake(who)) return {told: {state: "often"}};
    const digits = String(randomInt(100)).padStart(2, "0");
    const form = {scope: "openid scope_all", acr_values: "eidas1", login_hint: who, binding_message: digits};
    const {status, told} = await asked("backchannel_authentication_endpoint", {form});
    if (status !== 200) return {told: {state: told.error === "unknown_user_id" ? "unknown" : "absent"}};
    const [now, id, left, interval] = [performance.now(), told.auth_req_id, told.expires_in, told.interval ?? 5];
    if (typeof id !== "string") throw new Refused("PSC's answer names no request");
    if (![left, interval].every(isTime)) throw new Refused("PSC's answer has no time");
    kept.ecps = {id, who, ends: now + left * 1000, next: now + interval * 1000, interval};
    return {told: {state: "waiting", digits, seconds_left: left}};
  }

  async function state(kept) {
    const pending = kept.ecps;
    if (!pending) return {told: {state: "none"}};
    const now = performance.now();
    const waiting = {told: {state: "waiting", seconds_left: Math.max(0, Math.round((pending.ends - now) / 1000))}};
    if (now < pending.next) return waiting;
    pending.next = now + pending.interval * 1000;
    const {status, told} = await asked("token_endpoint", {form: {grant_type: CIBA, auth_req_id: pending.id}});
    const error = status === 200 ? undefined : (told.error ?? "");
    if (error === "slow_down") pending.interval += 5;
    const isPending = status === 503 || ["authorization_pending", "slow_down"].includes(error);
    if (now < pending.ends && isPending) return waiting;
    pending.next = Infinity; // nobody redeems it twice
    let isWanted, holder;
    try {
      if (error === undefined) holder = await holderOf(told, pending);
    } finally {
      isWanted = kept.ecps === pending; // neither given up nor asked anew meanwhile
      if (isWanted) delete kept.ecps;
    }
    if (!isWanted) return {told: {state: "none"}};
    if (holder) return {told: {state: "in"}, holder};
    const ends = now >= pending.ends ? "expired" : "absent";
    return {told: {state: ENDS.get(error) ?? ends}};
  }

  function cancel(kept) {
    delete kept.ecps;
    return {told: {state: "none"}};
  }

  return {ecps: begin, "ecps/state": state, "ecps/cancel": cancel};
}

function claimsOf(token, keys) {
  const parts = String(token).split(".");
  let head, claims;
  try {
    [head, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString("utf8")));
  } catch {
    throw new Refused("PSC's token is none");
  }
  const jwk = keys.find(({kid, kty}) => kid === head.kid && kty === "RSA");
  const isPlain = parts.length === 3 && head.alg === "RS256" && head.crit === undefined;
  if (!isPlain || !jwk) throw new Refused("PSC's token has another form");
  const [key, signed] = [createPublicKey({key: jwk, format: "jwk"}), Buffer.from(`${parts[0]}.${parts[1]}`)];
  if (!verify("sha256", signed, key, Buffer.from(parts[2], "base64url"))) throw new Refused("PSC's token is forged");
  return claims;
}

function got(address, {form, authorization, ca}) {
  const body = form && new URLSearchParams(form).toString();
  const headers = {Accept: "application/json", ...(authorization && {Authorization: authorization})};
  if (form) headers["Content-Type"] = "application/x-www-form-urlencoded";
  return new Promise((done, failed) => {
    const sent = request(address, {method: form ? "POST" : "GET", headers, ca, timeout: TIME_MAX}, async (answer) => {
      try {
        const parts = [];
        let size = 0;
        for await (const part of answer) {
          size += part.length;
          if (size > ANSWER_MAX) throw new Error("PSC's answer is too long");
          parts.push(part);
        }
        const text = Buffer.concat(parts).toString("utf8");
        done({status: answer.statusCode, told: text.startsWith("{") ? JSON.parse(text) : {}});
      } catch (fault) {
        failed(fault);
      }
    });
    sent.on("timeout", () => sent.destroy(new Error("PSC does not answer")));
    sent.on("error", failed);
    sent.end(body);
  });
}

const isTime = (told) => typeof told === "number" && told >= 0 && told <= TOLD_MAX;

// a name for a page and a document: nothing in it that turns the text around or hides
const nameOf = (value) => String(value ?? "").replace(/\p{C}/gu, "").slice(0, 80);

function professionsOf({SubjectRefPro}) {
  const codes = new Set((SubjectRefPro?.exercices ?? []).map(({codeProfession}) => nameOf(codeProfession)));
  return [...codes].map((code) => PROFESSIONS.get(code) ?? `profession ${code}`).join(", ");
}
