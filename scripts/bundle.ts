/**
 * Judges the built command: what is in it, and how much of it is loaded for what is asked. Needs a build.
 *
 * Rules of this file: what is loaded is what a process did load, told by itself at its end. A limit is what was measured, and a
 * few per cent (docs/decisions/0050): growth is to be noticed, and argued for.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { Script } from 'node:vm';
import { startRegistry } from '../packages/testing/src/index.ts';

const dist = resolve(import.meta.dirname, '../apps/cli/dist');
const faults: string[] = [];

interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>>;
}

const { inputs, outputs }: Metafile = JSON.parse(readFileSync(join(dist, 'metafile-esm.json'), 'utf8'));

// undici alone is 733 kB, and takes longer to load than Node to start.
for (const input of Object.keys(inputs)) {
  if (/node_modules\/undici\/|packages\/node\/src\/[^/]+\.ts$/.test(input))
    faults.push(`${input} is in the command`);
}

// The registry of the tests is the demo's.
for (const [output, { inputs }] of Object.entries(outputs)) {
  const names = Object.keys(inputs);
  const stranger = names.find((input) => input.includes('packages/testing/'));
  if (stranger !== undefined && !names.some((input) => input.endsWith('commands/demo.ts')))
    faults.push(`${stranger} is in ${output}, which is not the demo`);
}

// An ES import of node:http loads all of the undici that is in Node (nodejs/node#59686).
for (const name of readdirSync(dist).filter((name) => name.endsWith('.cjs'))) {
  const text = readFileSync(join(dist, name), 'utf8').replace(/^#!.*/, '');
  try {
    new Script(`(function (exports, require, module) {${text}\n})`, { filename: name });
  } catch (error) {
    faults.push(`${name} is no CommonJS: ${error}`);
  }
  if (/\bimport\(/.test(text)) faults.push(`${name} loads an ES module`);
}

interface Loaded {
  readonly files: number;
  readonly bytes: number;
  /** Of those that take a millisecond and more to load. */
  readonly builtins: readonly string[];
}

const slow = ['child_process', 'crypto', 'dns', 'fs/promises', 'http', 'https', 'readline', 'tls', 'zlib'];

/** Loaded before `main.cjs`; writes to the fourth stream what was loaded behind it. */
const observed = `
  process.on('exit', () => {
    const fs = require('node:fs');
    const files = Object.keys(require.cache).filter((file) => file !== __filename);
    const bytes = files.reduce((sum, file) => sum + fs.statSync(file).size, 0);
    const builtins = ${JSON.stringify(slow)}.filter((name) => process.moduleLoadList.includes('NativeModule ' + name));
    fs.writeSync(3, JSON.stringify({ files: files.length, bytes, builtins }));
  });
`;

async function loadedBy(args: readonly string[]): Promise<Loaded> {
  const home = mkdtempSync(join(tmpdir(), 'reg-bundle-'));
  try {
    const observer = join(home, 'observer.cjs');
    writeFileSync(observer, observed);
    const child = spawn(process.execPath, ['-r', observer, join(dist, 'main.cjs'), ...args], {
      env: { HOME: home },
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    const told = (child.stdio[3] as Readable).setEncoding('utf8').toArray();
    const [code] = await once(child, 'close');
    if (code !== 0) faults.push(`reg ${args[0]} ended with ${code}`);
    return JSON.parse((await told).join(''));
  } finally {
    rmSync(home, { recursive: true });
  }
}

const registry = await startRegistry({ auth: 'none', repositories: { 'team/app': { tags: ['latest'] } } });
const limits: readonly (readonly [args: readonly string[], kB: number, builtins: readonly string[]])[] = [
  [['--version'], 6, []],
  [['--help'], 6, []],
  [['tags', '--help'], 78, []],
  [['__complete', '--', 'tags', '--'], 80, []],
  [
    ['tags', `${registry.host}/team/app`],
    295,
    ['child_process', 'crypto', 'dns', 'fs/promises', 'http', 'https', 'tls', 'zlib'],
  ],
];
for (const [args, kB, allowed] of limits) {
  const { files, bytes, builtins } = await loadedBy(args);
  const size = bytes / 1_000;
  const name = args.join(' ');
  console.log(
    `reg ${name}: ${files} files, ${size.toFixed(1)} kB of ${kB}; ${builtins.join(', ') || 'no slow builtin'}`,
  );
  if (size > kB) faults.push(`reg ${name} loads ${size.toFixed(1)} kB, and ${kB} kB are its limit`);
  const more = builtins.filter((name) => !allowed.includes(name));
  if (more.length > 0) faults.push(`reg ${name} loads ${more.join(', ')}`);
}
await registry.close();

for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
