// What oidc-provider 9 uses and Debian 12's node (18) lacks or hides; newer ones have it all.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
