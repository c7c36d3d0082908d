// Gives oidc-provider our node:crypto, which has the function that it misses: node's own takes no additions.
const OURS = new URL("crypto.mjs", import.meta.url).href;

export async function resolve(specifier, context, next) {
  const wants = specifier === "node:crypto" && context.parentURL?.includes("/oidc-provider/");
  return wants ? { url: OURS, format: "module", shortCircuit: true } : next(specifier, context);
}
