// The client of cardd's API, for pages as it stands here and for Node with node.ts. The types are made of /openapi.json
// (api.ts); the rest is written by hand. Nothing of Node is imported: pages load this file, and beside it cardd.js, the
// module for pages (docs/webps.md), which has and proves the page's key.

import type { components } from "./api.js";
import type { Cardd as Page } from "./cardd.js";

export type Schemas = components["schemas"];
export type About = Schemas["PairBody"];
export type Pairing = Schemas["PairingAnswer"];
export type Login = Schemas["SessionBody"];
export type Opened = Schemas["SessionAnswer"];
export type Signature = Schemas["SignatureAnswer"];
export type RawSignature = Signature & { signature: string };
export type Language = "fr" | "en";
/** What is signed, beside its name: a document or its SHA-256 as bytes, or the id of one that was handed over. */
export type Form = Omit<Schemas["SignatureBody"], "document_name" | "document" | "digest"> & {
  document?: Uint8Array;
  digest?: Uint8Array;
};

export const ADDRESS = "http://127.0.0.1:17463";
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}\/?$/;
const IS_PAGE = typeof document !== "undefined";
const ANSWER_LIMIT = 60_000; // milliseconds
const PAUSE = 250; // milliseconds between two questions whether the user has accepted the pairing

/** How requests reach cardd. One that `proves` leads to nobody else; over another, cardd proves itself first. */
export interface Way {
  readonly where: string;
  readonly proves: boolean;
  ask(path: string, request: RequestInit): Promise<Response>;
}

export interface Options {
  /** The daemon's address on this machine, or a way to it (cardd-client/node has one over its socket). */
  at?: string | Way;
  /** What pairing gave. A page has none: it has a key. */
  secret?: string | undefined;
  /** For a page: which rights it wants (docs/webps.md); by default to log in and to have documents signed. */
  rights?: Schemas["OriginBody"]["rights"];
  /** The language of what a person reads in errors and dialogs. */
  language?: Language;
  /** How many milliseconds an answer that cardd gives by itself is waited for; what a person is asked first has no limit. */
  answerLimit?: number;
  /** Web Crypto, for a Node without a global one. */
  crypto?: object;
}

/** What cardd refused. Decide by `code`, show `message`: it is written for the person at the screen. */
export class CarddError extends Error {
  constructor(
    readonly code: string,
    readonly problem: Partial<Schemas["Problem"]> = {},
    options?: ErrorOptions,
  ) {
    super([problem.title && `${problem.title}.`, problem.detail, problem.remedy].filter(Boolean).join(" ") || code, options);
    this.name = "CarddError";
  }
}

interface Sent {
  body?: object;
  bytes?: Uint8Array;
  bearer?: string | undefined;
  headers?: Record<string, string>;
  /** Sent a second time when the connection breaks, under one Idempotency-Key: nothing is signed twice. */
  twice?: boolean;
  signal?: AbortSignal;
}

/** One daemon and, once paired, one paired program, or a page that proves itself by its key. */
export class Cardd {
  readonly way: Way;
  readonly language: Language;
  readonly #crypto: Crypto;
  readonly #rights: Options["rights"];
  readonly #answerLimit: number;
  #page: Page | undefined;
  #secret: string | undefined;
  #proven = false;

  constructor({
    at = ADDRESS,
    secret,
    language = "fr",
    crypto = globalThis.crypto,
    rights,
    answerLimit = ANSWER_LIMIT,
  }: Options = {}) {
    this.#answerLimit = answerLimit;
    this.way = typeof at === "string" ? loopback(at, language) : at;
    this.language = language;
    this.#crypto = crypto as Crypto;
    this.#rights = rights;
    this.#secret = secret;
  }

  /** What pairing gave: for the keeping, see pairOnce of cardd-client/node. */
  get secret(): string | undefined {
    return this.#secret;
  }

  set secret(secret: string | undefined) {
    this.#secret = secret;
    this.#proven = false;
  }

  status = () => this.call<Schemas["StatusAnswer"]>("GET", "/v1/status");

  methods = (use?: "lps" | "webps" | "establishment" | "medico-social") =>
    this.call<Schemas["MethodsAnswer"]>("GET", `/v1/methods${use ? `?use=${use}` : ""}`, { bearer: this.#secret });

  cards = (pin = false) =>
    this.call<Schemas["CardsAnswer"]>("GET", `/v1/cards?pin=${pin}`, { bearer: this.#secret });

  /** Have the user accept this program. Show the six digits that `onCode` gets: the dialog shows them too. */
  async pair(about: About, onCode: (pairing: Pairing) => void): Promise<string> {
    type Told = Schemas["ClientAnswer"] | Pairing;
    let told = await this.call<Told>("POST", "/v1/clients", { body: about, headers: { Prefer: "respond-async" } });
    if ("code" in told) onCode(told);
    while (!("client_secret" in told)) {
      await new Promise((done) => setTimeout(done, PAUSE));
      told = await this.call<Told>("GET", `/v1/clients/pairings/${encodeURIComponent(told.id)}`);
    }
    this.secret = told.client_secret;
    return told.client_secret;
  }

  /** For a page: prove its key; the user is asked about one that is new. Each call does it by itself where cardd wants it. */
  async allow(): Promise<Schemas["OriginAnswer"]> {
    this.#page ??= await pageAt(this.way.where, this.language, this.#rights);
    const told = await this.#page.enter().catch((fault: Partial<CarddError>) => {
      throw fault.problem ? new CarddError(fault.code ?? "", fault.problem) : fault;
    });
    this.#secret = told.token;
    return told;
  }

  /** Log in: `{ method: "cpx" }` asks for the PIN. A login by e-CPS comes `pending`: ask for its state until it is open. */
  async login(body: Login): Promise<Session> {
    return new Session(this, await this.call<Opened>("POST", "/v1/sessions", { body, bearer: this.#secret, twice: true }));
  }

  /** A session that was opened before, perhaps by another process of the same user. */
  session = (id: string, token: string): Session => new Session(this, { id, token });

  /** One call of the API, for what has no method here. Throws CarddError. */
  async call<T = unknown>(method: string, path: string, sent: Sent = {}): Promise<T> {
    const key = sent.twice ? { "Idempotency-Key": hex(this.#crypto.getRandomValues(new Uint8Array(16))) } : {};
    for (let left = sent.twice || method === "GET" ? 2 : 1; ; left--) {
      const limit = method === "GET" ? { signal: AbortSignal.timeout(this.#answerLimit) } : {};
      try {
        const answer = await this.send(method, path, { ...sent, ...limit, headers: { ...sent.headers, ...key } });
        if (!answer.ok) throw await refusal(answer, this.way.where, this.language);
        return (answer.status === 204 ? undefined : await read(answer, this.way.where, this.language)) as T;
      } catch (fault) {
        // after audit.slow, what the card signed comes under the same key once the disk has taken it
        const again = fault instanceof CarddError && ["daemon.unreachable", "audit.slow"].includes(fault.code);
        if (!again || left === 1) throw fault;
      }
    }
  }

  /** One request, whatever its answer; the secret goes only to a daemon that has proved that it knows it. */
  async send(method: string, path: string, sent: Sent = {}): Promise<Response> {
    const answer = await this.#sendOnce(method, path, sent);
    if (answer.status !== 401 || !IS_PAGE || (await refusal(answer.clone(), "", "en")).code !== "page.proof_needed") return answer;
    const pass = this.#secret;
    await this.allow();
    return this.#sendOnce(method, path, sent.bearer === pass ? { ...sent, bearer: this.#secret } : sent);
  }

  async #sendOnce(method: string, path: string, { body, bytes, bearer, headers = {}, signal }: Sent): Promise<Response> {
    if (bearer) await this.#demandProof();
    const told: Record<string, string> = { "Accept-Language": this.language, ...headers };
    if (body) told["Content-Type"] = "application/json";
    if (bearer) told["Authorization"] = `Bearer ${bearer}`;
    const content = body ? JSON.stringify(body) : (bytes as BodyInit | undefined);
    try {
      return await this.way.ask(path, {
        method,
        headers: told,
        redirect: "manual",
        ...(content ? { body: content } : {}),
        ...(signal ? { signal } : {}),
      });
    } catch (fault) {
      this.#proven = false; // who comes back may be another
      const isLeft = (fault as Error).name === "AbortError" && !signal?.aborted; // the page, not the time
      if (fault instanceof CarddError || isLeft) throw fault;
      throw local("daemon.unreachable", this.way.where, this.language, fault);
    }
  }

  async #demandProof(): Promise<void> {
    const secret = this.#secret;
    if (this.way.proves || this.#proven || !secret || IS_PAGE) return; // a page, or another process's session, has nothing to ask with
    const crypto = this.#crypto;
    const challenge = hex(crypto.getRandomValues(new Uint8Array(32)));
    const answer = await this.send("GET", "/v1/status", {
      headers: { "Cardd-Challenge": `${secret.split(".")[0]} ${challenge}` },
    });
    if (!answer.ok) throw await refusal(answer, this.way.where, this.language);
    const text = new TextEncoder();
    const key = await crypto.subtle.importKey(
      "raw",
      await crypto.subtle.digest("SHA-256", text.encode(secret)),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    const message = text.encode(["cardd proof", challenge, this.way.where.replace("http://", "")].join("\0"));
    const proof = (answer.headers.get("Cardd-Proof") ?? "").match(/[0-9a-f]{2}/g)?.map((pair) => parseInt(pair, 16)) ?? [];
    if (!(await crypto.subtle.verify("HMAC", key, Uint8Array.from(proof), message)))
      throw local("daemon.unproven", this.way.where, this.language);
    this.#proven = true;
  }
}

/** One open session; `id` and `token` are all that another process of the same user needs. */
export class Session {
  readonly id: string;
  readonly token: string;
  readonly #path: string;

  constructor(
    readonly cardd: Cardd,
    readonly opened: Pick<Opened, "id" | "token"> & Partial<Opened>,
  ) {
    this.id = opened.id;
    this.token = opened.token ?? "";
    this.#path = `/v1/sessions/${encodeURIComponent(this.id)}`;
  }

  state = () => this.#call<Opened>("GET", "");

  situate = (id: string) => this.#call<Opened>("POST", "/situation", { body: { id } });

  /** Sign one document once the user agrees: raw, or as `form` says ({ format: "cades", … }). */
  sign(name: string, form: Form & { format?: "raw" }): Promise<RawSignature>;
  sign(name: string, form: Form): Promise<Signature>;
  sign(name: string, { document, digest, ...form }: Form): Promise<Signature> {
    const item = { document_name: name, ...(document && { document: toBase64(document) }), ...form };
    return this.#call("POST", "/signatures", { body: { ...item, ...(digest && { digest: toBase64(digest) }) }, twice: true });
  }

  /** Have the session hold a document, 100 MiB at most; a signature names it by `document_id`. */
  handOver = (document: Uint8Array) =>
    this.#call<Schemas["DocumentAnswer"]>("POST", "/documents", {
      bytes: document,
      headers: { "Content-Type": "application/octet-stream" },
    });

  /** A document that the session holds. */
  async fetch(id: string): Promise<Uint8Array> {
    const answer = await this.#send("GET", `/documents/${encodeURIComponent(id)}`);
    if (!answer.ok) throw await refusal(answer, this.cardd.way.where, this.cardd.language);
    return new Uint8Array(await answer.arrayBuffer());
  }

  /** A VIHF or an INSi assertion, as the text that goes into the message unchanged. */
  async assertion(wanted: Schemas["VihfBody"] | Schemas["InsiBody"]): Promise<string> {
    const told = await this.#call<Schemas["AssertionAnswer"]>("POST", "/assertions", { body: wanted, twice: true });
    return new TextDecoder().decode(fromBase64(told.assertion));
  }

  authToken = (nonce: string) =>
    this.#call<Schemas["AuthTokenAnswer"]>("POST", "/auth-tokens", { body: { nonce }, twice: true });

  /** Ask a configured server over TLS with this session's key; its own answer has the header Cardd-Upstream. */
  relay = (name: string, path: string, { method = "POST", body, headers = {} }: {
    method?: string;
    body?: Uint8Array;
    headers?: Record<string, string>;
  } = {}) => this.#send(method, `/upstreams/${encodeURIComponent(name)}/${path}`, { headers, ...(body && { bytes: body }) });

  /** Log out: the PIN is forgotten and the card de-authenticated when this returns. */
  close = () => this.#call<void>("DELETE", "");

  #call<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    return this.cardd.call<T>(method, this.#path + path, { ...sent, bearer: this.token });
  }

  #send(method: string, path: string, sent: Sent = {}): Promise<Response> {
    return this.cardd.send(method, this.#path + path, { ...sent, bearer: this.token });
  }
}

/** Bytes as the API writes them. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** Bytes that the API wrote. */
export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const LOCAL = {
  "request.invalid": { fr: "cardd est sur cette machine : http://127.0.0.1:PORT", en: "cardd is on this machine: http://127.0.0.1:PORT" },
  "daemon.unreachable": { fr: "cardd ne répond pas", en: "cardd does not answer" },
  "daemon.unproven": {
    fr: "Ce qui répond là n'est pas le cardd de cet appairage ; rien ne lui a été dit",
    en: "What answers there is not the cardd of this pairing; it was told nothing",
  },
  "daemon.socket_exposed": {
    fr: "Un autre utilisateur a pu placer là ce socket ; rien ne lui a été envoyé",
    en: "Another user could have put this socket there; nothing was sent to it",
  },
  "client.secret_exposed": {
    fr: "D'autres peuvent lire ce fichier : désappairez le programme (« cardctl clients »), supprimez le fichier, puis relancez le programme",
    en: "Others may read this file: unpair the program (“cardctl clients”), remove the file, and start the program again",
  },
  "client.secret_unavailable": {
    fr: "Ce fichier ne peut être lu ou écrit, et le secret du programme n'y est pas conservé",
    en: "This file cannot be read or written, and the program's secret is not kept in it",
  },
} satisfies Record<string, Record<Language, string>>;

/** What this library refuses by itself, with cardd's code for it; `where` is an address or a file. */
export function local(code: keyof typeof LOCAL, where: string, language: Language, cause?: unknown): CarddError {
  return new CarddError(code, { title: LOCAL[code][language], detail: `(${where})` }, cause === undefined ? {} : { cause });
}

async function refusal(answer: Response, where: string, language: Language): Promise<CarddError> {
  const problem = (await answer.json().catch(() => ({}))) as Partial<Schemas["Problem"]>;
  return problem.code ? new CarddError(problem.code, problem) : local("daemon.unreachable", where, language);
}

async function read(answer: Response, where: string, language: Language): Promise<unknown> {
  try {
    return await answer.json();
  } catch (fault) {
    throw local("daemon.unreachable", where, language, fault);
  }
}

/** The way over the port, for pages. */
function loopback(url: string, language: Language): Way {
  if (!LOOPBACK.test(url)) throw local("request.invalid", url, language);
  const where = url.replace(/\/$/, "").replace("//localhost:", "//127.0.0.1:");
  return { where, proves: false, ask: (path, request) => fetch(where + path, { ...request, ...leaving() }) };
}

/** The module for pages, which is loaded where a page needs it. */
async function pageAt(where: string, language: Language, rights: Options["rights"]): Promise<Page> {
  const { Cardd: OfPages } = await import("./cardd.js");
  return new OfPages({ bases: [where], language, ...(rights && { rights }) });
}

let left: AbortController | undefined;

/** Ends the requests of a page that is left: its browser may keep it for "Back", and a dialog would stay open. */
function leaving(): { signal?: AbortSignal } {
  if (!IS_PAGE) return {};
  if (!left) addEventListener("pagehide", () => { left?.abort(); left = new AbortController(); });
  left ??= new AbortController();
  return { signal: left.signal };
}
