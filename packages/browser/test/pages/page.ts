/**
 * The module of a test's page: what tests evaluate in the page finds the packages on `globalThis.reg`.
 *
 * Rules of this file: it does nothing by itself; a test's own code is in the test.
 */

import * as browser from '@reg/browser';
import { blame, describe, failureOf, isRegistryAuthError } from '@reg/core';
import { staticKeychain } from '@reg/core/driver';

const tools = {
  ...browser,
  blame,
  describe,
  failureOf,
  staticKeychain,
  /** What a call rejected with, as data that comes out of the page. */
  told: (error: unknown) =>
    isRegistryAuthError(error)
      ? { failure: error.failure, said: describe(error.failure) }
      : { failure: null, said: String(error) },
};

declare global {
  var reg: typeof tools;
}

globalThis.reg = tools;
