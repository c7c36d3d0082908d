// cardd from a web page: see cardd.d.ts, docs/webps.md

const BASES = ["http://127.0.0.1:17463", "http://localhost:17463"];
const PERMISSION = "loopback-network";
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const [LARGE, QUESTION, LIMIT, POLL] = [512 * 1024, 150, 5000, 1000]; // bytes; then ms

const TO_DO = {
  unasked: ["Cliquez : le navigateur vous interrogera", "Click: the browser will ask you"],
  denied: ["Autorisez ce site : icône à gauche de l’adresse", "Allow this site: icon left of the address"],
  absent: ["cardd ne répond pas : est-il installé ?", "cardd does not answer: is it installed?"],
  silent: ["cardd est bloqué : redémarrez-le", "cardd hangs: restart it"],
};

export class CarddError extends Error {
  constructor(code, problem = {}) {
    super([problem.detail ?? code, problem.remedy].filter(Boolean).join(" "));
    Object.assign(this, { name: "CarddError", code, problem });
  }
}

export class Cardd extends EventTarget {
  #base;
  #pass;
  #barred = new Set(); // by CSP
  #leaving = new AbortController();
  #ears = 0;
  #ends;

  constructor({ bases = BASES, language = document.documentElement.lang || navigator.language, rights } = {}) {
    super();
    Object.assign(this, { bases, rights, language: language.startsWith("fr") ? "fr" : "en" });
    addEventListener("pagehide", () => { this.#leaving.abort(); this.#leaving = new AbortController(); });
    document.addEventListener("securitypolicyviolation", ({ blockedURI, disposition }) => {
      const base = bases.find((each) => blockedURI.startsWith(each));
      if (base && disposition === "enforce") this.#barred.add(base);
    });
  }

  async find() {
    if (!isSecureContext) return this.#found("blocked", { reason: "insecure" });
    const was = await permission();
    const mayAsk = document.featurePolicy?.allowsFeature(PERMISSION) ?? was !== "denied";
    if (self !== top && !mayAsk) return this.#found("blocked", { reason: "frame" });
    if (was === "denied") return this.#found("denied");
    if (was === "prompt" && !navigator.userActivation.isActive) return this.#found("unasked");
    const answered = this.#look();
    if (was === "granted") return answered;
    return (await Promise.race([answered, pause(QUESTION)])) ?? this.#found("asking", { answered });
  }

  enter = async (how) => this.#enter(await this.#where(), how);

  async login({ method = "cpx", onPending, signal, ...more } = {}) {
    const sent = { body: { method, ...more }, once: true, signal };
    const session = new Session(this, await this.call("POST", "/v1/sessions", sent));
    for (; session.state === "pending"; await session.refresh()) {
      const { binding_message: digits, expires_at: end } = session;
      const url = session.authorization_url?.match(/^http.*/)?.[0];
      onPending?.({ digits, url, secondsLeft: Math.max(0, Math.round((Date.parse(end) - Date.now()) / 1000)) });
      await pause(POLL);
      if (signal?.aborted) await session.close().finally(() => signal.throwIfAborted());
    }
    return session;
  }

  listen() {
    let ear = 1;
    if (!this.#ears++) this.#listen((this.#ends = new AbortController()).signal);
    return () => ear && ((ear = 0), --this.#ears || this.#ends.abort());
  }

  async call(method, path, { token, once, ask, ...sent } = {}) {
    const key = once && { "Idempotency-Key": crypto.randomUUID() };
    for (let left = 2; ; left--) {
      const base = await this.#where();
      try {
        const headers = { Authorization: `Bearer ${token ?? this.#pass}`, ...key };
        const answer = await this.#ask(base, path, { ...sent, method, headers });
        return /json/.test(answer.headers.get("Content-Type")) ? await answer.json() : answer;
      } catch (fault) {
        if (left && fault.code === "page.proof_needed") await this.#enter(base, { ask, signal: sent.signal });
        else if (left && once && /unreachable|slow/.test(fault.code)) await pause(POLL);
        else throw fault;
      }
    }
  }

  async #look() {
    for (const base of this.bases) {
      const found = await this.#lookAt(base);
      if (/ready|consent/.test(found.state)) this.#base = base;
      if (found.state !== "absent") return found;
    }
    if (this.#barred.size < this.bases.length) return this.#found("absent");
    const bases = this.bases.join(" ");
    return this.#found("blocked", { reason: "csp", add: `connect-src ${bases} ${bases.replaceAll("http", "ws")}` });
  }

  async #lookAt(base) {
    const limit = new AbortController();
    const { signal } = limit;
    let ticks = 24;
    const timer = setInterval(async () => (--ticks && (await permission()) === "prompt") || limit.abort(), LIMIT);
    try {
      const key = await pageKey();
      if (!key || (await permission()) === "prompt") {
        const { name, version } = await (await this.#ask(base, "/v1/status", { signal })).json();
        if (name !== "cardd") return this.#found("absent");
        if (version.match(/^0\.[01]\./)) return this.#found("old", { version });
      }
      if (!key) return this.#found("consent");
      await this.#enter(base, { ask: false, signal, key });
      return this.#found("ready");
    } catch (fault) {
      const { code, message } = fault;
      if (signal.aborted) return this.#found("silent");
      if (fault instanceof DOMException) return this.#found("blocked", { reason: "storage" });
      if (code === "page.consent_needed") return this.#found("consent");
      if (code && code !== "daemon.unreachable") return this.#found("refused", { code, text: message });
      await pause(0); // a violation comes later
      const now = this.#barred.has(base) || (await permission());
      return this.#found({ prompt: "unasked", denied: "denied" }[now] ?? "absent");
    } finally {
      clearInterval(timer);
    }
  }

  async #where() {
    const found = this.#base ? {} : await this.find();
    const { state, text, code = `page.${state}` } = (await found.answered) ?? found;
    if (!this.#base) throw new CarddError(code, { detail: text });
    return this.#base;
  }

  async #enter(base, { signal, key, ...wanted } = {}) {
    const post = async (path, body) => (await this.#ask(base, path, { method: "POST", body, signal })).json();
    const { challenge } = await post("/v1/clients/challenges", {});
    const proof = await proofOfKey(key, { iss: origin, aud: new URL(base).host, nonce: challenge });
    const told = await post("/v1/clients", { ...proof, rights: this.rights, ...wanted });
    this.#pass = told.token;
    this.#tell("entered");
    return told;
  }

  #found = (state, more) => ({ state, text: TO_DO[state]?.[+(this.language === "en")] ?? state, ...more });
  #tell = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));

  async #ask(base, path, { method = "GET", body, bytes, headers, signal, onProgress }) {
    const ends = AbortSignal.any([this.#leaving.signal, signal].filter(Boolean));
    const content = body ? JSON.stringify(body) : bytes && blob(bytes);
    const type = body && { "Content-Type": "application/json" };
    const told = { "Accept-Language": this.language, ...type, ...headers };
    const sent = { method, headers: told, body: content, signal: ends };
    const send = onProgress ? upload : fetch;
    const answer = await send(base + path, sent, onProgress).catch(() => {
      ends.throwIfAborted();
      this.#base = undefined;
      throw new CarddError("daemon.unreachable", { detail: this.#found("absent").text });
    });
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => undefined);
    throw new CarddError(problem?.code ?? "daemon.unreachable", problem);
  }

  async #listen(signal) {
    for (let failed = 0; ; ) {
      const fault = await this.#stream(signal).catch((e) => e);
      if (signal.aborted) return;
      this.#tell("disconnected", fault);
      const again = !fault?.problem || fault.problem.retryable || /unreachable|absent|silent|blocked/.test(fault.code);
      await (again ? pause(Math.min(250 * 4 ** failed, 10_000)) : next(this, "entered"));
      failed = fault && again ? failed + 1 : 0;
    }
  }

  async #stream(signal) {
    const { ticket } = await this.call("POST", "/v1/events/tickets", { body: {}, ask: false, signal });
    const base = (await this.#where()).replace("http", "ws");
    signal.throwIfAborted();
    const socket = new WebSocket(`${base}/v1/events?ticket=${ticket}`);
    signal.onabort = () => socket.close();
    let heard;
    socket.onmessage = ({ data }) => {
      heard = JSON.parse(data);
      this.#tell(heard.type, heard.data);
    };
    await next(socket, "close");
    if (!heard) throw new CarddError("page.blocked", { detail: `connect-src ${base}` });
  }
}

export class Session {
  #path;

  constructor(cardd, opened) {
    Object.assign(this, opened, { cardd });
    this.#path = `/v1/sessions/${opened.id}`;
  }

  refresh = async () => Object.assign(this, await this.#call("GET", ""));
  authToken = (nonce, how) => this.#call("POST", "/auth-tokens", { ...how, body: { nonce }, once: true });

  async sign(name, document, { signal, onProgress, ...form } = {}) {
    const content = blob(document);
    const given = { document_name: name, ...form };
    if (content.size >= LARGE) given.document_id = (await this.handOver(content, { signal, onProgress })).id;
    else given.document = (await content.bytes()).toBase64();
    return this.#call("POST", "/signatures", { body: given, once: true, signal });
  }

  handOver = (document, how) => this.#call("POST", "/documents", { ...how, bytes: document });
  fetch = async (id, how) => (await this.#call("GET", `/documents/${id}`, how)).bytes();
  close = () => this.#call("DELETE", "");

  #call = (method, path, sent) => this.cardd.call(method, this.#path + path, { ...sent, token: this.token });
}

async function permission() {
  const asked = navigator.permissions.query({ name: PERMISSION });
  return (await asked.catch(() => ({ state: "granted" }))).state;
}

async function upload(address, { method, headers, body, signal }, onProgress) {
  const xhr = new XMLHttpRequest();
  xhr.open(method, address);
  xhr.responseType = "blob";
  for (const each of Object.entries(headers)) xhr.setRequestHeader(...each);
  xhr.upload.onprogress = onProgress;
  signal.onabort = () => xhr.abort();
  signal.throwIfAborted();
  xhr.send(body);
  await next(xhr, "loadend");
  return new Response(xhr.response, { status: xhr.status }); // throws for 0
}

function blob(bytes) {
  if (bytes instanceof Blob || bytes instanceof ArrayBuffer || ArrayBuffer.isView(bytes)) {
    return new Blob([bytes], { type: "application/octet-stream" });
  }
  throw new TypeError("Documents are Blobs or bytes");
}

async function proofOfKey(key, claims) {
  const inUrl = (bytes) => new Uint8Array(bytes).toBase64({ alphabet: "base64url", omitPadding: true });
  const utf8 = (text) => new TextEncoder().encode(text);
  const made = () => crypto.subtle.generateKey(ECDSA, false, ["sign"]);
  const { privateKey, publicKey } = key ?? (await pageKey()) ?? (await pageKey(await made()));
  const parts = [{ alg: "ES256", typ: "cardd-page+jwt" }, claims].map((part) => inUrl(utf8(JSON.stringify(part))));
  const value = await crypto.subtle.sign(ECDSA, privateKey, utf8(parts.join(".")));
  return { page_key: await crypto.subtle.exportKey("jwk", publicKey), proof: [...parts, inUrl(value)].join(".") };
}

async function pageKey(made) {
  const open = indexedDB.open("cardd", 1);
  open.onupgradeneeded = () => open.result.createObjectStore("keys");
  const db = await settled(open);
  const keys = db.transaction("keys", made ? "readwrite" : "readonly").objectStore("keys");
  if (made) keys.add(made, "page").onerror = (fault) => fault.preventDefault(); // by another tab
  const kept = settled(keys.get("page"));
  db.close();
  return kept;
}

const pause = (time) => new Promise((done) => setTimeout(done, time));
const next = (target, type) => new Promise((done) => target.addEventListener(type, done, { once: true }));
const settled = (asked) =>
  new Promise((done, failed) => {
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });

export const cardd = globalThis.document && new Cardd();
