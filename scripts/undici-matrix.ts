// The tests of @reg/node that reach undici, on the lowest that its range allows and on the newest of that range, each installed
// in a folder of its own. `node scripts/undici-matrix.ts test/composed.test.ts` runs those tests alone. What was loaded is
// printed and asserted by packages/node/test/undici.test.ts, which runs each time.

import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './pack.ts';

const folder = mkdtempSync(join(tmpdir(), 'reg-undici-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const only = process.argv.slice(2);
const importers = globSync('packages/node/src/**/*.ts', { cwd: root }).filter((path) =>
  readFileSync(join(root, path), 'utf8').includes("from 'undici'"),
);
const which =
  only.length === 0 ? ['related', '--run', ...importers] : ['run', ...only, 'test/undici.test.ts'];

const range: string = manifest(join(root, 'packages/node')).dependencies.undici;
const lowest = range.slice(range.search(/\d/));
const tested = new Set<string>();
for (const wanted of [lowest, range]) {
  const installed = install(wanted);
  const { version } = manifest(installed);
  if (tested.has(version)) {
    console.log(`undici ${version} is the lowest and the newest of ${range}: the second run is skipped`);
    continue;
  }
  tested.add(version);
  console.log(`undici ${version}, as ${wanted}`);
  testOn(installed);
}

/** Installs undici and answers the folder of the package. */
function install(wanted: string): string {
  const own = join(folder, String(tested.size));
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'package.json'), '{"private":true}');
  run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', `undici@${wanted}`], own);
  return join(own, 'node_modules/undici');
}

function testOn(installed: string): void {
  const { status } = spawnSync('npx', ['-y', 'pnpm', 'exec', 'vitest', ...which, '--project', 'node'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, REG_UNDICI: installed },
  });
  if (status !== 0) process.exit(status ?? 1);
}

function manifest(path: string) {
  return JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
}
