/** A dedicated or a shared worker that asks a registry for what it is told to, and tells what came of it. */

import { createRegistryFetch, sessionTokenStore, staticKeychain } from '@reg/browser';
import type { Task } from './strict.ts';
import './worker-scope.ts';

async function work({ url, alice }: Task): Promise<string> {
  const client = createRegistryFetch({
    keychain: staticKeychain({
      [alice.host]: { type: 'password', username: 'alice', password: alice.password },
    }),
    policy: { realms: { pairs: [alice.pair] } },
  });
  const statuses = [(await client(url)).status, (await client(url)).status];
  try {
    sessionTokenStore();
  } catch (error) {
    return `${statuses}; ${error}`;
  }
  return `${statuses}; a session store`;
}

interface Port {
  postMessage(message: string): void;
}

const serve = (port: Port, { data }: MessageEvent<Task>): void =>
  void work(data).then(
    (done) => port.postMessage(done),
    (error: unknown) => port.postMessage(String(error)),
  );

addEventListener('message', (event: MessageEvent<Task>) => serve(globalThis, event));
addEventListener('connect', ({ ports: [port] }) => {
  if (port !== undefined) port.onmessage = (event: MessageEvent<Task>) => serve(port, event);
});
