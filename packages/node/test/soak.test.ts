/**
 * Minutes of a service's life: steady calls, short tokens, and a registry and a token server that fail now and then.
 *
 * What is waited for here is time itself: 20 seconds, or three minutes in the long run.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { FaultEffect, Faults, ServerName } from '@reg/testing';
import { expect, test } from 'vitest';
import type { SoakReport, SoakTask } from './soak-client.ts';
import { stage } from './stage.ts';

const long = process.env['REG_LONG'] === '1';
const seconds = long ? 180 : 20;
const warmUp = long ? 40_000 : 10_000;
/** Bytes per second that the heap may grow by: in a run too short to wait for V8, 320 a call, less than a leak would have. */
const allowance = long ? 0 : 65_536;
const callsPerSecond = 200;
const repositories = 50;
const life = 10;
/** The last tenth of a token's life, in which it serves while the next one is asked for. */
const margin = 1;

/** What ends one call, or slows it down. */
const callFaults: readonly FaultEffect[] = [
  { kind: 'status', status: 503 },
  { kind: 'latency', ms: 300 },
  { kind: 'reset', at: 'before-head' },
  { kind: 'reset', at: 'mid-body' },
  { kind: 'truncated-body' },
];

/** What the same token request, sent again, does not meet. */
const tokenFaults: readonly FaultEffect[] = [
  { kind: 'status', status: 503 },
  { kind: 'reset', at: 'before-head' },
  { kind: 'status', status: 500 },
  { kind: 'retry-after', value: 1 },
  { kind: 'truncated-body' },
  { kind: 'latency', ms: 500 },
  { kind: 'reset', at: 'mid-body' },
  { kind: 'status', status: 504 },
];

/** Spoils every `nth` of `requests` to `server`, by each of `effects` in turn. */
function spoil(
  faults: Faults,
  server: ServerName,
  nth: number,
  requests: number,
  effects: readonly FaultEffect[],
) {
  for (let i = 1; i * nth < requests; i++) {
    const effect = effects[i % effects.length];
    if (effect !== undefined) faults.add({ ...effect, server, after: i * nth });
  }
}

/** Runs the client in a process of its own, with a heap of its own. */
async function run(task: SoakTask): Promise<SoakReport> {
  const client = fileURLToPath(new URL('soak-client.ts', import.meta.url));
  const flags = ['--expose-gc', '--conditions=@reg/source', client, JSON.stringify(task)];
  const { stdout } = await promisify(execFile)(process.execPath, flags);
  return JSON.parse(stdout);
}

/**
 * Slope and half of its 95 % interval by least squares, per unit of x, of the least in each of twelve runs of points: what is
 * there even when nothing is under way.
 */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): { slope: number; halfWidth: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const batch = (i: number) => points.slice((i * points.length) / 12, ((i + 1) * points.length) / 12);
  const batches = Array.from({ length: 12 }, (_, i) => batch(i));
  const least = batches.map(
    (part) => [mean(part.map(([x]) => x)), Math.min(...part.map(([, y]) => y))] as const,
  );
  const [x0, y0] = [mean(least.map(([x]) => x)), mean(least.map(([, y]) => y))];
  const spread = least.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  const slope = least.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / spread;
  const residue = least.reduce((sum, [x, y]) => sum + (y - y0 - slope * (x - x0)) ** 2, 0);
  // Student's t for 97.5 % with ten degrees of freedom.
  return { slope, halfWidth: 2.228 * Math.sqrt(residue / 10 / spread) };
}

test(`${seconds} s at ${callsPerSecond} calls per second, tokens of ${life} s, one request in a hundred spoilt`, {
  timeout: (seconds + 180) * 1_000,
}, async () => {
  const names = Array.from({ length: repositories }, (_, i) => [`team/app-${i}`, { tags: ['1'] }] as const);
  const { registry, password } = await stage({
    repositories: Object.fromEntries(names),
    tokens: { expiresIn: life },
  });
  const { url, pair, tokenUrl, service } = registry;
  const challenge = `Bearer realm="${tokenUrl}",service="${service}",error="invalid_token"`;
  const revoked: FaultEffect = { kind: 'challenge', values: [challenge] };
  spoil(registry.faults, 'registry', 100, warmUp + seconds * callsPerSecond, [...callFaults, revoked]);
  const needed = repositories * Math.ceil(seconds / (life - margin));
  // More than one in a hundred, so that the short run meets each of them.
  spoil(registry.faults, 'token', 20, needed * 2, tokenFaults);

  const report = await run({ url, pair, password, repositories, warmUp, callsPerSecond, seconds });

  const { startedAt, calls, succeeded, failures, heap, milliseconds, sockets, listeners } = report;
  const requests = registry.requests.filter(({ at }) => at >= startedAt);
  const tokens = requests.filter(({ server }) => server === 'token').length;
  // Of six kinds of fault at the registry four end a call.
  const ended = ((requests.length - tokens) / 100) * (4 / 6) + 4;
  const { slope, halfWidth } = slopeOf(heap.filter(([at]) => at > seconds / 3));
  console.log(
    `soak: ${calls} calls, ${succeeded} succeeded, not: ${JSON.stringify(failures)}; ` +
      `${tokens} token requests for ${needed} needed (${(tokens / needed).toFixed(2)}); ` +
      `heap ${(slope / 1024).toFixed(2)} ± ${(halfWidth / 1024).toFixed(2)} KiB/s; ms ${JSON.stringify(milliseconds)}`,
  );
  if (long) console.log(`KiB: ${heap.map(([, bytes]) => Math.round(bytes / 1024)).join(' ')}`);

  expect(calls).toBeGreaterThan(seconds * callsPerSecond * 0.95);
  // What is left of failures are the registry's own: no call was without a token.
  for (const what of Object.keys(failures)) expect(what).toMatch(/^(503|network registry .*)$/);
  expect(calls - succeeded).toBeLessThanOrEqual(ended);
  expect(tokens).toBeLessThanOrEqual(1.2 * needed);
  expect(slope - halfWidth).toBeLessThanOrEqual(allowance);
  expect({ sockets, listeners }).toEqual({ sockets: 0, listeners: 0 });
});
