/**
 * The module of a test's page: what tests evaluate in the page finds the packages on `globalThis.reg`.
 *
 * Rules of this file: it does nothing by itself; a test's own code is in the test.
 */

import * as browser from '@reg/browser';

/** Where alice has an account, as `registryFor` tells it. */
export interface Account {
  readonly host: string;
  readonly pair: { readonly registry: string; readonly realm: string };
  readonly password: string;
}

const tools = {
  ...browser,
  /** A client that is nobody, and may ask the token server of one registry: on loopback no other may be asked without a pair. */
  anyone: ({ pair }: Pick<Account, 'pair'>, options: browser.RegistryFetchOptions = {}): typeof fetch =>
    browser.createRegistryFetch({ policy: { realms: { pairs: [pair] } }, ...options }),
  /** A client that is alice at one registry. */
  alice({ host, pair, password }: Account, options: browser.RegistryFetchOptions = {}): typeof fetch {
    return browser.createRegistryFetch({
      keychain: browser.staticKeychain({ [host]: { type: 'password', username: 'alice', password } }),
      ...options,
      policy: { realms: { pairs: [pair] }, ...options.policy },
    });
  },
  /** What an answer says, as data that comes out of the page. */
  ended: (response: Response) => {
    const failure = browser.failureOf(response);
    return { status: response.status, failure, said: failure === null ? null : browser.describe(failure) };
  },
  /** What a call rejected with, as data that comes out of the page. */
  told: (error: unknown) =>
    browser.isRegistryAuthError(error)
      ? { failure: error.failure, said: browser.describe(error.failure) }
      : { failure: null, said: String(error) },
  /** Puts this page under the service worker at `path`. */
  async controlledBy(path: string): Promise<void> {
    const { serviceWorker } = navigator;
    const controlled = new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve));
    await serviceWorker.register(path, { type: 'module' });
    await controlled;
  },
};

declare global {
  var reg: typeof tools;
}

globalThis.reg = tools;
