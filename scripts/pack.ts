// The tarball of a package, as it would be published.

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..');

/** Packs the built package at `path` (from the root) into the folder `into`; answers the tarball's file name. */
export function pack(path: string, into: string): string {
  const packed = run('npx', ['-y', 'pnpm', 'pack', '--json', '--pack-destination', into], join(root, path));
  return JSON.parse(packed).filename;
}

/** Runs a program and answers what it wrote to stdout. A failure ends this process with the program's own words. */
export function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  console.error(`${program} ${args.join(' ')}\n${error ?? stdout + stderr}`);
  process.exit(1);
}
