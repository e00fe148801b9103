/**
 * What the command takes to start and to answer, beside Node alone and beside skopeo (budgets: `--version` 1.2 and `--help`
 * 1.55 times `node -e 0`; a second `reg tags` sends one request).
 *
 * Rules of this file: whole processes, in rounds in which each runs once, in random order, so that what the machine does
 * meanwhile meets all alike; the first rounds do not count. What is compared is medians, and nothing is told in milliseconds:
 * those are the machine's. The command is built from these sources.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startRegistry } from '@reg/testing';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } });
const rounds = Number(values.rounds);
const WARM_UP = 3;

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'reg-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const dist = join(folder, 'dist');
const build = spawnSync(join(root, 'node_modules/.bin/tsup'), ['--silent', '--out-dir', dist], {
  cwd: join(root, 'apps/cli'),
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(1);
const main = join(dist, 'main.cjs');

const registry = await startRegistry({
  auth: 'bearer',
  users: { alice: 'wonderland' },
  repositories: { 'team/app': { tags: ['latest'] } },
  tokens: { expiresIn: 3_600 },
});
const auth = Buffer.from('alice:wonderland').toString('base64');
const docker = join(folder, '.docker');
mkdirSync(docker);
writeFileSync(join(docker, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }), {
  mode: 0o600,
});
// Nothing of this user's: no certificates, no options of Node's, no credentials.
const env = { PATH: process.env['PATH'], HOME: folder };

interface Case {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly stdin?: string;
  /** At most so many times `node -e 0`. */
  readonly budget?: number;
  readonly times: number[];
}

const repository = `${registry.host}/team/app`;
const reg = (...args: string[]): [string, ...string[]] => [process.execPath, main, ...args];
const tags = reg('tags', repository, '--trust-realm', registry.pair.realm);
const tagsOfSkopeo = ['list-tags', '--tls-verify=false', '--authfile', join(docker, 'config.json')];
const cases: readonly Case[] = [
  { name: 'node -e 0', command: [process.execPath, '-e', '0'], times: [] },
  { name: 'skopeo --version', command: ['skopeo', '--version'], times: [] },
  { name: 'reg --version', command: reg('--version'), budget: 1.2, times: [] },
  { name: 'reg --help', command: reg('--help'), budget: 1.55, times: [] },
  { name: 'reg __complete', command: reg('__complete', '--', 'tags', '--re'), times: [] },
  { name: 'reg credential get', command: reg('credential', 'get'), stdin: registry.host, times: [] },
  { name: 'reg tags, cold', command: [...tags, '--no-cache'], times: [] },
  { name: 'reg tags, with a kept token', command: tags, times: [] },
  { name: 'skopeo list-tags', command: ['skopeo', ...tagsOfSkopeo, `docker://${repository}`], times: [] },
];

/** Milliseconds that a process takes, or `null` where there is no such program. */
async function timed({ name, command: [file, ...args], stdin = '' }: Case): Promise<number | null> {
  const start = performance.now();
  const child = spawn(file, args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
  const errors = child.stderr.setEncoding('utf8').toArray();
  child.stdin.on('error', () => {}).end(stdin);
  try {
    const [code] = await once(child, 'exit');
    const time = performance.now() - start;
    if (code !== 0) throw new Error(`${name} ended with ${code}: ${(await errors).join('')}`);
    return time;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

for (let round = -WARM_UP; round < rounds; round++) {
  const order = cases.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at);
  for (const { one } of order) {
    const time = await timed(one);
    if (round >= 0 && time !== null) one.times.push(time);
  }
}

/** Requests that the registry and its token server get of `reg tags` run once. */
async function requestsOf(args: readonly string[]): Promise<number> {
  const before = registry.requests.length;
  await timed({ name: 'reg tags', command: [...tags, ...args], times: [] });
  return registry.requests.length - before;
}
const cold = await requestsOf(['--no-cache']);
await requestsOf([]);
const again = await requestsOf([]);
await registry.close();

const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
const base = median(cases[0]?.times ?? []);
let broken = false;
const verdict = (kept: boolean): string => {
  broken ||= !kept;
  return kept ? 'kept' : 'BROKEN';
};
console.log(`whole processes, medians of ${rounds} rounds, on Node ${process.version}, times node -e 0`);
for (const { name, times, budget } of cases) {
  const ratio = times.length === 0 ? 'not installed' : (median(times) / base).toFixed(2);
  const kept = budget === undefined ? '' : `   budget ${budget}: ${verdict(median(times) / base <= budget)}`;
  console.log(`  ${name.padEnd(28)} ${ratio}${kept}`);
}
console.log(`requests of reg tags: ${cold} cold, ${again} with a kept token   budget 1: ${verdict(again === 1)}
again: npx -y pnpm bench cli --rounds ${rounds}`);
process.exitCode = broken ? 1 : 0;
