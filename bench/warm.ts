/**
 * What `registryAuth` adds to a request whose token is in memory (budget: 1.05), and to one that is none of its business.
 *
 * Rules of this file: each pair is the same request over the same kind of connection, once through `registryAuth` and once
 * with a ready `Authorization` header on bare undici, the order turning from pair to pair, so that what the machine does
 * meanwhile meets both. A third client, bare as well, says how far from 1 the ratio of equals comes out.
 */

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { registryAuth, staticKeychain } from '@reg/node';
import { Agent, type Dispatcher, request } from 'undici';
import type { Address } from './registry.ts';

const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '20000' }, warmup: { type: 'string', default: '5000' } },
});
const pairs = Number(values.pairs);
const warmup = Number(values.warmup);

const worker = new Worker(new URL('registry.ts', import.meta.url));
const [address] = (await once(worker, 'message')) as [Address];
const tags = `${address.url}/v2/team/app/tags/list`;
/** A path without `/v2/`, which the registry does not have. */
const other = `${address.url}/healthz`;

type Client = () => Promise<void>;

function client(dispatcher: Dispatcher, headers: Record<string, string>, url = tags, status = 200): Client {
  return async () => {
    const { statusCode, body } = await request(url, { dispatcher, headers });
    await body.text();
    if (statusCode !== status) throw new Error(`${url} answered ${statusCode}`);
  };
}

const ready = { authorization: `Bearer ${address.token}`, 'user-agent': 'bench' };
const bare = client(new Agent(), ready);
const twin = client(new Agent(), ready);
const composed = new Agent().compose(
  registryAuth({
    keychain: staticKeychain({
      [address.host]: { type: 'password', username: 'alice', password: 'wonderland' },
    }),
    policy: { realms: { pairs: [address.pair] } },
  }),
);
const plain = { 'user-agent': 'bench' };
const ours = client(composed, plain);
const oursElsewhere = client(composed, plain, other, 404);
const bareElsewhere = client(new Agent(), plain, other, 404);

async function timed(run: Client): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Medians of `a`, of `b`, and of the ratios of their pairs. */
async function compare(a: Client, b: Client): Promise<{ a: number; b: number; ratio: number }> {
  const times: { readonly a: number; readonly b: number }[] = [];
  for (let i = -warmup; i < pairs; i++) {
    const pair =
      i % 2 === 0 ? { a: await timed(a), b: await timed(b) } : { b: await timed(b), a: await timed(a) };
    if (i >= 0) times.push(pair);
  }
  const median = (of: (pair: { readonly a: number; readonly b: number }) => number): number =>
    times.map(of).sort((x, y) => x - y)[times.length >> 1] ?? Number.NaN;
  return {
    a: median((pair) => pair.a),
    b: median((pair) => pair.b),
    ratio: median((pair) => pair.a / pair.b),
  };
}

const microseconds = (ms: number): string => `${(ms * 1_000).toFixed(1)} µs`;
const equals = await compare(twin, bare);
const measured = await compare(ours, bare);
const elsewhere = await compare(oursElsewhere, bareElsewhere);
await worker.terminate();

console.log(`a warm request, median of ${pairs} interleaved pairs, on Node ${process.version}
  through registryAuth         ${microseconds(measured.a)}
  with a ready header          ${microseconds(measured.b)}
  ratio                        ${measured.ratio.toFixed(3)}
  ratio of two bare clients    ${equals.ratio.toFixed(3)}
a request that is no registry's, through registryAuth and without
  ratio                        ${elsewhere.ratio.toFixed(3)}
again: npx -y pnpm bench --pairs ${pairs} --warmup ${warmup}`);
process.exit();
