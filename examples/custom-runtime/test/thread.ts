/** A worker thread as `message-port/worker.ts` is a worker of a page. With each port it is told the credential to use on it. */

import { parentPort } from 'node:worker_threads';
import { createRegistryFetch } from '@reg/browser';
import { staticKeychain } from '@reg/core/driver';
import { serve } from '../message-port/serve.ts';

parentPort?.on('message', ({ port, host, registry, realm, username, password }) => {
  const fetch = createRegistryFetch({
    keychain: staticKeychain({ [host]: { type: 'password', username, password } }),
    policy: { realms: { pairs: [{ registry, realm }] } },
  });
  serve(port, async () => ({ fetch, registries: [registry] }));
});
