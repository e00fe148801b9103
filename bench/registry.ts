/** A registry on a thread of its own, so that what it costs is not counted as the client's. */

import { parentPort } from 'node:worker_threads';
import { startRegistry } from '@reg/testing';

/** What a client needs to know of it. */
export interface Address {
  readonly url: string;
  readonly host: string;
  readonly pair: { readonly registry: string; readonly realm: string };
  /** A token that lists the tags of `team/app`. */
  readonly token: string;
}

const { url, host, pair, issueToken } = await startRegistry({
  auth: 'bearer',
  users: { alice: 'wonderland' },
  repositories: { 'team/app': { tags: ['latest'] } },
  tokens: { expiresIn: 3_600 },
});
const address: Address = { url, host, pair, token: issueToken('alice', 'repository:team/app:pull') };
parentPort?.postMessage(address);
