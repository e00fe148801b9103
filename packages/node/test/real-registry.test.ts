/**
 * CNCF Distribution itself, as Debian ships it, behind each kind of authorization it has. What was asked is read from its own
 * access log and from the token server's. `skopeo` pushes what we read, and reads what we pushed.
 */

import { failureOf, isRegistryAuthError, nextPage } from '@reg/core';
import type { staticKeychain } from '@reg/core/driver';
import { canary, digestOf, image, startTokenServer, type TokenServer } from '@reg/testing';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
// By path: a program that only tests start is no part of what @reg/testing offers.
import { type Distribution, isMissing, startDistribution } from '../../testing/test/docker-registry.ts';
import { createRegistryFetch } from '../src/index.ts';
import { htpasswd } from './htpasswd.ts';
import { skopeoFor } from './skopeo.ts';

const skipped = isMissing('docker-registry', 'htpasswd', 'skopeo');

let ran = 0;
beforeEach(() => {
  ran += 1;
});
afterAll(() => {
  console.log(`real registry: ${ran} tests`);
  if (ran === 0 && process.env['CI'] === 'true') throw new Error('CI=true wants tests on a real registry');
});

type Auth = 'none' | 'htpasswd' | 'token';
type Credential = Parameters<typeof staticKeychain>[0][string];

interface Setting {
  readonly registry: Distribution;
  /** Its requests; none without a token server. */
  readonly tokens: TokenServer | null;
  /** Alice, who may do everything, under the password the registry knows. */
  readonly alice: Credential & { readonly type: 'password' };
  /** A fetch with a memory of its own. */
  as(credential: Credential | null): typeof fetch;
}

const repositories = {
  'team/app': { access: { alice: ['*'], bob: ['pull'] } },
  'team/other': { access: { alice: ['*'] } },
  'library/open': { visibility: 'public', access: { alice: ['*'] } },
} as const;

const identityToken = canary('identity token');

async function settingFor(auth: Auth): Promise<Setting> {
  const passwords = { alice: canary('password'), bob: canary('password') };
  const users = { ...passwords, carol: { password: canary('password'), identityToken } };
  const tokens = auth === 'token' ? await startTokenServer({ users, repositories }) : null;
  if (tokens !== null) onTestFinished(() => tokens.close());
  const registry = await startDistribution(
    tokens !== null ? { token: tokens } : auth === 'none' ? null : { htpasswd: htpasswd(passwords) },
  );
}
