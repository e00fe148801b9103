/**
 * The stage of every case: a registry with a few repositories, a client for it, and how to tell what happened.
 *
 * Rules of this file: cases assert on the servers' log, never on the client's own account; a client gets every pair it may
 * use, since on loopback nothing but the registry's own host and port is trusted without one; servers let pages in, and what
 * a browser asks ahead of a request is not the client's and not in the log.
 */

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type LoggedRequest, matches, type RequestFilter } from '../log.ts';
import { type Registry, type RegistryOptions, startRegistry } from '../registry.ts';
import { canary } from '../tap.ts';
import type { CasePolicy, CreateFetch, Credential, Fetch } from './contract.ts';

export interface Stage {
  readonly registry: Registry;
  readonly fetch: Fetch;
  readonly password: string;
  readonly createFetch: CreateFetch;
  /** Starts another registry, which is closed with this one. */
  another(options: RegistryOptions): Promise<Registry>;
}

export interface StageOptions extends Partial<Omit<RegistryOptions, 'users' | 'repositories' | 'cors'>> {
  /** The client's credential: alice's password, nothing, or what this makes of the registry. Default `alice`. */
  readonly credential?: 'alice' | 'none' | ((registry: Registry) => Credential);
  readonly policy?: Omit<CasePolicy, 'realms'>;
  /** Alice's password. */
  readonly password?: string;
  /** Alice's identity token. */
  readonly identityToken?: string;
}

/**
 * `library/open` is public; `team/app`, `team/lib` and `team/e0` … `team/e2` are alice's; in `team/read` she may only
 * pull, in `team/none` nothing.
 */
export const repositories: NonNullable<RegistryOptions['repositories']> = {
  'library/open': { visibility: 'public', tags: { latest: 'open content' } },
  'team/app': { tags: { '1': 'app content', '2': 'two', '3': 'three', '4': 'four', '5': 'five' } },
  'team/lib': { tags: { '1': 'lib content' } },
  'team/read': { tags: { '1': 'read content' }, access: { alice: ['pull'] } },
  'team/none': { tags: { '1': 'none content' }, access: {} },
};

/** What pages may send, the headers of the cases' own included. */
const cors = {
  allowHeaders: [
    'Authorization',
    'Accept',
    'Content-Type',
    'Content-Range',
    'Range',
    'X-Custom',
    'X-Api-Key',
  ],
};

function withoutPreflights(registry: Registry): Registry {
  const own = () => registry.requests.filter(({ method }) => method !== 'OPTIONS');
  return {
    ...registry,
    get requests() {
      return own();
    },
    count: (filter = {}) => own().filter((request) => matches(filter, request)).length,
  };
}

/** Runs `act` on a fresh stage and clears it away. */
export function onStage(
  options: StageOptions,
  act: (stage: Stage) => Promise<void>,
): (createFetch: CreateFetch) => Promise<void> {
  return async (createFetch) => {
    const { credential = 'alice', policy, password = canary('password'), identityToken, ...rest } = options;
    const alice = identityToken === undefined ? password : { password, identityToken };
    const started: Registry[] = [];
    const another = async (settings: RegistryOptions): Promise<Registry> => {
      const registry = await startRegistry({ ...settings, cors });
      started.push(registry);
      return withoutPreflights(registry);
    };
    try {
      const registry = await another({ auth: 'bearer', users: { alice }, repositories, ...rest });
      const fetch = await createFetch({
        credentials:
          credential === 'none' ? {} : { [registry.host]: credentialOf(credential, registry, password) },
        // A registry that is in a pair has a token server, and is not answered with Basic.
        policy: { ...policy, realms: { pairs: rest.auth === 'basic' ? [] : [registry.pair] } },
      });
      await act({ registry, fetch, password, createFetch, another });
    } finally {
      await Promise.all(started.map((registry) => registry.close()));
    }
  };
}

function credentialOf(
  credential: Exclude<StageOptions['credential'], 'none' | undefined>,
  registry: Registry,
  password: string,
): Credential {
  return credential === 'alice' ? { type: 'password', username: 'alice', password } : credential(registry);
}

/** Requests in order, as `registry GET /v2/ 401`: without queries, and `null` for a request that got no answer. */
export function trace({ requests }: Registry, from = 0): string[] {
  return requests
    .slice(from)
    .map(({ server, method, url, status }) => `${server} ${method} ${url.split('?', 1)[0]} ${status}`);
}

/** The one request that `filter` means, or the last of several. */
export function lastRequest(registry: Registry, filter: RequestFilter): LoggedRequest {
  const { server, method } = filter;
  const found = registry.requests.findLast(
    (request) =>
      (server === undefined || request.server === server) &&
      (method === undefined || request.method === method),
  );
  assert.ok(found, `a request ${inspect(filter)} was expected`);
  return found;
}

/** The query of the last token request. */
export function lastQuery(registry: Registry): URLSearchParams {
  return new URL(lastRequest(registry, { server: 'token' }).url, registry.tokenUrl).searchParams;
}

/** The Bearer challenge of a registry, as a fault may vary it. */
export function bearer(registry: Registry, scope: string, more = ''): string {
  return `Bearer realm="${registry.tokenUrl}",service="${registry.service}",scope="${scope}"${more}`;
}

/** Waits until the log holds a request that `filter` means, without a clock: each look is a turn of the event loop. */
export async function arrival(registry: Registry, filter: RequestFilter): Promise<void> {
  while (registry.count(filter) === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** The error an adapter rejects with. */
export interface Rejection extends Error {
  readonly code: string;
  readonly failure: { readonly kind: string };
}

/**
 * Asserts that `attempt` rejects with a failure of `kind`, typed as promised, and that printing it shows none of `secrets`.
 */
export async function assertFails(
  attempt: Promise<unknown>,
  kind: string,
  ...secrets: readonly string[]
): Promise<Rejection> {
  const outcome = await attempt.then(
    () => null,
    (error: unknown) => error,
  );
  assert.notEqual(outcome, null, `a rejection with '${kind}' was expected, and it resolved`);
  assert.ok(isRejection(outcome), `a RegistryAuthError was expected, not ${inspect(outcome)}`);
  assert.equal(outcome.failure.kind, kind);
  for (const text of [outcome.message, inspect(outcome, { depth: 10 }), JSON.stringify(outcome)]) {
    for (const secret of secrets) assert.ok(!text.includes(secret), 'an error shows a secret');
  }
  return outcome;
}

function isRejection(value: unknown): value is Rejection {
  return (
    value instanceof Error &&
    'code' in value &&
    typeof value.code === 'string' &&
    value.code.startsWith('ERR_REG_') &&
    'failure' in value &&
    typeof value.failure === 'object' &&
    value.failure !== null &&
    'kind' in value.failure
  );
}
