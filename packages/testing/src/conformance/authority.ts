/** Token servers that fail: what is tried again, what is refused, and that no failure is kept. */

import assert from 'node:assert/strict';
import type { FaultEffect } from '../faults.ts';
import type { Case } from './contract.ts';
import { assertFails, onStage } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';
const ALWAYS = Number.POSITIVE_INFINITY;

/** Faults after which the call succeeds, with this many token requests. */
const mended: readonly [name: string, tokenRequests: number, effect: FaultEffect][] = [
  ['500 once is tried again', 2, { kind: 'status', status: 500 }],
  ['503 once is tried again', 2, { kind: 'status', status: 503, body: '<html>busy</html>' }],
  ['a connection that is reset is tried again', 2, { kind: 'reset', at: 'before-head' }],
  ['a body that ends early is tried again', 2, { kind: 'truncated-body' }],
  [
    'no access_token: token will do (requirement 69)',
    1,
    { kind: 'missing-fields', fields: ['access_token'] },
  ],
  ['no token: access_token will do (Q24)', 1, { kind: 'missing-fields', fields: ['token'] }],
  ['no expires_in, no issued_at (Q25)', 1, { kind: 'missing-fields', fields: ['expires_in', 'issued_at'] }],
  ['a slow body is waited for', 1, { kind: 'slow-body', bytes: 64, everyMs: 1 }],
  ['a body just within the limit', 1, { kind: 'oversized-body', bytes: 131_072 }],
];

/** Answers that are final, and what they are called. The call fails after one token request. */
const refused: readonly [name: string, kind: string, effect: FaultEffect][] = [
  ['a body over the limit', 'token-invalid', { kind: 'oversized-body', bytes: 1_048_576 }],
  ['a gzip bomb', 'token-invalid', { kind: 'gzip-bomb', bytes: 16_777_216 }],
  ['JSON that ends early', 'token-invalid', { kind: 'wrong-json' }],
  [
    'no token at all (requirement 70)',
    'token-invalid',
    { kind: 'missing-fields', fields: ['token', 'access_token'] },
  ],
  ['an empty 204', 'token-invalid', { kind: 'status', status: 204 }],
  ['HTML with 200', 'token-invalid', { kind: 'status', status: 200, body: '<html>login</html>' }],
  [
    'a token that would split the header (requirement 81)',
    'token-invalid',
    { kind: 'status', status: 200, body: JSON.stringify({ token: 'a\r\nX-Injected: yes' }) },
  ],
  ['400', 'token-refused', { kind: 'status', status: 400, body: 'user and account are not the same' }],
  ['404', 'token-refused', { kind: 'status', status: 404 }],
  [
    '403, which some servers give a revoked credential (Q35)',
    'token-refused',
    { kind: 'status', status: 403 },
  ],
  ['429 for longer than the deadline', 'rate-limited', { kind: 'retry-after', value: 3_600 }],
];

export const authority: readonly Case[] = [
  ...mended.map(
    ([name, tokenRequests, effect]): Case => ({
      name: `token server: ${name}`,
      run: onStage({}, async ({ registry, fetch }) => {
        registry.faults.add({ server: 'token', ...effect });
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        assert.equal(registry.count({ server: 'token' }), tokenRequests);
        assert.equal(registry.count({ server: 'registry' }), 2);
      }),
    }),
  ),
  ...refused.map(
    ([name, kind, effect]): Case => ({
      name: `token server: ${name} is ${kind}; the next call starts anew`,
      run: onStage({}, async ({ registry, fetch, password }) => {
        registry.faults.add({ server: 'token', ...effect });
        await assertFails(fetch(`${registry.url}${TAGS}`), kind, password);
        assert.equal(registry.count({ server: 'token' }), 1);
        assert.equal(registry.requests.filter(({ headers }) => 'x-injected' in headers).length, 0);
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      }),
    }),
  ),
  {
    name: 'token server: a redirect is not followed: token-redirected (requirement 60)',
    run: async (createFetch) => {
      for (const status of [301, 302, 303, 307, 308]) {
        await onStage({}, async ({ registry, fetch, another, password }) => {
          const other = await another({ auth: 'bearer' });
          registry.faults.add({ server: 'token', kind: 'redirect', status, location: other.tokenUrl });
          await assertFails(fetch(`${registry.url}${TAGS}`), 'token-redirected', password);
          assert.equal(other.count(), 0);
        })(createFetch);
      }
    },
  },
  {
    name: 'token server: Retry-After is waited for whole (requirement 88)',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ server: 'token', kind: 'retry-after', value: 1 });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      const [first, second] = registry.requests.filter(({ server }) => server === 'token');
      assert.ok(first !== undefined && second !== undefined);
      // Timers of the client and clock of the log are different clocks, a few milliseconds apart.
      assert.ok(second.at - first.at >= 990, `${second.at - first.at} ms`);
    }),
  },
  {
    name: 'token server: errors without end are given up on after some tries',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ server: 'token', kind: 'status', status: 500, times: ALWAYS });
      await assertFails(fetch(`${registry.url}${TAGS}`), 'token-refused');
      assert.equal(registry.count({ server: 'token' }), 3);
    }),
  },
  {
    name: 'token server: a connection that always breaks is network',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ server: 'token', kind: 'reset', at: 'before-head', times: ALWAYS });
      await assertFails(fetch(`${registry.url}${TAGS}`), 'network');
    }),
  },
  ...(['before-head', 'after-head', 'mid-body'] as const).map(
    (at): Case => ({
      name: `token server: silence ${at} ends at the deadline`,
      run: onStage({ policy: { deadlineMs: 250 } }, async ({ registry, fetch }) => {
        registry.faults.add({ server: 'token', kind: 'stall', at, times: ALWAYS });
        await assertFails(fetch(`${registry.url}${TAGS}`), 'deadline');
        assert.equal(registry.count({ server: 'token' }), 1);
      }),
    }),
  ),
  {
    name: 'registry: a connection that breaks is network',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ server: 'registry', kind: 'reset', at: 'before-head', times: ALWAYS });
      await assertFails(fetch(`${registry.url}${TAGS}`), 'network');
    }),
  },
];
