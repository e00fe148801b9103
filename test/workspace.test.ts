// What the manifests promise: the Node under test, a lockfile that any registry serves, and packages that ship what
// the workspace runs on.

import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const manifests = globSync('{packages,apps}/*/package.json', { cwd: root }).sort();

/** What each package may need at run time. One more takes a record in docs/decisions. */
const allowed: Record<string, readonly string[]> = {
  '@reg/browser': ['@reg/core'],
  // Its build holds what it needs.
  '@reg/cli': [],
  '@reg/core': [],
  '@reg/node': ['@reg/core', 'proper-lockfile', 'undici'],
  '@reg/testing': [],
};

test('the tests run on the Node that package.json pins, whatever started them', () => {
  expect(process.version).toBe(`v${JSON.parse(read('package.json')).devDependencies.node}`);
});

test('the lockfile names no registry', () => {
  expect(read('pnpm-lock.yaml')).not.toMatch(/https?:\/\/|tarball:/);
});

describe.each(manifests)('%s', (path) => {
  const manifest = JSON.parse(read(path));
  const entries: [string, Record<string, string>][] = Object.entries(manifest.exports ?? {});

  test('needs at run time only what was decided', () => {
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(allowed[manifest.name]);
  });

  test('publishes its entries without the condition that points at sources', () => {
    const shipped = entries.map(([entry, { '@reg/source': _, ...conditions }]) => [entry, conditions]);
    expect(manifest.publishConfig.exports ?? {}).toEqual(Object.fromEntries(shipped));
  });

  test('has the source of every entry', () => {
    const sources = entries.map(([, conditions]) =>
      join(root, dirname(path), conditions['@reg/source'] ?? ''),
    );
    expect(sources.filter((source) => !existsSync(source))).toEqual([]);
  });
});
