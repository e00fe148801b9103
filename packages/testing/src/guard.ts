/**
 * The registry's door: may this request do what it is about to do?
 *
 * Rules of this file: it decides from the `Authorization` header and the declared access alone, before any body is read,
 * and words its refusals as CNCF Distribution does: 401 with `error="insufficient_scope"` where RFC 6750 would say 403
 * (requirement 40), and no `error` when no token was sent.
 */

import { type Access, covers, formatScopes, readBasic, type Scope, type Subject } from './access.ts';
import { type Received, type Reply, registryError } from './reply.ts';
import type { Needs } from './routes.ts';
import { acceptToken, type TokenFormat } from './tokens.ts';

/** How a registry asks for authorization. `oauth2` is `bearer` with a token server that takes POST as well. */
export type Auth = 'none' | 'basic' | 'bearer' | 'oauth2';

/** Whether the request may go on; if so, what else it might do. */
export type Decision =
  | { readonly granted: true; readonly may: (scope: Scope) => boolean }
  | { readonly granted: false; readonly reply: Reply };

export interface GuardSetting {
  readonly auth: Auth;
  readonly access: Access;
  readonly format: TokenFormat;
  readonly issuer: string;
  readonly realm: string;
  /** `null` leaves it out of the challenge (Q11). */
  readonly service: string | null;
  readonly clock: () => number;
}

/** Judges one request. With nothing required, anyone known may. */
export type Guard = (request: Pick<Received, 'headers'>, needs: Needs) => Decision;

export function createGuard(setting: GuardSetting): Guard {
  const { access } = setting;

  function basic(authorization: string | undefined, { required }: Needs): Decision {
    const credential = readBasic(authorization);
    const known = credential !== null && access.authenticate(credential.username, credential.password);
    const subject: Subject = known ? credential.username : null;
    const may = (scope: Scope) => covers(access.grant(subject, [scope]), scope);
    const open = authorization === undefined && required.length > 0 && required.every(may);
    if (!known && !open) return refuse(401, { 'WWW-Authenticate': 'Basic realm="registry"' });
    return required.every(may) ? { granted: true, may } : refuse(403);
  }

  function bearer(authorization: string | undefined, needs: Needs): Decision {
    const [scheme = '', token = ''] = (authorization ?? '').split(' ', 2);
    if (scheme.toLowerCase() !== 'bearer') return refuse(401, challenge(needs, null));
    const claims = acceptToken(setting.format, token, {
      issuer: setting.issuer,
      audience: setting.service ?? '',
      now: setting.clock(),
    });
    if (claims === null) return refuse(401, challenge(needs, 'invalid_token'));
    const may = (scope: Scope) => covers(claims.access, scope);
    return needs.required.every(may)
      ? { granted: true, may }
      : refuse(401, challenge(needs, 'insufficient_scope'));
  }

  function challenge({ required, wished }: Needs, error: string | null): Record<string, string> {
    const scopes = [...required, ...wished];
    const params = [`realm="${setting.realm}"`];
    if (setting.service !== null) params.push(`service="${setting.service}"`);
    if (scopes.length > 0) params.push(`scope="${formatScopes(scopes)}"`);
    if (error !== null) params.push(`error="${error}"`);
    return { 'WWW-Authenticate': `Bearer ${params.join(',')}` };
  }

  return ({ headers }, needs) => {
    switch (setting.auth) {
      case 'none':
        return { granted: true, may: () => true };
      case 'basic':
        return basic(headers['authorization'], needs);
      case 'bearer':
      case 'oauth2':
        return bearer(headers['authorization'], needs);
    }
  };
}

function refuse(status: 401 | 403, headers: Record<string, string> = {}): Decision {
  const reply =
    status === 401
      ? registryError(401, 'UNAUTHORIZED', 'authentication required', headers)
      : registryError(403, 'DENIED', 'requested access to the resource is denied', headers);
  return { granted: false, reply };
}
