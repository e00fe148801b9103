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
/** What the workspace itself has is tested with everything else. */
const own: string = manifest(join(root, 'packages/node/node_modules/undici')).version;
const tested = new Set<string>(only.length === 0 ? [own] : []);
for (const wanted of [lowest, range]) {
  const installed = install(wanted);
  const { version } = manifest(installed);
  if (tested.has(version)) {
    const why = version === own ? 'is the workspace’s, which `test` runs on' : 'was tested just now';
    console.log(`undici ${version}, as ${wanted}: skipped, since it ${why}`);
    continue;
  }
  tested.add(version);
  console.log(`undici ${version}, as ${wanted}`);
  testOn(installed);
}

/** Installs undici and answers the folder of the package. */
function install(wanted: string): string {
  const place = join(folder, String(tested.size));
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'package.json'), '{"private":true}');
  run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', `undici@${wanted}`], place);
  return join(place, 'node_modules/undici');
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
