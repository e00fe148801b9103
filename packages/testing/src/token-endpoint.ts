/**
 * The token server's one endpoint (CNCF Distribution auth specs "token" and "oauth").
 *
 * Rules of this file: a user gets the part of the asked scopes that was declared for them, an anonymous caller what is
 * public; a wrong credential is refused, never taken for anonymous. What is asked for an unknown service is issued for that
 * service: the registry is the one that will not take it (Q12).
 */

import { type Access, formatScopes, parseScopes, readBasic, type Scope, type Subject } from './access.ts';
import { empty, type Handler, json, type Received, type Reply } from './reply.ts';
import { allow, canary } from './tap.ts';
import type { TokenFormat } from './tokens.ts';

/** How the token server words a refusal (Q40). `oauth` is RFC 6749 §5.2, with its status 400; the others say 401. */
export type ErrorShape = 'oci' | 'oauth' | 'details' | 'text' | 'html';

export interface TokenOptions {
  /** Default `opaque`. */
  readonly format?: 'opaque' | 'jwt';
  /** Seconds a token lives. `null` leaves `expires_in` out, and the token lives the 60 s that means. Default 300. */
  readonly expiresIn?: number | null;
  /** Each use of a refresh token ends it and returns another. Default false. */
  readonly rotateRefreshTokens?: boolean;
  /** Default `oci` for GET and `oauth` for POST. */
  readonly errors?: ErrorShape;
}

export interface TokenEndpoint {
  readonly handler: Handler;
  /** A token, as the endpoint would issue it. */
  issue(
    subject: Subject,
    service: string,
    asked: readonly Scope[],
  ): { token: string; granted: readonly Scope[] };
}

export interface TokenEndpointSetting {
  readonly access: Access;
  readonly format: TokenFormat;
  readonly issuer: string;
  readonly clock: () => number;
  readonly options: TokenOptions;
  /** Whether POST is there at all; else it answers 404, which sends clients to GET (requirement 63). */
  readonly post: boolean;
  /** Where a refresh token may be sent. */
  readonly self: string;
  /** Where an access token may be sent. */
  readonly registry: string;
}

/** Seconds a token lives when nobody says (requirement 71). */
const UNSTATED_LIFETIME = 60;

export function createTokenEndpoint(setting: TokenEndpointSetting): TokenEndpoint {
  const { access, format, issuer, clock, options, self, registry } = setting;
  const { expiresIn = 300, rotateRefreshTokens = false } = options;
  const refreshTokens = new Map<string, Subject>();
  for (const token of access.secrets.identityTokens) refreshTokens.set(token, access.owner(token));

  function issue(subject: Subject, service: string, asked: readonly Scope[]) {
    const notBefore = Math.floor(clock() / 1_000);
    const granted = access.grant(subject, asked);
    const token = format.encode({
      issuer,
      subject,
      audience: service,
      notBefore,
      expires: notBefore + (expiresIn ?? UNSTATED_LIFETIME),
      access: granted,
    });
    allow(token, registry);
    return { token, granted };
  }

  function refreshTokenFor(subject: Subject): string {
    const token = canary('refresh token');
    refreshTokens.set(token, subject);
    allow(token, self);
    return token;
  }

  const life = () => ({
    ...(expiresIn === null ? {} : { expires_in: expiresIn }),
    issued_at: new Date(clock()).toISOString(),
  });

  function get({ url, headers }: Received): Reply {
    const basic = readBasic(headers['authorization']);
    const query = url.searchParams;
    if (headers['authorization'] !== undefined) {
      if (basic === null || !access.authenticate(basic.username, basic.password)) {
        return refusal(options.errors ?? 'oci', 'invalid_grant');
      }
    }
    // Q37: docker_auth refuses an account that is not the one that authenticates.
    const account = query.get('account');
    if (basic !== null && account !== null && account !== basic.username) {
      return { ...empty(400), body: Buffer.from('user and account are not the same') };
    }
    const subject = basic?.username ?? null;
    const { token } = issue(subject, query.get('service') ?? '', query.getAll('scope').flatMap(parseScopes));
    const offline = query.get('offline_token') === 'true' && subject !== null;
    return json(200, {
      token,
      access_token: token,
      ...life(),
      ...(offline ? { refresh_token: refreshTokenFor(subject) } : {}),
    });
  }

  async function post(request: Received): Promise<Reply> {
    const form = new URLSearchParams(Buffer.from(await request.body()).toString());
    const field = (name: string) => form.get(name) ?? '';
    const shape = options.errors ?? 'oauth';
    if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
      return refusal(shape, 'invalid_request');
    }
    if (field('service') === '' || field('client_id') === '') return refusal(shape, 'invalid_request');

    let subject: Subject = null;
    let next: string | null = null;
    switch (field('grant_type')) {
      case 'password':
        if (!access.authenticate(field('username'), field('password')))
          return refusal(shape, 'invalid_grant');
        subject = field('username');
        if (field('access_type') === 'offline') next = refreshTokenFor(subject);
        break;
      case 'refresh_token': {
        subject = refreshTokens.get(field('refresh_token')) ?? null;
        if (subject === null) return refusal(shape, 'invalid_grant');
        if (rotateRefreshTokens) {
          refreshTokens.delete(field('refresh_token'));
          next = refreshTokenFor(subject);
        }
        break;
      }
      default:
        return refusal(shape, 'unsupported_grant_type');
    }
    const { token, granted } = issue(subject, field('service'), parseScopes(field('scope')));
    return json(200, {
      access_token: token,
      scope: formatScopes(granted),
      ...life(),
      ...(next === null ? {} : { refresh_token: next }),
    });
  }

  return {
    issue,
    handler(request) {
      if (request.url.pathname !== TOKEN_PATH) return empty(404);
      if (request.method === 'GET') return get(request);
      if (request.method === 'POST' && setting.post) return post(request);
      return empty(404);
    },
  };
}

/** Path of the endpoint. */
export const TOKEN_PATH = '/token';

function refusal(shape: ErrorShape, error: string): Reply {
  const text = error === 'invalid_grant' ? 'incorrect username or password' : 'request not understood';
  const status = shape === 'oauth' || error !== 'invalid_grant' ? 400 : 401;
  const challenge = status === 401 ? { 'WWW-Authenticate': 'Basic realm="token server"' } : {};
  const plain = (type: string, body: string): Reply => ({
    ...empty(status, { 'Content-Type': type, ...challenge }),
    body: Buffer.from(body),
  });
  switch (shape) {
    case 'oci':
      return json(status, { errors: [{ code: 'UNAUTHORIZED', message: text, detail: null }] }, challenge);
    case 'oauth':
      return json(status, { error, error_description: text }, challenge);
    case 'details':
      return json(status, { details: text }, challenge);
    case 'text':
      return plain('text/plain', `Auth failed: ${text}.\n`);
    case 'html':
      return plain(
        'text/html',
        `<html><head><title>${status}</title></head><body><h1>${text}</h1></body></html>`,
      );
  }
}
