/**
 * A page under a strict Content-Security-Policy: it does its work by itself, since a test that evaluates code in it would not
 * be bound by the policy.
 *
 * Rules of this file: what the page is to do stands in `/task.json`; what came of it is the text of the document.
 */

import {
  createRegistryFetch,
  describe,
  failureOf,
  isRegistryAuthError,
  sessionTokenStore,
  staticKeychain,
} from '@reg/browser';
import type { Account } from './page.ts';

export interface Task {
  readonly url: string;
  readonly alice: Account;
}

const violations: string[] = [];
document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
  violations.push(`${violatedDirective} ${blockedURI}`);
});

async function work(): Promise<unknown> {
  const { url, alice } = await (await fetch('/task.json')).json();
  const client = createRegistryFetch({
    keychain: staticKeychain({
      [alice.host]: { type: 'password', username: 'alice', password: alice.password },
    }),
    policy: { realms: { pairs: [alice.pair] } },
    store: sessionTokenStore(),
  });
  const response = await client(url);
  return { status: response.status, failure: failureOf(response), body: await response.json() };
}

void work()
  .catch((error: unknown) =>
    isRegistryAuthError(error)
      ? { failure: error.failure, said: describe(error.failure) }
      : { said: String(error) },
  )
  .then((came) => {
    document.body.textContent = JSON.stringify({ came, violations });
    document.body.id = 'done';
  });
