// The client secret of a program in Node between two runs: in a file that nobody but the program's own user can read.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CarddError, local, type About, type Cardd, type Language, type Pairing } from "./index.js";

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Where the secret of a program is kept: `~/.config/SOFTWARE_ID/cardd-secret`. */
export function secretFile(softwareId: string): string {
  const named = process.env["XDG_CONFIG_HOME"] ?? "";
  return join(named.startsWith("/") ? named : join(homedir(), ".config"), softwareId.replace(/[/:]/g, "_"), "cardd-secret");
}

/** Remove the secret, after the program was unpaired. */
export const forget = (file: string): Promise<void> => rm(file, { force: true });

/**
 * Pair, unless an earlier run did. Processes that come at the same time ask the user once. Over the socket a program that
 * was unpaired meanwhile is paired anew; over the port that throws `client.unknown`, because another program that took it
 * could say so: `forget` the file when the user agrees.
 */
export async function pairOnce(
  cardd: Cardd,
  about: About,
  onCode: (pairing: Pairing) => void,
  file = secretFile(about.software_id),
): Promise<void> {
  const secret = await load(file, cardd.language);
  if (await isTaken(cardd, secret)) return;
  const release = await alone(file, cardd.language);
  try {
    const another = await load(file, cardd.language);
    if (another !== secret && (await isTaken(cardd, another))) return;
    await save(file, await cardd.pair(about, onCode), cardd.language);
  } finally {
    await release();
  }
}

async function isTaken(cardd: Cardd, secret: string | undefined): Promise<boolean> {
  cardd.secret = secret;
  if (!secret) return false;
  try {
    await cardd.methods();
    return true;
  } catch (refused) {
    cardd.secret = undefined;
    if (cardd.way.proves && refused instanceof CarddError && refused.code === "client.unknown") return false;
    throw refused;
  }
}

async function load(file: string, language: Language): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, READ);
    const found = await handle.stat();
    if (!found.isFile()) throw local("client.secret_unavailable", file, language);
    if (found.uid !== process.geteuid?.() || found.mode & 0o077) throw local("client.secret_exposed", file, language);
    return (await handle.readFile("ascii")).trim() || undefined;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fault instanceof CarddError ? fault : local("client.secret_unavailable", file, language, fault);
  } finally {
    await handle?.close();
  }
}

async function save(file: string, secret: string, language: Language): Promise<void> {
  const fresh = `${file}.${process.pid}`;
  try {
    await rm(fresh, { force: true });
    const handle = await open(fresh, "wx", 0o600); // its mode from the start
    try {
      await handle.writeFile(secret);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (fault) {
    throw local("client.secret_unavailable", file, language, fault);
  }
}

const LOCK = 'umask 077 && exec flock "$0" sh -c "echo && cat"'; // until its input ends, as it does with this process

/** Wait until no other process of this program pairs, in whatever language; by flock(1), because Node has no flock(2). */
async function alone(file: string, language: Language): Promise<() => Promise<void>> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const held = spawn("sh", ["-c", LOCK, `${file}.lock`], { stdio: ["pipe", "pipe", "ignore"] });
    const ended = once(held, "exit");
    await Promise.race([once(held.stdout, "data"), ended.then(() => Promise.reject(new Error("flock")))]);
    return async () => {
      held.stdin.end();
      await ended;
    };
  } catch (fault) {
    throw local("client.secret_unavailable", file, language, fault);
  }
}
