/**
 * A service worker that does the handshake: the page asks its own origin for `/v2/…` and sees neither password nor token.
 *
 * Rules of this file: where the registry is, and as whom, is read once from `/task.json`.
 */

import { createRegistryFetch, staticKeychain } from '@reg/browser';
import type { Task } from './strict.ts';
import { takeOver } from './worker-scope.ts';

async function connect(): Promise<(request: Request) => Promise<Response>> {
  const { url, alice }: Task = await (await fetch('/task.json')).json();
  const client = createRegistryFetch({
    keychain: staticKeychain({
      [alice.host]: { type: 'password', username: 'alice', password: alice.password },
    }),
    policy: { realms: { pairs: [alice.pair] } },
  });
  return ({ url: asked, method, signal }) => {
    const { pathname, search } = new URL(asked);
    return client(new URL(pathname + search, url), { method, signal });
  };
}

takeOver();
const connected = connect();
addEventListener('fetch', (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (origin !== location.origin || !pathname.startsWith('/v2/')) return;
  event.respondWith(connected.then((answer) => answer(event.request)));
});
