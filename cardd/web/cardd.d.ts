// The types of cardd.js. What the API's answers contain is described by /openapi.json and docs/api.md.

export type Right = "detect" | "holder" | "authenticate" | "sign" | "relay";

/** How cardd stands to this page. */
export type Found =
  | { state: "ready" | "consent" | "unasked" | "denied" | "absent"; text: string } // text says what the person is to do
  /** The browser's question is open; `answered` becomes what came of it. */
  | { state: "asking"; text: string; answered: Promise<Found> }
  /** By the page itself: its CSP (`add` is the line that it lacks), its frame without `allow`, or http. */
  | { state: "blocked"; reason: "csp" | "frame" | "insecure"; text: string; add?: string }
  | { state: "refused"; code: string; text: string }
  | { state: "old"; version: string; text: string };

export interface Options {
  /** Where cardd listens, on both families; by default port 17463. */
  bases?: string[];
  /** The language of what a person reads; by default the page's. */
  language?: string;
  /** The rights that this page wants; by default to log in and to have documents signed. */
  rights?: Right[];
}

/** What the person does on their mobile, or at `url`. */
export interface Pending {
  digits?: string;
  url?: string;
  secondsLeft: number;
}

export type Login = (
  | { method: "cpx"; card?: string }
  | { method: "csa"; acting: object }
  | { method: "ecps"; login_hint?: string; flow?: "browser" }
) & { situation?: string; onPending?: (pending: Pending) => void };

export interface Identity {
  national_id: string;
  family_name: string;
  given_name: string;
  [more: string]: unknown;
}

export interface Signature {
  format?: string;
  signature?: string;
  document_id?: string;
  [more: string]: unknown;
}

export interface AuthToken {
  unverifiedCertificate: string;
  algorithm: string;
  signature: string;
  format: string;
  appVersion: string;
}

export declare class CarddError extends Error {
  /** An API's code, or `page.` and a state of find(); `message` is written for the person at the screen. */
  readonly code: string;
  readonly problem: { title?: string; detail?: string; remedy?: string; retryable?: boolean; [more: string]: unknown };
}

/** The daemon on this machine. Its events (`hello`, `card.removed`, …) are dispatched here, with their data as `detail`. */
export declare class Cardd extends EventTarget {
  constructor(options?: Options);
  /**
   * How cardd stands to this page, without waiting for a time-out. Without the person's click it opens no question of the
   * browser's; it never has cardd ask.
   */
  find(): Promise<Found>;
  /** Have the person let this site in, where they have not yet. Every call does it by itself. */
  enter(): Promise<{ origin: string; rights: Right[]; expires_at: string; until?: string }>;
  /** Log in; `onPending` is called each second while the person must act on their mobile or in the browser. */
  login(how?: Login): Promise<Session>;
  /** Dispatch events from now on, over a restart of cardd too (`disconnected`, then `hello`); return what ends that. */
  listen(how?: { socket?: boolean }): () => void;
  /**
   * One call of the API (docs/api.md); what is no JSON comes as the Response. With `once` it is sent again after a broken
   * connection, and done once.
   */
  call(
    method: string,
    path: string,
    sent?: { body?: object; bytes?: Uint8Array; token?: string; once?: boolean; signal?: AbortSignal },
  ): Promise<any>;
}

/** One open session of this page, as the API describes it. */
export declare class Session {
  readonly id: string;
  readonly state: "active" | "locked" | "pending";
  readonly identity: Identity;
  readonly expires_at: string;
  /** Ask how it stands now. */
  refresh(): Promise<this>;
  /** A web-eid token for the nonce of the portal's server, which verifies it. */
  authToken(nonce: string): Promise<AuthToken>;
  /** Sign a document under the name that the person is shown; `form` is `{format: "cades", …}`, raw without one. */
  sign(name: string, document: Uint8Array, form?: object): Promise<Signature>;
  /** Have the session hold a document of up to 100 MiB; a signature names it by `document_id`. */
  handOver(document: Uint8Array): Promise<{ id: string; [more: string]: unknown }>;
  /** A signed document that the session holds. */
  fetch(id: string): Promise<Uint8Array>;
  /** Log out: the PIN is forgotten when this returns. */
  close(): Promise<void>;
}

/** For port 17463, in the page's language. */
export declare const cardd: Cardd;
