// cardd from a web page. What each thing is for stands in cardd.d.ts and docs/webps.md.

const OLDEST = "0.2.0"; // knows pages by their keys
const BASES = ["http://127.0.0.1:17463", "http://[::1]:17463"];
const PERMISSIONS = ["loopback-network", "local-network-access"]; // now, and once
const LARGE = 512 * 1024; // bytes; a document of this size is handed over first
const QUESTION = 150; // milliseconds after which a fetch must be waiting for the person
const POLL = 1000; // milliseconds between two looks at a login

// What the person is to do; the page explains the other states.
const TO_DO = {
  unasked: ["Cliquez pour que le navigateur vous interroge", "Click, so that the browser asks you"],
  denied: [
    "Autorisez ce site par l'icône à gauche de l'adresse, puis rechargez la page",
    "Allow this site by the icon left of the address, then reload the page",
  ],
  absent: ["cardd ne répond pas à ce site : est-il installé ?", "cardd does not answer this site: is it installed?"],
};

export class CarddError extends Error {
  constructor(code, problem = {}) {
    super([problem.detail ?? code, problem.remedy ?? ""].join(" ").trim());
    Object.assign(this, { name: "CarddError", code, problem });
  }
}

export class Cardd extends EventTarget {
  #base;
  #pass;
  #entering;
  #leaving = new AbortController();

  constructor({ bases = BASES, language = document.documentElement.lang || navigator.language, rights } = {}) {
    super();
    Object.assign(this, { bases, rights, language: language.startsWith("fr") ? "fr" : "en" });
    // a page kept for "Back" would leave its dialogs open
    addEventListener("pagehide", () => { this.#leaving.abort(); this.#leaving = new AbortController(); });
  }

  async find() {
    if (!isSecureContext) return this.#found("blocked", { reason: "insecure" });
    const before = await permission();
    const mayAsk = document.featurePolicy?.allowsFeature(PERMISSIONS[0]) ?? before !== "denied"; // as its frame allows
    if (self !== top && !mayAsk) return this.#found("blocked", { reason: "frame" });
    if (before === "denied") return this.#found("denied");
    if (before === "prompt" && !navigator.userActivation?.isActive) return this.#found("unasked");
    const looked = this.#look();
    if (before === "granted") return looked;
    return (await Promise.race([looked, pause(QUESTION)])) ?? this.#found("asking", { answered: looked });
  }

  enter() {
    this.#entering ??= this.#enter().finally(() => { this.#entering = undefined; }); // two calls ask the person once
    return this.#entering;
  }

  async login({ onPending, ...body } = { method: "cpx" }) {
    const session = new Session(this, await this.call("POST", "/v1/sessions", { body, once: true }));
    for (let told = session; told.state === "pending"; told = await session.refresh()) {
      const secondsLeft = Math.max(0, Math.round((Date.parse(told.expires_at) - Date.now()) / 1000));
      onPending?.({ digits: told.binding_message, url: told.authorization_url, secondsLeft });
      await pause(POLL);
    }
    return session;
  }

  listen({ socket = false } = {}) {
    const ends = new AbortController();
    let failed = 0;
    const tell = (type, detail) => {
      failed = type === "disconnected" ? failed : 0;
      this.dispatchEvent(new CustomEvent(type, { detail }));
    };
    void (async () => {
      for (; !ends.signal.aborted; failed++) {
        try {
          await (socket ? this.#overSocket(ends.signal, tell) : this.#overFetch(ends.signal, tell));
        } catch (fault) {
          if (ends.signal.aborted) return;
          tell("disconnected", fault);
          if (["client.pairing_refused", "page.right_missing"].includes(fault.code)) return;
        }
        await pause(Math.min(250 * 4 ** failed, 10_000));
      }
    })();
    return () => ends.abort();
  }

  async call(method, path, { body, bytes, token, once, signal } = {}) {
    const key = once ? { "Idempotency-Key": crypto.randomUUID() } : {};
    for (let left = 3; ; left--) {
      const base = await this.#where();
      if (!token && !this.#pass) await this.enter();
      const headers = { Authorization: `Bearer ${token ?? this.#pass}`, ...key };
      try {
        const answer = await this.#ask(base, path, { method, body, bytes, headers, signal });
        if (!answer.ok) throw await refusal(answer);
        if (answer.status === 204) return undefined;
        return /json/.test(answer.headers.get("Content-Type")) ? await answer.json() : answer;
      } catch (fault) {
        if (left > 1 && fault.code === "page.proof_needed") await this.enter();
        else if (left < 3 || !once || !["daemon.unreachable", "audit.slow"].includes(fault.code)) throw fault;
      }
    }
  }

  async #enter(wanted) {
    const base = await this.#where();
    const { challenge } = await this.#post(base, "/v1/clients/challenges", {});
    const proof = await proofOfKey({ iss: location.origin, aud: new URL(base).host, nonce: challenge });
    const told = await this.#post(base, "/v1/clients", { ...proof, rights: this.rights, ...wanted });
    this.#pass = told.token;
    return told;
  }

  async #look() {
    const violated = [];
    const note = ({ blockedURI }) => violated.push(blockedURI);
    document.addEventListener("securitypolicyviolation", note);
    try {
      for (const base of this.bases) {
        const found = await this.#lookAt(base);
        if (found) return found;
      }
      await pause(0); // a violation is told after the fetch failed
      if (this.bases.every((base) => violated.some((uri) => uri.startsWith(base)))) {
        return this.#found("blocked", { reason: "csp", add: `connect-src ${this.bases.join(" ")}` });
      }
      return this.#found((await permission()) === "denied" ? "denied" : "absent");
    } finally {
      document.removeEventListener("securitypolicyviolation", note);
    }
  }

  async #lookAt(base) {
    let answer;
    try {
      answer = await this.#ask(base, "/v1/status", {});
    } catch {
      // who waved the question away is not asked again at once
      return (await permission()) === "prompt" ? this.#found("unasked") : undefined;
    }
    const { name, version, code, detail } = await answer.json().catch(() => ({}));
    if (code) return this.#found("refused", { code, text: detail });
    if (name !== "cardd") return undefined;
    if (version.localeCompare(OLDEST, "en", { numeric: true }) < 0) return this.#found("old", { version });
    this.#base = base;
    if (!(await pageKey(false))) return this.#found("consent");
    try {
      await this.#enter({ ask: false });
      return this.#found("ready");
    } catch ({ code, message }) {
      return code === "page.consent_needed" ? this.#found("consent") : this.#found("refused", { code, text: message });
    }
  }

  #say = (state) => TO_DO[state]?.[+(this.language === "en")] ?? state;
  #found = (state, more) => ({ state, text: this.#say(state), ...more });

  async #where() {
    if (!this.#base) {
      const found = await this.find();
      const last = (await found.answered) ?? found;
      if (!this.#base) throw new CarddError(`page.${last.code ?? last.state}`, { detail: last.text });
    }
    return this.#base;
  }

  async #post(base, path, body) {
    const answer = await this.#ask(base, path, { method: "POST", body });
    if (!answer.ok) throw await refusal(answer);
    return answer.json();
  }

  async #ask(base, path, { method = "GET", body, bytes, headers = {}, signal }) {
    const type = body ? "application/json" : bytes && "application/octet-stream";
    const ends = AbortSignal.any([this.#leaving.signal, signal].filter(Boolean));
    try {
      const told = { "Accept-Language": this.language, ...(type && { "Content-Type": type }), ...headers };
      const content = body ? JSON.stringify(body) : bytes;
      return await fetch(base + path, { method, headers: told, body: content, signal: ends });
    } catch (fault) {
      if (ends.aborted) throw fault;
      this.#base = undefined;
      throw new CarddError("daemon.unreachable", { detail: this.#say("absent") });
    }
  }

  async #overFetch(signal, tell) {
    const answer = await this.call("GET", "/v1/events", { signal });
    let kept = "";
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (kept + text).split("\n\n");
      kept = blocks.pop();
      for (const block of blocks) {
        const [, event, data] = block.match(/^event: (.*)\ndata: (.*)/m);
        tell(event, JSON.parse(data));
      }
    }
  }

  async #overSocket(signal, tell) {
    const { ticket } = await this.call("POST", "/v1/events/tickets", { body: {} });
    const socket = new WebSocket(`${this.#base.replace("http", "ws")}/v1/events?ticket=${ticket}`);
    signal.addEventListener("abort", () => socket.close());
    socket.onmessage = (message) => { const { type, data } = JSON.parse(message.data); tell(type, data); };
    await new Promise((done) => { socket.onclose = done; });
  }
}

export class Session {
  #path;

  constructor(cardd, opened) {
    Object.assign(this, opened, { cardd });
    this.#path = `/v1/sessions/${opened.id}`;
  }

  refresh = async () => Object.assign(this, await this.#call("GET", ""));
  authToken = (nonce) => this.#call("POST", "/auth-tokens", { body: { nonce }, once: true });

  async sign(name, document, form = {}) {
    const isLarge = document.length >= LARGE;
    const given = isLarge ? { document_id: (await this.handOver(document)).id } : { document: encoded(document) };
    return this.#call("POST", "/signatures", { body: { document_name: name, ...given, ...form }, once: true });
  }

  handOver = (bytes) => this.#call("POST", "/documents", { bytes });

  async fetch(id) {
    return new Uint8Array(await (await this.#call("GET", `/documents/${id}`)).arrayBuffer());
  }

  close = () => this.#call("DELETE", "");

  #call = (method, path, sent = {}) => this.cardd.call(method, this.#path + path, { ...sent, token: this.token });
}

async function permission() {
  for (const name of PERMISSIONS) {
    const found = await navigator.permissions.query({ name }).catch(() => undefined);
    if (found) return found.state;
  }
  return "granted"; // a browser that does not ask
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new CarddError(problem.code ?? "daemon.unreachable", problem);
}

const encoded = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
};
const inUrl = (bytes) => encoded(bytes).replace(/[+/=]/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
const utf8 = (text) => new TextEncoder().encode(text);

async function proofOfKey(claims) {
  const key = await pageKey(true);
  const parts = [{ alg: "ES256", typ: "cardd-page+jwt" }, claims];
  const signed = parts.map((part) => inUrl(utf8(JSON.stringify(part)))).join(".");
  const value = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.privateKey, utf8(signed));
  const page_key = await crypto.subtle.exportKey("jwk", key.publicKey);
  return { page_key, proof: `${signed}.${inUrl(new Uint8Array(value))}` };
}
async function pageKey(make) {
  const opening = indexedDB.open("cardd", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
  const database = await settled(opening);
  const keys = (mode) => database.transaction("keys", mode).objectStore("keys");
  try {
    const before = await settled(keys("readonly").get("page"));
    if (before || !make) return before;
    const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    await settled(keys("readwrite").add(made, "page")).catch(() => undefined); // another tab was first
    return await settled(keys("readonly").get("page"));
  } finally {
    database.close();
  }
}

const pause = (time) => new Promise((done) => setTimeout(done, time));
const settled = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

export const cardd = new Cardd();
