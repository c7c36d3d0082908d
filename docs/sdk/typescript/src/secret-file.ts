// The client secret of a program in Node between two runs: in a file that nobody but the program's own user can read.

import { constants } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CarddError, local, type About, type Cardd, type Language, type Pairing } from "./index.js";

const PAUSE = 100; // milliseconds between two looks whether another process has done with it
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

/** Wait until no other process of this program pairs; a lock whose process has ended is taken away. */
async function alone(file: string, language: Language): Promise<() => Promise<void>> {
  const lock = `${file}.pairing`;
  const fresh = `${lock}.${process.pid}`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(fresh, (await lifeOf(process.pid)) ?? `${process.pid}`, { mode: 0o600 });
    while (!(await taken(fresh, lock))) {
      await new Promise((done) => setTimeout(done, PAUSE));
      const owner = await readFile(lock, "ascii").catch(() => "");
      if (owner && owner !== (await lifeOf(parseInt(owner)))) await rm(lock, { force: true });
    }
    return () => rm(lock, { force: true });
  } catch (fault) {
    throw local("client.secret_unavailable", file, language, fault);
  } finally {
    await rm(fresh, { force: true }).catch(() => undefined);
  }
}

/** Whether this process has the lock now: it appears whole, or not at all. */
async function taken(fresh: string, lock: string): Promise<boolean> {
  try {
    await link(fresh, lock);
    return true;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fault;
  }
}

/** A process's number and when it began, which tell it from a later one of the same number; undefined when it has ended. */
async function lifeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  const begun = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return begun && `${pid} ${begun}`;
}
