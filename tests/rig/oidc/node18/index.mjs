// What oidc-provider 9 uses and Debian 12's node (18) lacks or hides; newer ones have it all.
import * as crypto from "node:crypto";
import { register } from "node:module";

globalThis.crypto ??= crypto.webcrypto;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
if (!crypto.hash) register("./hook.mjs", import.meta.url);
