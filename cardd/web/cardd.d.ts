// The types of cardd.js, and why it is as it is. What the API's answers contain: /openapi.json and docs/api.md.
// It needs Chromium or Edge 145, Firefox 140 or newer.

export type Right = "detect" | "holder" | "authenticate" | "sign" | "relay";

/** How cardd stands to this page; `text` says what the person is to do, where it is they who can do something. */
export type Found =
  | { state: "ready" | "consent" | "unasked" | "denied" | "absent"; text: string }
  /** The browser's question is open; `answered` becomes what came of it, within two minutes. */
  | { state: "asking"; text: string; answered: Promise<Found> }
  /**
   * By the page itself: its CSP (`add` is the line that it lacks), its frame without `allow`, or http; or by its browser
   * (`storage`), which keeps nothing for this site, so that the page can have no key.
   */
  | { state: "blocked"; reason: "csp" | "frame" | "insecure" | "storage"; text: string; add?: string }
  /** What holds the port takes connections and did not answer within five seconds. */
  | { state: "silent"; text: string }
  | { state: "refused"; code: string; text: string }
  | { state: "old"; version: string; text: string };

export interface Options {
  /**
   * Where cardd listens; by default port 17463 of 127.0.0.1 and of localhost, which is both families: a
   * Content-Security-Policy cannot name [::1].
   */
  bases?: string[];
  /** The language of what a person reads; by default the page's. */
  language?: string;
  /** The rights that this page wants; by default to log in and to have documents signed. */
  rights?: Right[];
}

/** How a call that takes long is given up: its dialog closes, and it fails with the signal's reason. */
export interface Abortable {
  signal?: AbortSignal;
}

/** `onProgress` is told how many bytes of the document have gone, several times a second. */
export interface Sending extends Abortable {
  onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
}

/** What the person does on their mobile, or at `url`, which is of http or https. */
export interface Pending {
  digits?: string;
  url?: string;
  secondsLeft: number;
}

export type Login = (
  | { method?: "cpx"; card?: string }
  | { method: "csa"; acting: object }
  | { method: "ecps"; login_hint?: string; flow?: "browser" }
) & { situation?: string; onPending?: (pending: Pending) => void } & Abortable;

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

/** A document is bytes, never text: encode it first, in the encoding that it is to have. */
export type Bytes = Blob | ArrayBuffer | ArrayBufferView;

export declare class CarddError extends Error {
  /** An API's code, or `page.` and a state of find(); `message` is written for the person at the screen. */
  readonly code: string;
  readonly problem: { title?: string; detail?: string; remedy?: string; retryable?: boolean; [more: string]: unknown };
}

/**
 * The daemon on this machine. Its events (`hello`, `card.removed`, …) are dispatched here, with their data as `detail`;
 * besides them `entered`, when the page was let in, and `disconnected`, when there is no stream, with the CarddError if
 * there is one. The requests of a page that is left end, and their dialogs with them: a browser may keep it for "Back".
 */
export declare class Cardd extends EventTarget {
  constructor(options?: Options);
  /**
   * How cardd stands to this page, within five seconds. Without the person's click it opens no question of the browser's;
   * it never has cardd ask.
   */
  find(): Promise<Found>;
  /**
   * Have the person let this site in, where they have not yet; with `ask: false` nobody is asked (`page.consent_needed`).
   * Every call does it by itself.
   */
  enter(
    how?: { ask?: boolean } & Abortable,
  ): Promise<{ origin: string; rights: Right[]; token: string; expires_at: string; until?: string }>;
  /** Log in, by card where nothing is said; `onPending` is called each second while the person must act elsewhere. */
  login(how?: Login): Promise<Session>;
  /**
   * Dispatch events from now on, over a WebSocket, which takes none of the six connections that a browser has for one
   * host. The stream comes back after a restart of cardd; it asks nobody, and waits until the page is let in by a call
   * that the person clicked for. Who calls it again hears the stream that is open, and no `hello` of their own. Return what
   * ends that; the stream ends with the last of them.
   */
  listen(): () => void;
  /**
   * One call of the API (docs/api.md); what is no JSON comes as the Response. With `once` it is sent again after a broken
   * connection, and done once. With `ask: false` it opens no dialog for this site.
   */
  call(
    method: string,
    path: string,
    sent?: { body?: object; bytes?: Bytes; token?: string; once?: boolean; ask?: boolean } & Sending,
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
  authToken(nonce: string, how?: Abortable): Promise<AuthToken>;
  /** Sign a document under the name that the person is shown; `form` is `{format: "cades", …}`, raw without one. */
  sign(name: string, document: Bytes, form?: { [field: string]: unknown } & Sending): Promise<Signature>;
  /** Have the session hold a document of up to 100 MiB; a signature names it by `document_id`. */
  handOver(document: Bytes, how?: Sending): Promise<{ id: string; [more: string]: unknown }>;
  /** A signed document that the session holds. */
  fetch(id: string, how?: Abortable): Promise<Uint8Array>;
  /** Log out: the PIN is forgotten when this returns. */
  close(): Promise<void>;
}

/** For port 17463, in the page's language; undefined where there is no page, as on a server that renders pages. */
export declare const cardd: Cardd;
