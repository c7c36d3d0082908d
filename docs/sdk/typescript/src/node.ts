// For programs in Node, on Linux: the way over cardd's socket, where nobody but the service can listen.

import { webcrypto } from "node:crypto";
import { lstat, realpath } from "node:fs/promises";
import { request as ask, type IncomingMessage } from "node:http";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { Cardd, local, type Language, type Options, type Way } from "./index.js";

export { forget, pairOnce, secretFile } from "./secret-file.js";

export const SOCKET = "/run/cardd/cardd.sock";
const ROOT = 0;

/** cardd at its socket, or `at` another address; nothing is sent yet. */
export function connect({ socket = SOCKET, language = "fr", ...rest }: Options & { socket?: string } = {}): Cardd {
  return new Cardd({ at: overSocket(socket, language), language, crypto: webcrypto, ...rest });
}

function overSocket(socket: string, language: Language): Way {
  return {
    where: socket,
    proves: true,
    async ask(path, request) {
      const place = await realpath(socket);
      if (await isOfStranger(place)) throw local("daemon.socket_exposed", socket, language);
      return await over(place, path, request);
    },
  };
}

/**
 * Whether a user who is neither root nor this one could have put the socket there. In a folder into which everybody may
 * write, nothing counts but what a trusted user owns under the sticky bit; whom a trusted user gave a folder is trusted.
 */
async function isOfStranger(place: string): Promise<boolean> {
  const ways = [place];
  while (ways[0] !== "/") ways.unshift(dirname(ways[0] ?? "/"));
  const trusted = new Set([ROOT, process.geteuid?.() ?? ROOT]);
  let [isOpen, isSticky] = [false, true];
  for (const way of ways) {
    const found = await lstat(way);
    if (isOpen && !(trusted.has(found.uid) && isSticky)) return true;
    trusted.add(found.uid);
    [isOpen, isSticky] = [Boolean(found.mode & 0o002), Boolean(found.mode & 0o1000)];
  }
  return false;
}

function over(socketPath: string, path: string, { method = "GET", headers, body, signal }: RequestInit): Promise<Response> {
  const told = headers as Record<string, string>;
  return new Promise((resolve, reject) => {
    const asked = ask({ socketPath, path, method, headers: told, ...(signal ? { signal } : {}) }, (answer) => {
      resolve(response(answer));
    });
    asked.on("error", reject);
    asked.end(body as string | Uint8Array | undefined);
  });
}

function response(answer: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders: raw } = answer;
  const headers = new Headers();
  for (let at = 0; at + 1 < raw.length; at += 2) headers.append(raw[at] ?? "", raw[at + 1] ?? "");
  if (status === 204 || status === 304) answer.resume();
  const content = status === 204 || status === 304 ? null : (Readable.toWeb(answer) as ReadableStream);
  return new Response(content, { status, headers });
}
