/**
 * Which undici everything here ran on. `scripts/undici-matrix.ts` names another than the workspace's; that it was the one is seen
 * at what was loaded, not at what was asked for.
 */

import { readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Agent } from 'undici';
import { expect, test } from 'vitest';
import { registryAuth } from '../src/index.ts';

/** The folders of the packages that this process has loaded an `Agent` from. */
function loaded(): readonly { readonly folder: string; readonly agent: unknown }[] {
  const suffix = join('lib', 'dispatcher', 'agent.js');
  return Object.values(createRequire(import.meta.url).cache).flatMap((module) =>
    module?.filename.endsWith(join('undici', suffix))
      ? [{ folder: dirname(dirname(dirname(module.filename))), agent: module.exports }]
      : [],
  );
}

test('the sources and the tests run on one undici, and on the one that was asked for', () => {
  // The sources make an Agent of their own when they need one; loading them here is enough to see where from.
  expect(registryAuth).toBeTypeOf('function');
  const copies = loaded();
  expect(copies.map(({ agent }) => agent)).toEqual([Agent]);
  const [{ folder } = { folder: '' }] = copies;
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  console.log(`undici ${version}; Node ${process.versions.node} with undici ${process.versions['undici']}`);
  expect(name).toBe('undici');
  expect(realpathSync(folder)).toBe(realpathSync(process.env['REG_UNDICI'] ?? folder));
});
