/**
 * The service of the soak: it calls a registry at a steady rate for some time, then stops, and prints what it saw as JSON.
 *
 * A process of its own, so that the heap it measures is its own. Run with `--expose-gc`.
 */

import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { isRegistryAuthError } from '@reg/core';
import { staticKeychain, TokenCache } from '@reg/core/driver';
import { Agent, request } from 'undici';
import { createRegistryFetch, registryAuth } from '../src/index.ts';

/** What the test asks for. */
export interface SoakTask {
  readonly url: string;
  readonly pair: { readonly registry: string; readonly realm: string };
  readonly password: string;
  readonly repositories: number;
  /** Calls as fast as they go, before the steady ones: until V8 has compiled what it will, its own heap grows. */
  readonly warmUp: number;
  readonly callsPerSecond: number;
  readonly seconds: number;
}

/** Of the steady calls. */
export interface SoakReport {
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly calls: number;
  readonly succeeded: number;
  /** Of those that did not: the registry's status, or the failure's kind and where it was. */
  readonly failures: Readonly<Record<string, number>>;
  /** Seconds since the start, and bytes of heap in use after a collection. */
  readonly heap: readonly (readonly [seconds: number, bytes: number])[];
  /** What was left when all was closed. */
  readonly sockets: number;
  readonly listeners: number;
  readonly milliseconds: { readonly p50: number; readonly p99: number; readonly max: number };
}

const { url, pair, password, repositories, warmUp, callsPerSecond, seconds }: SoakTask = JSON.parse(
  process.argv[2] ?? '',
);
const collect = globalThis.gc;
if (collect === undefined) throw new Error('run this with --expose-gc');

/** Bounded: a pool of undici's keeps a client, 1 KiB and more, for each call of its busiest moment, and a stall makes one. */
const agent = new Agent({ connections: 16 });
const options = {
  keychain: staticKeychain({ [new URL(url).host]: { type: 'password', username: 'alice', password } }),
  policy: { realms: { pairs: [pair] } },
  cache: new TokenCache(),
};
const fetch = createRegistryFetch({ ...options, dispatcher: agent });
const dispatcher = agent.compose(registryAuth(options));
/** A service has one that says when to stop, and gives it to all it does. */
const { signal } = new AbortController();

const clients = [
  async (target: string): Promise<number> => {
    const response = await fetch(target, { signal });
    await response.arrayBuffer();
    return response.status;
  },
  async (target: string): Promise<number> => {
    const { statusCode, body } = await request(target, { dispatcher, signal });
    await body.arrayBuffer();
    return statusCode;
  },
];

let failures: Record<string, number> = {};
/** A histogram: a list of all calls would be a leak of our own. */
const taken = new Uint32Array(60_000);
const heap: [number, number][] = [];
let calls = 0;
let succeeded = 0;
let underWay = 0;

async function call(n: number): Promise<void> {
  const client = clients[n % 2];
  const repository = Math.floor(n / 2) % repositories;
  const began = performance.now();
  underWay += 1;
  const outcome = await client?.(`${url}/v2/team/app-${repository}/tags/list`).catch(explain);
  underWay -= 1;
  const ms = Math.min(taken.length - 1, Math.round(performance.now() - began));
  taken[ms] = (taken[ms] ?? 0) + 1;
  if (outcome === 200) succeeded += 1;
  else failures[String(outcome)] = (failures[String(outcome)] ?? 0) + 1;
}

function explain(error: unknown): string {
  if (isRegistryAuthError(error)) {
    const { failure } = error;
    return failure.kind === 'network'
      ? `network ${failure.to} ${failure.phase} ${failure.code}`
      : failure.kind;
  }
  // The interceptor hands undici's own errors on when the registry cannot be reached; a body that breaks is a TypeError of fetch.
  const cause = error instanceof TypeError ? error.cause : error;
  return `network registry ${cause instanceof Error && 'code' in cause ? cause.code : cause}`;
}

let warmed = 0;
const warm = async (): Promise<void> => {
  while (warmed < warmUp) await call(warmed++);
};
await Promise.all(Array.from({ length: 16 }, warm));

failures = {};
taken.fill(0);
succeeded = 0;
const startedAt = Date.now();
const started = performance.now();
const elapsed = (): number => (performance.now() - started) / 1_000;
let sampled = 0;
while (elapsed() < seconds) {
  for (const due = Math.floor(elapsed() * callsPerSecond); calls < due; calls++) void call(calls);
  if (elapsed() >= sampled + 1) {
    collect();
    sampled = Math.floor(elapsed());
    heap.push([elapsed(), process.memoryUsage().heapUsed]);
  }
  await delay(5);
}
while (underWay > 0) await delay(5);

await agent.close();
await delay(100);
const report: SoakReport = {
  startedAt,
  calls,
  succeeded,
  failures,
  heap,
  sockets: process.getActiveResourcesInfo().filter((name) => name.includes('TCP') || name.includes('TLS'))
    .length,
  listeners: getEventListeners(signal, 'abort').length,
  milliseconds: { p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) },
};
process.stdout.write(JSON.stringify(report));

function quantile(q: number): number {
  let seen = 0;
  return taken.findIndex((count) => {
    seen += count;
    return seen >= q * calls;
  });
}
