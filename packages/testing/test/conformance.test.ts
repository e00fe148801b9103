import { describe, expect, test } from 'vitest';
import { cases } from '../src/conformance/suite.ts';
import { activate, createTap, runConformance } from '../src/index.ts';
import { bends } from './bends.ts';
import { bridged } from './bridge.ts';
import { type Bend, clientWith } from './client.ts';

describe.each([
  ['', clientWith],
  [' through the bridge', (bend?: Bend) => bridged(clientWith(bend))],
] as const)('a client%s', (_, client) => {
  describe('that is right passes', () => {
    runConformance({ test, createFetch: client() });
  });

  describe('that is wrong fails the case about it', () => {
    test.each(bends)('%s', async (_, caseName, bend) => {
      const found = cases.filter(({ name }) => caseName.test(name));
      expect(found).toHaveLength(1);
      for (const { run } of found) {
        // What a wrong client leaks is for a tap that nobody reads.
        const restore = activate(createTap());
        await expect(run(client(bend)))
          .rejects.toThrow()
          .finally(restore);
      }
    });
  });
});

test('each case has a name of its own', () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});
