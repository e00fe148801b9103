/**
 * The core's driver on the adapters' own wire, where a test needs what the adapters do not offer: a clock moved by hand, a
 * registry that answers more callers than sockets could bear, and the heap with no server in it.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { RegistryRequest } from '@reg/core';
import { createAuthorizer, type Reply, type Send, TokenCache } from '@reg/core/driver';
import type { Agent } from 'undici';
import { expect, test } from 'vitest';
import type { Leg } from '../src/leg.ts';
import { type Carried, createSend } from '../src/send.ts';
import { agent, stage, until } from './stage.ts';

/** How the adapters send. */
function wire(dispatcher: Agent): Send<Leg, Carried> {
  return createSend((options, leg) => void dispatcher.dispatch(options, leg), 'test');
}

const get = (url: string): Carried => {
  return { method: 'GET', url, headers: [], body: 'none', carry: {}, observer: null };
};

const tagsOf = (origin: string, i: number): string => `${origin}/v2/team/app-${i}/tags/list`;

test('100 GETs in one tick whose leader has its 401 after 5 s, by a clock moved by hand: 112 requests, 10 for tokens', async () => {
  const names = Array.from({ length: 10 }, (_, i) => [`team/app-${i}`, {}] as const);
  const { registry, auth } = await stage({ repositories: Object.fromEntries(names) });
  registry.faults.add({ kind: 'latency', ms: 20, times: Number.POSITIVE_INFINITY });
  const onWire = wire(agent());
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let sent = 0;
  /** Who waits for the leader, two seconds at most. */
  const patient: (() => void)[] = [];
  const authorizer = createAuthorizer<Leg, Carried>({
    ...auth,
    async send(outgoing, signal) {
      sent += 1;
      const leads = sent === 1;
      const reply = await onWire(outgoing, signal);
      if (leads) await released;
      return reply;
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve());
        if (ms === 2_000) patient.push(resolve);
      }),
  });
  const statusOf = async (i: number): Promise<number> => {
    const { head, raw } = await authorizer.request(get(tagsOf(registry.url, i % 10)));
    await raw.discard();
    return head.status;
  };
  const [leader, ...others] = Array.from({ length: 100 }, (_, i) => statusOf(i));

  await until(() => patient.length === 99);
  expect(sent).toBe(1);
  for (const goOn of patient.splice(0)) goOn();
  expect(await Promise.all(others)).toEqual(Array.from(others, () => 200));
  expect(registry.count({ server: 'registry' })).toBe(101);
  release();
  expect(await leader).toBe(200);
  expect([registry.count(), registry.count({ server: 'token' })]).toEqual([112, 10]);
});

test('one key, 100,000 callers at once, the registry in memory: one token request', async () => {
  const { registry, auth } = await stage({ repositories: { 'team/app-0': {}, 'team/app-1': {} } });
  const onWire = wire(agent());
  const cache = new TokenCache();
  let answered = 0;
  const authorizer = createAuthorizer<null, Carried>({
    ...auth,
    cache,
    async send(outgoing, signal) {
      const bearer = outgoing.headers.some(([name]) => name === 'authorization');
      if (outgoing.to === 'registry' && bearer) {
        answered += 1;
        return reply(200);
      }
      return { ...(await onWire(outgoing, signal)), raw: null };
    },
  });
  await authorizer.request(get(tagsOf(registry.url, 0)));
  const before = registry.count();
  const calls = Array.from({ length: 100_000 }, async () => {
    const { head } = await authorizer.request(get(tagsOf(registry.url, 1)));
    return head.status;
  });
  expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
  expect(answered).toBe(100_001);
  expect(registry.requests.slice(before).map(({ server, status }) => [server, status])).toEqual([
    ['token', 200],
  ]);
  expect(cache.flights.size).toBe(0);
}, 120_000);

test('10,000 calls at once over 1,000 scopes, registry and token server in memory, grow the heap by less than 16 MiB', async () => {
  const cache = new TokenCache();
  let tokens = 0;
  const send: Send<null> = async ({ to, headers }) => {
    if (to === 'authority') {
      tokens += 1;
      return reply(200, [], JSON.stringify({ token: `token-${tokens}`, expires_in: 300 }));
    }
    const bearer = headers.some(([name]) => name === 'authorization');
    return bearer
      ? reply(200)
      : reply(401, [['www-authenticate', 'Bearer realm="https://registry.test/token"']]);
  };
  const authorizer = createAuthorizer({ send, cache });
  /** The answer is let go at once: what callers keep is theirs. */
  const call = async (i: number): Promise<void> => {
    const request: RegistryRequest = {
      method: 'GET',
      url: tagsOf('https://registry.test', i),
      headers: [],
      body: 'none',
    };
    await authorizer.request(request);
  };
  await call(0);
  const before = heapUsed();
  await Promise.all(Array.from({ length: 10_000 }, (_, i) => call(i % 1_000)));
  const grown = heapUsed() - before;
  expect([tokens, cache.size, cache.flights.size]).toEqual([1_000, 1_000, 0]);
  expect(grown).toBeLessThan(16 * 1_024 * 1_024);
});

/** An answer that never was on a wire. */
function reply(status: number, headers: Reply<null>['head']['headers'] = [], body = ''): Reply<null> {
  return { head: { status, headers }, raw: null, text: async () => body, discard: async () => {} };
}

/** Bytes in use after a collection, which a worker of vitest has to be given first. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new TypeError('this runtime cannot be told to collect');
  collect();
  return process.memoryUsage().heapUsed;
}
