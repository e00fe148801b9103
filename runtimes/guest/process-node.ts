/** Node, with `@reg/node`, which is not bundled: it runs as it is installed. */

import { staticKeychain } from '@reg/core/driver';
import { createRegistryFetch } from '@reg/node';
import { type FetchOptions, serveFetch } from '@reg/testing/guest';
import { channelOn, type Job, work } from './jobs.ts';
import { print } from './print.ts';

const node: Job = (socket) =>
  serveFetch(
    channelOn(socket),
    ({ credentials, policy }: FetchOptions) =>
      createRegistryFetch({ keychain: staticKeychain(credentials), policy }),
    print,
  );

await work(process.argv[2] ?? '', { node }, print);
