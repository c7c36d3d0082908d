// An OpenID provider that cardd's authors did not write (oidc-provider), set up like Pro Santé Connect.
//
// Started by provider.py: the first line of stdin is the setup, each further one a command ({"do": …}), stdout answers
// with one JSON line each. It ends with its stdin. All people and organisations in it are SIMULATIONs.
import "./node18/index.mjs";
import { createInterface } from "node:readline";
import { createServer } from "node:https";
import { X509Certificate } from "node:crypto";

console.warn = () => {}; // what it warns of is meant for a provider in production

const { Provider, errors } = await import("oidc-provider");

const PREFIX = "/auth/realms/esante-wallet"; // the path of PSC's issuer
const OIDC = "/protocol/openid-connect";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const LIFETIMES = { AccessToken: 120, RefreshToken: 1800, IdToken: 120, Session: 14400, Grant: 14400, Interaction: 600, AuthorizationCode: 60 };

const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value);
const waiting = new Map(); // login_hint -> the CIBA request
const firstUser = { account: setup.people[0].sub, acr: "eidas1" };
let browser = firstUser; // who the browser's user is
let keys = setup.jwks;

const known = (hint) => setup.people.find((person) => person.preferred_username === hint)?.sub;
const claimNames = [...new Set(setup.people.flatMap((person) => Object.keys(person)))].filter((name) => name !== "sub");

async function grantOf(provider, clientId, accountId, scope) {
  const grant = new provider.Grant({ clientId, accountId });
  grant.addOIDCScope(scope);
  await grant.save();
  return grant;
}

function configuration() {
  return {
    clients: setup.clients,
    jwks: { keys },
    cookies: { keys: ["SIMULATION"], long: { sameSite: "none" } },
    enableHttpPostMethods: true,
    // its own dispatcher refuses to call loopback, where the tests' back channel ends
    fetch: (url, { dispatcher: _guard, ...options }) => fetch(url, options),
    scopes: ["openid", "scope_all"],
    claims: { openid: ["sub"], scope_all: claimNames },
    acrValues: ["eidas1"],
    extraParams: ["channel"],
    ttl: { ...LIFETIMES, BackchannelAuthenticationRequest: setup.expires_in },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"],
    enabledJWA: {
      idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "HS256"],
      userinfoSigningAlgValues: ["RS256", "PS256", "ES256", "HS256"],
    },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    findAccount: async (_ctx, sub) => ({
      accountId: sub,
      claims: async () => setup.people.find((person) => person.sub === sub),
    }),
    loadExistingGrant: async (ctx) =>
      grantOf(ctx.oidc.provider, ctx.oidc.client.clientId, ctx.oidc.session.accountId, "openid scope_all"),
    interactions: { url: (_ctx, interaction) => `${PREFIX}/interaction/${interaction.uid}` },
    renderError: (ctx, out) => { ctx.type = "json"; ctx.body = out; },
    discovery: {
      mtls_endpoint_aliases: Object.fromEntries(
        [["token", "/token"], ["userinfo", "/userinfo"], ["backchannel_authentication", "/ext/ciba/auth"]]
          .map(([name, path]) => [`${name}_endpoint`, `https://localhost:${setup.mtls_port}${PREFIX}${OIDC}${path}`])),
    },
    routes: {
      authorization: `${OIDC}/auth`, token: `${OIDC}/token`, userinfo: `${OIDC}/userinfo`, jwks: `${OIDC}/certs`,
      end_session: `${OIDC}/logout`, backchannel_authentication: `${OIDC}/ext/ciba/auth`,
    },
    features: {
      devInteractions: { enabled: false },
      jwtUserinfo: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      ciba: {
        enabled: true,
        deliveryModes: ["poll"],
        processLoginHint: async (_ctx, hint) => known(hint),
        validateRequestContext: async () => {},
        validateBindingMessage: async (_ctx, message) => {
          if (!/^[0-9]{2}$/.test(message ?? "")) throw new errors.InvalidBindingMessage("two digits are wanted");
        },
        verifyUserCode: async () => {},
        triggerAuthenticationDevice: async (ctx, request) => {
          waiting.set(ctx.oidc.params.login_hint, request);
          const { login_hint, binding_message, channel, acr_values, scope } = ctx.oidc.params;
          setup.requests = [...(setup.requests ?? []), { login_hint, binding_message, channel, acr_values, scope }];
        },
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerCertificate().raw && new X509Certificate(ctx.socket.getPeerCertificate().raw),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, _property, expected) => ctx.socket.getPeerCertificate().subject.CN === expected,
      },
    },
  };
}

function withExchange(provider) {
  provider.registerGrantType(EXCHANGE, async (ctx) => {
    const token = await provider.AccessToken.find(ctx.oidc.params.subject_token);
    if (!token) throw new errors.InvalidGrant("subject_token is not known");
    const issued = new provider.AccessToken({
      accountId: token.accountId, client: ctx.oidc.client, grantId: token.grantId, gty: "exchange", scope: "openid",
    });
    const certificate = ctx.socket.getPeerCertificate?.().raw;
    if (certificate) issued.setThumbprint("x5t", new X509Certificate(certificate));
    ctx.body = {
      access_token: await issued.save(), token_type: "Bearer", expires_in: 120,
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    };
  }, ["subject_token", "subject_token_type", "requested_token_type", "audience"]);
  return provider;
}

function makeProvider() {
  const provider = withExchange(new Provider(setup.issuer, configuration()));
  provider.use(async (ctx, next) => {
    await next();
    // oidc-provider tells no interval; PSC does
    if (ctx.oidc?.route === "backchannel_authentication" && ctx.status === 200) ctx.body.interval = setup.interval;
  });
  provider.on("server_error", (_ctx, fault) => console.error(fault));
  provider.on("backchannel.error", (_ctx, fault) => console.error(fault));
  return { provider, answer: provider.callback() };
}

let current = makeProvider();

async function interact(request, response) {
  const { provider } = current;
  await provider.interactionDetails(request, response);
  const result = browser.error
    ? { error: browser.error, error_description: "SIMULATION" }
    : { login: { accountId: browser.account, acr: browser.acr }, consent: {} };
  await provider.interactionFinished(request, response, result);
}

function serve(request, response) {
  if (!request.url.startsWith(PREFIX)) return response.writeHead(404).end();
  request.originalUrl = request.url.replace("/wallet-openid-configuration", "/openid-configuration");
  request.url = request.originalUrl.slice(PREFIX.length);
  if (request.url.startsWith("/interaction/")) return interact(request, response).catch((fault) => response.writeHead(500).end(String(fault)));
  return current.answer(request, response);
}

const commands = {
  async approve({ login_hint, acr = "eidas1" }) {
    const request = waiting.get(login_hint);
    const grant = await grantOf(current.provider, request.clientId, request.accountId, "openid scope_all");
    await current.provider.backchannelResult(request, grant, { acr });
  },
  async deny({ login_hint }) {
    await current.provider.backchannelResult(waiting.get(login_hint), new errors.AccessDenied("SIMULATION"));
  },
  async browser(command) { browser = { ...browser, ...command.as }; },
  async rotate(command) { keys = command.keys; current = makeProvider(); },
  async clock({ offset }) { Date.now = () => realNow() + offset * 1000; },
  async thumbprint({ token }) { return (await current.provider.AccessToken.find(token))["x5t#S256"]; },
  async reset() {
    browser = firstUser;
    setup.requests = [];
    Date.now = realNow;
    if (keys !== setup.jwks) { keys = setup.jwks; current = makeProvider(); }
  },
  async requests() { return setup.requests ?? []; },
};
const realNow = Date.now;

function listen(port, requestCert) {
  const { key, cert, ca } = setup;
  const server = createServer({ key, cert, ca, requestCert, rejectUnauthorized: false }, serve);
  server.keepAliveTimeout = 60_000;
  return new Promise((done) => server.listen(port, "127.0.0.1", done));
}

await listen(setup.port, false);
await listen(setup.mtls_port, true);
tell({ ready: true });
for await (const line of lines) {
  const command = JSON.parse(line);
  try {
    tell({ done: (await commands[command.do](command)) ?? null });
  } catch (fault) {
    tell({ failed: String(fault?.stack ?? fault) });
  }
}
process.exit(0);
