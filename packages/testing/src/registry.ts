/**
 * A registry, its token server and its blob server, in memory on loopback.
 *
 * Rules of this file: it wires parts together; what a part does is said in its own file. Each of the three servers has an
 * origin of its own; the token endpoint also answers on the registry's, for realms that are there.
 */

import { createAccess, parseScopes, type Repositories, type Users } from './access.ts';
import { answerBlob, blobServer, signedUrl } from './blobs.ts';
import { createServerCertificate } from './certificate.ts';
import type { CorsOptions } from './cors.ts';
import { createFaults, type Fault, type Faults } from './faults.ts';
import { type Auth, createGuard } from './guard.ts';
import { listReferrers, listRepositories, listTags } from './listings.ts';
import { createLog, type LoggedRequest, matches, type RequestFilter } from './log.ts';
import { answerManifest } from './manifests.ts';
import { type Handler, json, type Reply, registryError } from './reply.ts';
import { needsOf, type Route, repository as repositoryScope, routeOf } from './routes.ts';
import { listen } from './server.ts';
import { createStorage } from './storage.ts';
import { allow } from './tap.ts';
import { createTokenEndpoint, TOKEN_PATH, type TokenOptions } from './token-endpoint.ts';
import { createSigningKey, opaqueTokens, signedTokens } from './tokens.ts';
import { beginUpload, continueUpload } from './uploads.ts';

export interface RegistryOptions {
  readonly auth: Auth;
  readonly users?: Users;
  readonly repositories?: Repositories;
  readonly faults?: readonly Fault[];
  /** Cross-origin headers and preflights. Default: none. */
  readonly cors?: boolean | CorsOptions;
  /** HTTPS under a throwaway authority; `names` are certified beside 127.0.0.1, ::1 and localhost. Default: HTTP. */
  readonly tls?: boolean | { readonly names: readonly string[] };
  /** Epoch milliseconds, for the life of tokens and the log. Default `Date.now`. */
  readonly clock?: () => number;
  readonly tokens?: TokenOptions;
  /** What the challenge calls the registry; `null` leaves it out. Default `test-registry`. */
  readonly service?: string | null;
  /** Redirects blob downloads to the blob server. Default false. */
  readonly redirectBlobs?: boolean;
}

export interface Registry {
  /** The registry's origin: `http://127.0.0.1:port`. */
  readonly url: string;
  /** `127.0.0.1:port`, as credentials are filed. */
  readonly host: string;
  /** The realm: origin and path of the token server. */
  readonly tokenUrl: string;
  /** Origin of the blob server. */
  readonly blobsUrl: string;
  readonly service: string | null;
  /** Origins of registry and token server, as a policy wants them. */
  readonly pair: { readonly registry: string; readonly realm: string };
  /** The authority to trust, as PEM; `null` over HTTP. */
  readonly ca: string | null;
  /** Every request to the three servers in order of arrival; it grows. */
  readonly requests: readonly LoggedRequest[];
  /** How many requests `filter` means. */
  count(filter?: RequestFilter): number;
  readonly faults: Faults;
  /** A token the registry takes, without asking the token server. `scope` as in a challenge. */
  issueToken(user: string | null, scope: string): string;
  /** Ends every connection and frees the ports. */
  close(): Promise<void>;
}

const ISSUER = 'test-issuer';

/** Endpoints that can only be read. */
const LISTS: ReadonlySet<Route['kind']> = new Set(['ping', 'catalog', 'tags', 'referrers']);

/** Starts a registry on free loopback ports. The caller closes it. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { auth, users = {}, repositories = {}, clock = Date.now, service = 'test-registry' } = options;
  const log = createLog(clock);
  const faults = createFaults(options.faults);
  const certificate = options.tls
    ? createServerCertificate(options.tls === true ? [] : options.tls.names)
    : null;
  const surroundings = { log, faults, cors: options.cors ?? false, certificate };
  const registry = await listen('registry', surroundings);
  const tokenServer = await listen('token', surroundings);
  const blobs = await listen('blobs', surroundings);
  const realm = `${tokenServer.origin}${TOKEN_PATH}`;

  const access = createAccess(users, repositories);
  const format = options.tokens?.format === 'jwt' ? signedTokens(await createSigningKey()) : opaqueTokens();
  const tokens = createTokenEndpoint({
    access,
    format,
    issuer: ISSUER,
    clock,
    options: options.tokens ?? {},
    post: auth === 'oauth2',
    self: tokenServer.origin,
    registry: registry.origin,
  });
  for (const password of access.secrets.passwords) {
    allow(password, auth === 'basic' ? registry.origin : tokenServer.origin);
  }
  for (const token of access.secrets.identityTokens) allow(token, tokenServer.origin);

  const storage = createStorage(repositories);
  const guard = createGuard({ auth, access, format, issuer: ISSUER, realm, service, clock });
  const redirect = options.redirectBlobs
    ? (repository: string, digest: string) => signedUrl(blobs.origin, repository, digest)
    : null;

  const distribution: Handler = (request) => {
    const route = routeOf(request.url.pathname);
    if (route === null) return registryError(404, 'NOT_FOUND', 'no such endpoint');
    const decision = guard(request, needsOf(route, request.method, request.url.searchParams));
    if (!decision.granted) return decision.reply;
    const mayRead = (name: string) => decision.may(repositoryScope(name, ['pull']));
    return answer(route, request, mayRead);
  };

  function answer(
    route: Route,
    request: Parameters<Handler>[0],
    mayRead: (repository: string) => boolean,
  ): Reply | Promise<Reply> {
    const query = request.url.searchParams;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads && LISTS.has(route.kind))
      return registryError(405, 'UNSUPPORTED', 'the operation is unsupported');
    if (route.kind === 'ping') return json(200, {});
    if (route.kind === 'catalog') return listRepositories(storage, query);
    const writes = request.method === 'PUT' || request.method === 'POST';
    const repository = writes ? storage.open(route.name) : storage.find(route.name);
    if (repository === null) {
      return registryError(404, 'NAME_UNKNOWN', 'repository name not known to registry');
    }
    switch (route.kind) {
      case 'tags':
        return listTags(repository, query);
      case 'referrers':
        return listReferrers(repository, route.digest, query);
      case 'manifest':
        return answerManifest(repository, route.reference, request);
      case 'blob':
        return answerBlob(repository, route.digest, request, redirect);
      case 'uploads':
        return beginUpload(repository, request, storage, mayRead);
      case 'upload':
        return continueUpload(repository, route.id, request);
    }
  }

  registry.serve(async (request) => {
    const reply = await (request.url.pathname === TOKEN_PATH ? tokens.handler : distribution)(request);
    return { ...reply, headers: { 'Docker-Distribution-Api-Version': 'registry/2.0', ...reply.headers } };
  });
  tokenServer.serve(tokens.handler);
  blobs.serve(blobServer(storage));

  return {
    url: registry.origin,
    host: new URL(registry.origin).host,
    tokenUrl: realm,
    blobsUrl: blobs.origin,
    service,
    pair: { registry: registry.origin, realm: tokenServer.origin },
    ca: certificate?.ca ?? null,
    requests: log.entries,
    count: (filter = {}) => log.entries.filter((request) => matches(filter, request)).length,
    faults,
    issueToken: (user, scope) => tokens.issue(user, service ?? '', parseScopes(scope)).token,
    close: async () => {
      await Promise.all([registry.close(), tokenServer.close(), blobs.close()]);
    },
  };
}
