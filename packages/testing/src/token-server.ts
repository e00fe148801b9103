/**
 * The token server alone, for a registry that is not ours: it signs JWTs that CNCF Distribution accepts.
 *
 * Rules of this file: as `registry.ts`, it only wires. The caller gives the certificate to the registry
 * (`auth.token.rootcertbundle`), with the realm, issuer and service from here.
 */

import { createAccess, type Repositories, type Users } from './access.ts';
import { createServerCertificate } from './certificate.ts';
import { createFaults, type Fault, type Faults } from './faults.ts';
import { createLog, type LoggedRequest, matches, type RequestFilter } from './log.ts';
import { listen } from './server.ts';
import { allow } from './tap.ts';
import { createTokenEndpoint, TOKEN_PATH, type TokenOptions } from './token-endpoint.ts';
import { createSigningKey, signedTokens } from './tokens.ts';

export interface TokenServerOptions {
  readonly users?: Users;
  /** Who may do what with which repository; their content is the registry's own. */
  readonly repositories?: Repositories;
  readonly faults?: readonly Fault[];
  readonly clock?: () => number;
  readonly tokens?: Omit<TokenOptions, 'format'>;
  /** Origin of the registry, where tokens may be sent. Left out, they may be sent nowhere a canary tap looks. */
  readonly registry?: string;
  /** HTTPS under a throwaway authority. Default: HTTP. */
  readonly tls?: boolean;
}

export interface TokenServer {
  /** The realm: origin and path. */
  readonly url: string;
  readonly issuer: string;
  readonly service: string;
  /** The signing certificate, for `rootcertbundle`. */
  readonly certificatePem: string;
  /** The authority to trust, as PEM; `null` over HTTP. */
  readonly ca: string | null;
  readonly requests: readonly LoggedRequest[];
  count(filter?: RequestFilter): number;
  readonly faults: Faults;
  close(): Promise<void>;
}

/** Starts a token server on a free loopback port. The caller closes it. */
export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const { users = {}, repositories = {}, clock = Date.now } = options;
  const issuer = 'test-issuer';
  const log = createLog(clock);
  const faults = createFaults(options.faults);
  const certificate = options.tls ? createServerCertificate() : null;
  const server = await listen('token', { log, faults, cors: false, certificate });
  const key = await createSigningKey();
  const access = createAccess(users, repositories);
  const endpoint = createTokenEndpoint({
    access,
    format: signedTokens(key),
    issuer,
    clock,
    options: options.tokens ?? {},
    post: true,
    self: server.origin,
    registry: options.registry ?? 'nowhere',
  });
  for (const secret of [...access.secrets.passwords, ...access.secrets.identityTokens]) {
    allow(secret, server.origin);
  }
  server.serve(endpoint.handler);
  return {
    url: `${server.origin}${TOKEN_PATH}`,
    issuer,
    service: 'test-registry',
    certificatePem: key.certificate.toString(),
    ca: certificate?.ca ?? null,
    requests: log.entries,
    count: (filter = {}) => log.entries.filter((request) => matches(filter, request)).length,
    faults,
    close: () => server.close(),
  };
}
