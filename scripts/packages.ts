// Judges every published package by its tarball: what publint and Are the Types Wrong say of what a user installs,
// and that nothing of the workspace (its export condition, its protocol, its sources) went along. Needs a build.

import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pack, root, run } from './pack.ts';

const folder = mkdtempSync(join(tmpdir(), 'reg-packages-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const manifests = globSync('{packages,apps}/*/package.json', { cwd: root });
let published = 0;
for (const manifest of manifests.sort()) {
  const { name, private: unpublished, exports } = JSON.parse(readFileSync(join(root, manifest), 'utf8'));
  if (unpublished) continue;

  const tarball = pack(dirname(manifest), folder);
  run('npx', ['-y', 'pnpm', 'exec', 'publint', 'run', tarball, '--strict'], root);
  if (exports)
    run('npx', ['-y', 'pnpm', 'exec', 'attw', tarball, '--profile', 'esm-only', '--no-emoji'], root);

  const shipped = run('tar', ['-xzOf', tarball, 'package/package.json'], root);
  const files = run('tar', ['-tzf', tarball], root);
  if (/@reg\/source|workspace:/.test(shipped))
    fail(`${name}: the shipped package.json names workspace matters`);
  if (/^package\/(?:src|test)\//m.test(files)) fail(`${name}: the tarball holds sources or tests`);
  console.log(`${name}: ${files.trim().split('\n').length} files, sound`);
  published += 1;
}
if (published === 0) fail('no package is published');

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
