/** A page under a strict Content-Security-Policy, with Trusted Types: nothing of this package needs more than `connect-src`. */

import type { Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import type { Account } from './pages/page.ts';
import type { Task } from './pages/strict.ts';
import { PRIVATE_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

/** What came of asking for the tags of `team/app` in a page that may connect to `sources` and do nothing else but run its script. */
async function strict(registry: Registry, alice: Account, sources: readonly string[]) {
  const task: Task = { url: `${registry.url}${PRIVATE_TAGS}`, alice };
  const csp = [
    "default-src 'none'",
    "script-src 'self'",
    'img-src data:',
    `connect-src 'self' ${sources.join(' ')}`,
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  const origin = await serveSite({
    script: 'strict.ts',
    headers: { 'Content-Security-Policy': csp },
    files: { '/task.json': { type: 'application/json', body: JSON.stringify(task) } },
  });
  const opened = await chromium.open(origin);
  const text = await opened.page.locator('#done').textContent();
  return { ...JSON.parse(text ?? ''), errors: opened.errors };
}

describe.skipIf(chromiumIsMissing)('connect-src', () => {
  test('of registry and token server is all it takes: no eval, nothing inline, no sink of markup', async () => {
    const { registry, alice } = await registryFor();
    const { came, violations, errors } = await strict(registry, alice, [registry.url, registry.pair.realm]);
    expect(came).toEqual({ status: 200, failure: null, body: { name: 'team/app', tags: ['1'] } });
    expect([violations, errors]).toEqual([[], []]);
  });

  test('without the token server is a failure of the way there, which blames nobody for what it cannot know', async () => {
    const { registry, alice } = await registryFor();
    const { came, violations } = await strict(registry, alice, [registry.url]);
    expect(came.failure).toMatchObject({
      kind: 'network',
      to: 'authority',
      phase: 'unknown',
      code: 'FETCH_FAILED',
    });
    expect(came.failure.url).toContain(registry.tokenUrl);
    expect(came.said).toContain('diagnoseCors');
    expect(violations.every((line: string) => line.startsWith('connect-src'))).toBe(true);
    expect(violations.length).toBeGreaterThan(0);
    expect(registry.count({ server: 'token' })).toBe(0);
  });
});
