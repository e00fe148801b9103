/** Hostile text of a registry in Chromium: each ends as a typed failure or as the registry's own answer, and runs nowhere. */

import type { Fault } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import { PRIVATE_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

const path = PRIVATE_TAGS;
const script = '<img src=x onerror="globalThis.ran = true"><script>globalThis.ran = true</script>';
const bidi = '\u202e\u2066gnp.evil\u2069\u200b\u001b[31m\u0000';

/** What of `bidi` must reach no reader as it is: directions, invisible characters, terminal controls. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const invisible = /[\u0000-\u0008\u001b\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;

const errors = (message: string): string =>
  JSON.stringify({ errors: [{ code: message, message, detail: message }] });

const json = { 'Content-Type': 'application/json' };

/** What alice is told by a page whose registry has `fault`, and what became of the page. */
async function told(fault: Fault) {
  const { registry, alice } = await registryFor();
  registry.faults.add(fault);
  const { page, errors } = await chromium.open(await serveSite());
  const outcome = await page.evaluate(
    async ([url, alice]) => {
      const client = globalThis.reg.alice(alice);
      const outcome = await client(url).then(globalThis.reg.ended, globalThis.reg.told);
      // As a careless page would show it, if it were markup.
      document.body.textContent = outcome.said;
      return outcome;
    },
    [`${registry.url}${path}`, alice] as const,
  );
  expect(await page.evaluate(() => 'ran' in globalThis)).toBe(false);
  expect(errors).toEqual([]);
  expect(outcome.said ?? '').not.toMatch(invisible);
  expect(outcome.said?.length ?? 0).toBeLessThan(4_000);
  return { outcome, registry };
}

describe.skipIf(chromiumIsMissing)('a WWW-Authenticate', () => {
  test('of 1 MiB is more than Chromium takes for a head: a network failure', async () => {
    const { outcome } = await told({
      path,
      kind: 'challenge',
      values: [`Bearer realm="${'x'.repeat(1_048_576)}"`],
    });
    expect(outcome.failure).toMatchObject({ kind: 'network', to: 'registry', code: 'FETCH_FAILED' });
  });

  test.each([
    ['one quoted value', `Bearer realm="${'x'.repeat(200_000)}"`],
    ['ten thousand challenges', 'Basic realm="x", '.repeat(10_000)],
    ['a quote without end', `Bearer realm="${'\\\\'.repeat(90_000)}`],
    ['commas', ','.repeat(200_000)],
  ])('of 200 kB that Chromium takes is not read: %s', async (_, value) => {
    const { outcome, registry } = await told({ path, kind: 'challenge', values: [value] });
    expect(outcome).toMatchObject({ status: 401, failure: { kind: 'challenge-unusable' } });
    expect(registry.count({ server: 'token' })).toBe(0);
  });

  test.each([
    ['markup as the host of a realm', 'Bearer realm="https://<script>/"', 'realm-forbidden'],
    ['a script as realm', 'Bearer realm="javascript:globalThis.ran=true"', 'realm-forbidden'],
    ['data as realm', `Bearer realm="data:application/json,{}"`, 'realm-forbidden'],
    ['a blob as realm', 'Bearer realm="blob:https://registry.test/1"', 'realm-forbidden'],
    ['markup in a realm', `Bearer realm="https://registry.test/<script>"`, 'realm-untrusted'],
    ['user info in a realm', 'Bearer realm="https://alice:secret@registry.test/"', 'realm-forbidden'],
    ['cloud metadata as realm', 'Bearer realm="https://169.254.169.254/token"', 'realm-forbidden'],
    ['markup as scheme', script, 'challenge-unusable'],
  ])('with %s is a typed failure', async (_, value, kind) => {
    const { outcome, registry } = await told({ path, kind: 'challenge', values: [value] });
    expect(outcome.failure?.kind).toBe(kind);
    expect(registry.count({ server: 'token' })).toBe(0);
  });
});

describe.skipIf(chromiumIsMissing)('a body', () => {
  test.each([
    ['markup', script],
    ['directions and controls', bidi],
  ])('of a refusal with %s is text', async (_, text) => {
    const atRegistry = await told({
      path,
      after: 1,
      kind: 'status',
      status: 403,
      headers: json,
      body: errors(text),
    });
    expect(atRegistry.outcome).toMatchObject({ status: 403, failure: { kind: 'denied' } });
    const atToken = await told({
      server: 'token',
      kind: 'status',
      status: 401,
      headers: json,
      body: errors(text),
    });
    expect(atToken.outcome.failure?.kind).toBe('credential-rejected');
  });

  test('of a token server that is a page, a bomb or a token with a header in it gives no token', async () => {
    const faults: readonly Fault[] = [
      { kind: 'status', status: 200, headers: { 'Content-Type': 'text/html' }, body: script },
      { kind: 'gzip-bomb', bytes: 100_000_000 },
      { kind: 'status', status: 200, headers: json, body: JSON.stringify({ token: 'x\r\nX-Evil: 1' }) },
    ];
    for (const fault of faults) {
      const { outcome, registry } = await told({ server: 'token', ...fault });
      expect(outcome.failure?.kind).toBe('token-invalid');
      expect(registry.requests.flatMap(({ headers }) => headers['authorization'] ?? [])).toHaveLength(1);
    }
  });

  test('that is an answer is the caller’s as it came', async () => {
    const { outcome } = await told({ path, after: 1, kind: 'status', status: 200, body: script });
    expect(outcome).toMatchObject({ status: 200, failure: null });
  });
});
