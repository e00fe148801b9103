/**
 * A process of its own for the tests of the file store: does what its parent says, and says what came of it.
 *
 * `moved` is by how much its clocks were moved before it started.
 */

import type { Credential } from '@reg/core';
import { createRegistryFetch, fileTokenStore, staticKeychain } from '@reg/node';

/** What a process is told to do. */
export type Order =
  | { readonly type: 'fetch'; readonly url: string; readonly client: Client }
  /** Writes one entry again and again, its token each time the same letter repeated, until it is killed. */
  | { readonly type: 'write'; readonly path: string };

export interface Client {
  readonly path: string;
  readonly pair: { readonly registry: string; readonly realm: string };
  /** `null`: nobody. */
  readonly credential: Credential | null;
}

const moved = Number(process.env['MOVED_MS'] ?? 0);
if (moved !== 0) {
  const [wall, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)];
  Date.now = () => wall() + moved;
  performance.now = () => monotonic() + moved;
}

process.on('message', (order: Order) => {
  obey(order).then(
    (said) => process.send?.(said),
    (error: unknown) => process.send?.(`failed: ${error}`),
  );
});
process.send?.('ready');

async function obey(order: Order): Promise<string> {
  switch (order.type) {
    case 'fetch': {
      const { path, pair, credential } = order.client;
      const { host } = new URL(pair.registry);
      const fetch = createRegistryFetch({
        store: fileTokenStore({ path }),
        policy: { realms: { pairs: [pair] } },
        ...(credential === null ? {} : { keychain: staticKeychain({ [host]: credential }) }),
      });
      const response = await fetch(order.url);
      await response.text();
      return String(response.status);
    }
    case 'write': {
      const store = fileTokenStore({ path: order.path });
      const key = { kind: 'challenge', origin: 'https://registry.example' } as const;
      for (let i = 0; ; i++) {
        const realm = `https://registry.example/${'abcdef'.charAt(i % 6).repeat(4_000)}`;
        const hint = { scheme: 'bearer', realm, service: null, elsewhere: null } as const;
        const expiresAt = performance.timeOrigin + performance.now() + 600_000;
        await store.write(key, { kind: 'challenge', hint, expiresAt });
        if (i === 0) process.send?.('writing');
      }
    }
  }
}
