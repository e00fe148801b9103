/** Aborts: they end the caller's wait with the caller's reason, and nobody else's. */

import assert from 'node:assert/strict';
import { image } from '../storage.ts';
import type { Case } from './contract.ts';
import { arrival, onStage } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';

async function reasonOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => assert.fail('an abort was expected to reject'),
    (reason: unknown) => reason,
  );
}

export const aborts: readonly Case[] = [
  {
    name: 'a signal that has aborted already: no request',
    run: onStage({}, async ({ registry, fetch }) => {
      const reason = new Error('not today');
      assert.equal(await reasonOf(fetch(registry.url + TAGS, { signal: AbortSignal.abort(reason) })), reason);
      assert.equal(registry.count(), 0);
    }),
  },
  ...(['registry', 'token'] as const).map(
    (server): Case => ({
      name: `an abort while the ${server} server is silent rejects with the signal’s reason; the next call works`,
      run: onStage({}, async ({ registry, fetch }) => {
        registry.faults.add({ server, kind: 'stall', at: 'before-head' });
        const controller = new AbortController();
        const reason = new Error('enough');
        const call = reasonOf(fetch(registry.url + TAGS, { signal: controller.signal }));
        await arrival(registry, { server });
        controller.abort(reason);
        assert.equal(await call, reason);
        assert.equal((await fetch(registry.url + TAGS)).status, 200);
      }),
    }),
  ),
  {
    name: 'one waiter’s abort does not take the token from the others',
    run: onStage({}, async ({ registry, fetch }) => {
      await fetch(`${registry.url}/v2/team/lib/tags/list`);
      registry.faults.add({ server: 'token', kind: 'latency', ms: 50 });
      const controller = new AbortController();
      const aborted = reasonOf(fetch(registry.url + TAGS, { signal: controller.signal }));
      const others = [fetch(registry.url + TAGS), fetch(registry.url + TAGS)];
      await arrival(registry, { server: 'token', path: /team%2Fapp/ });
      controller.abort();
      assert.ok((await aborted) instanceof Error);
      for (const response of await Promise.all(others)) assert.equal(response.status, 200);
      assert.equal(registry.count({ server: 'token' }), 2);
    }),
  },
  {
    name: 'an abort in the middle of a body ends the body',
    run: onStage({}, async ({ registry, fetch }) => {
      const { digest } = image('app content').layer;
      registry.faults.add({ path: /blobs/, after: 1, kind: 'stall', at: 'mid-body' });
      const controller = new AbortController();
      const response = await fetch(`${registry.url}/v2/team/app/blobs/${digest}`, {
        signal: controller.signal,
      });
      const reader = response.body?.getReader();
      const first = await reader?.read();
      assert.equal(Buffer.from(first?.value ?? []).toString(), 'app c');
      const reason = new Error('enough');
      const rest = reasonOf(reader?.read() ?? Promise.resolve());
      controller.abort(reason);
      assert.equal(await rest, reason);
    }),
  },
];
