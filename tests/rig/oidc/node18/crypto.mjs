export * from "node:crypto";
export { default } from "node:crypto";
import { createHash } from "node:crypto";

export function hash(algorithm, data, encoding = "hex") {
  const digest = createHash(algorithm).update(data).digest();
  return encoding === "buffer" ? digest : digest.toString(encoding);
}
