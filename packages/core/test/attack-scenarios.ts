/** The cases about several requests: each member of an input that tells of some, and how they are played. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, vi } from 'vitest';
import type { Credential } from '../src/credential.ts';
import { createAuthorizer, type Keychain, staticKeychain, TokenCache } from '../src/driver/index.ts';
import type { Grant, Need } from '../src/grant.ts';
import { parseScopes } from '../src/scope.ts';
import { Secret } from '../src/secret.ts';
import { listOf, type Members, membersOf, textsOf } from './attack-cases.ts';
import { alice, home, host, identity } from './attack-plans.ts';
import {
  type Answer,
  authorizationOf,
  challenge,
  type Outcome,
  Scene,
  type Server,
  type Servers,
  token,
} from './attack-scene.ts';
import { idle } from './driver/clock.ts';

/** A registry that wants a token for what the URL names, and a token server that gives one to anybody. */
const usual: Servers = {
  registry: (out) =>
    authorizationOf(out) === null ? challenge(`Bearer realm="${home}/token"`) : { status: 200 },
  authority: (_, n) => token(`token-${n}`),
};

function keychainOf(credential: Credential | null, ...hosts: readonly string[]): Keychain {
  return staticKeychain(Object.fromEntries(hosts.map((name) => [name, credential])));
}

function outcomeOf(scene: Scene, more: Partial<Outcome> = {}): Outcome {
  const end = scene.ends.at(-1) ?? { status: null, failure: null };
  return { credentials: [], url: home, scene, end, ms: 0, ...more };
}

export interface Scenario {
  /** The member of the input that tells it. */
  readonly of: string;
  readonly play: (input: Members) => Promise<Outcome>;
}

export const scenarios: readonly Scenario[] = [
  {
    of: 'sequence',
    play: async ({ sequence }) => {
      const scene = new Scene(() => usual);
      const url = `${home}/v2/a/b/tags/list`;
      let user: Credential | null = null;
      for (const step of textsOf(sequence)) {
        // `login pw1` and `use`, or the name of a user who does both.
        const [verb, password = 'pw'] = step.split(' ');
        if (verb !== 'use')
          user = verb === 'anonymous' ? null : { type: 'password', username: 'alice', password };
        if (verb !== 'login')
          await scene.clock.run(scene.call(scene.authorizer(keychainOf(user, host)), url));
      }
      const tokens = scene.sent.map(authorizationOf).filter((value) => value?.startsWith('Bearer'));
      expect(tokens).toEqual(tokens.map((_, i) => `Bearer token-${i + 1}`));
      return outcomeOf(scene);
    },
  },
  {
    of: 'registries',
    play: async ({ registries, realm }) => {
      const origins = textsOf(registries);
      const line = `Bearer realm="${realm}",service="s",scope="repository:a/b:pull"`;
      const registry: Server = (out) => (authorizationOf(out) === null ? challenge(line) : { status: 200 });
      const scene = new Scene(() => ({ ...usual, registry }));
      const pairs = origins.map((origin) => ({ registry: origin, realm: new URL(String(realm)).origin }));
      const hosts = origins.map((origin) => new URL(origin).host);
      const authorizer = scene.authorizer(keychainOf(alice, ...hosts), { realms: { pairs } });
      for (const origin of origins) {
        await scene.clock.run(scene.call(authorizer, `${origin}/v2/a/b/tags/list`));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'other',
    play: async (input) => {
      const challenges = [input, membersOf(input['other'])].map(
        ({ service, scope }) => `Bearer realm="${home}/token",service="${service}",scope="${scope}"`,
      );
      const scene = new Scene((self) => ({
        ...usual,
        registry: (out) =>
          authorizationOf(out) === null ? challenge(challenges[self.ends.length] ?? '') : { status: 200 },
      }));
      for (const _ of challenges) {
        await scene.clock.run(scene.call(scene.authorizer(keychainOf(null, host)), `${home}/v2/x`));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'scopes',
    play: async ({ scopes }) => {
      const scene = new Scene(() => usual);
      const authorizer = scene.authorizer(keychainOf(alice, host));
      for (const entry of listOf(scopes)) {
        const wanted = Array.isArray(entry) ? textsOf(entry).join(' ') : String(entry);
        await scene.clock.run(authorizer.authorize({ url: `${home}/v2/`, scopes: wanted }));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'token_status_sequence',
    play: async ({ token_status_sequence }) => {
      const statuses = listOf(token_status_sequence).map(Number);
      const authority: Server = (_, n) => {
        const status = statuses[n - 1] ?? 200;
        return status === 200 ? token('t') : { status };
      };
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host), { retry: { attempts: 1 } });
      for (const status of statuses) {
        const end = await scene.clock.run(scene.call(authorizer, `${home}/v2/a/b/tags/list`));
        expect(end.failure === null).toBe(status === 200);
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'concurrent',
    play: async ({ concurrent, token_status }) => {
      const refused = (url: string): boolean => url.includes(encodeURIComponent('repository:a/b:'));
      const authority: Server = ({ url }) => (refused(url) ? { status: Number(token_status) } : token('t'));
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const calls = Array.from({ length: Number(concurrent) }, () => {
        return scene.call(authorizer, `${home}/v2/a/b/tags/list`);
      });
      const other = scene.call(authorizer, `${home}/v2/c/d/tags/list`);
      const ends = await scene.clock.run(Promise.all(calls));
      expect(new Set(ends.map(({ failure }) => JSON.stringify(failure))).size).toBe(1);
      expect(ends[0]?.failure).toMatchObject({ kind: 'token-refused', status: token_status });
      expect(await scene.clock.run(other)).toEqual({ status: 200, failure: null });
      const asked = scene.sent.filter(({ to, url }) => to === 'authority' && !refused(url));
      expect(asked.length).toBe(1);
      scene.sent.splice(scene.sent.indexOf(asked[0] ?? expect.unreachable('nothing was asked')), 1);
      return outcomeOf(scene);
    },
  },
  {
    of: 'waiters',
    play: async ({ waiters, abort }) => {
      expect(abort).toBe('first');
      const scene: Scene = new Scene(({ clock }) => ({
        ...usual,
        authority: async (_, n) => {
          await clock.sleep(1_000, new AbortController().signal);
          return token(`token-${n}`);
        },
      }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const url = `${home}/v2/a/b/tags/list`;
      const controller = new AbortController();
      const first = scene.call(authorizer, url, { signal: controller.signal });
      await idle();
      const others = Array.from({ length: Number(waiters) - 1 }, () => scene.call(authorizer, url));
      await idle();
      expect(scene.count('authority')).toBe(1);
      controller.abort(new Error('the first one left'));
      await expect(first).rejects.toThrow('the first one left');
      const ends = await scene.clock.run(Promise.all(others));
      expect(ends.every(({ status }) => status === 200)).toBe(true);
      return outcomeOf(scene);
    },
  },
  {
    of: 'distinct_keys',
    play: async ({ distinct_keys }) => {
      const cache = new TokenCache();
      setFlagsFromString('--expose-gc');
      const collect: () => void = runInNewContext('gc');
      collect();
      const before = process.memoryUsage().heapUsed;
      // A cap of ten thousand that holds after ten times as many holds after a hundred times.
      const keys = process.env['REG_LONG'] === undefined ? 100_000 : Number(distinct_keys);
      for (let n = 0; n < keys; n++) keepOne(cache, `repository:r/${n}:pull`);
      collect();
      const heapMb = (process.memoryUsage().heapUsed - before) / 2 ** 20;
      return outcomeOf(new Scene(() => usual), { heapMb, entries: cache.size });
    },
  },
  {
    of: 'callers',
    play: async ({ callers, status }) => {
      const scene = new Scene(() => ({ ...usual, authority: () => ({ status: Number(status) }) }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const calls = Array.from({ length: Number(callers) }, (_, n) => {
        return scene.call(authorizer, `${home}/v2/r/${n}/tags/list`);
      });
      await scene.clock.run(Promise.all(calls));
      const attempts = new Map<string, number>();
      for (const { to, url } of scene.sent) {
        if (to === 'authority') attempts.set(url, (attempts.get(url) ?? 0) + 1);
      }
      expect(Math.max(...attempts.values())).toBeLessThanOrEqual(3);
      return outcomeOf(scene, { callers: Number(callers) });
    },
  },
  {
    of: 'retry_after',
    play: async ({ status, retry_after }) => {
      const limited: Answer = { status: Number(status), headers: [['retry-after', String(retry_after)]] };
      const authority: Server = (_, n) => (n === 1 ? limited : token('t'));
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const end = await scene.clock.run(scene.call(authorizer, `${home}/v2/a/b/tags/list`));
      const [first, second, ...more] = scene.sent.filter(({ to }) => to === 'authority').map(({ at }) => at);
      expect(more).toEqual([]);
      if (second === undefined) {
        expect(end.failure).toMatchObject({ kind: 'rate-limited', retryAfterMs: Number(retry_after) * 1000 });
      } else {
        expect(second - (first ?? 0)).toBeGreaterThanOrEqual(Number(retry_after) * 1000);
        expect(end.status).toBe(200);
      }
      return outcomeOf(scene, { ms: scene.ms });
    },
  },
  {
    of: 'fault',
    play: async ({ fault }) => {
      const inTls = String(fault).includes('tls');
      const phase = inTls ? 'tls' : 'head';
      const lose = (): never => {
        throw Object.assign(new Error(String(fault)), { phase, code: 'ECONNRESET' });
      };
      const scene = new Scene((self) => ({
        // The registry first; then its token server, with a password and with an identity token.
        registry: (out, n) => (self.ends.length === 0 ? lose() : usual.registry(out, n)),
        authority: lose,
      }));
      for (const credential of [alice, alice, identity]) {
        const end = await scene.clock.run(
          scene.call(scene.authorizer(keychainOf(credential, host)), `${home}/v2/a/b/tags/list`),
        );
        expect(end.failure).toMatchObject({ kind: 'network', phase });
      }
      // A refresh token may have been replaced by the first byte that the server read.
      const refreshes = scene.sent.filter(({ form }) => form?.includes('refresh_token'));
      expect(refreshes.length).toBe(inTls ? 3 : 1);
      return outcomeOf(scene, { credentials: [alice, identity] });
    },
  },
  {
    of: 'wall_clock_delta_s',
    play: async ({ wall_clock_delta_s }) => {
      vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
      const scene = new Scene(() => ({ ...usual, authority: (_, n) => token(`token-${n}`, 60) }));
      // The platform's own clocks, as they are without options.
      const authorizer = createAuthorizer<string>({ send: scene.send, keychain: keychainOf(alice, host) });
      const url = `${home}/v2/a/b/tags/list`;
      await scene.call(authorizer, url);
      vi.setSystemTime(Date.now() + Number(wall_clock_delta_s) * 1000);
      await scene.call(authorizer, url);
      expect(scene.count('authority')).toBe(1);
      scene.sent.length = 0;
      vi.advanceTimersByTime(61_000);
      await Promise.all(Array.from({ length: 100 }, () => scene.call(authorizer, url)));
      expect(scene.count('authority')).toBe(1);
      return outcomeOf(scene);
    },
  },
];

function keepOne(cache: TokenCache, scope: string): void {
  const scopes = parseScopes(scope);
  const need: Need = {
    registry: home,
    scheme: 'bearer',
    realm: `${home}/token`,
    service: host,
    scopes,
    challenged: scopes,
    repository: null,
    anonymous: false,
  };
  const grant: Grant = {
    authorization: { scheme: 'bearer', token: new Secret('token', home) },
    registry: home,
    realm: need.realm,
    service: need.service,
    principal: 1,
    from: 'exchange',
    asked: scopes,
    granted: null,
    obtainedAt: 0,
    expiresAt: 300_000,
  };
  cache.keep(need, 1, grant);
}
