/** The one suite, on the platform's fetch of Node, which shows redirects. */

import { staticKeychain } from '@reg/core/driver';
import { runConformance } from '@reg/testing';
import { test } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';

runConformance({
  test,
  createFetch: ({ credentials, policy }) =>
    createRegistryFetch({ keychain: staticKeychain(credentials), policy }),
});
