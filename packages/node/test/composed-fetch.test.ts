/** The conformance suite by the fetch that is built into Node, on an undici of ours with the interceptor as global dispatcher. */

import { staticKeychain } from '@reg/core/driver';
import { type CreateFetch, runConformance } from '@reg/testing';
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const before = getGlobalDispatcher();
afterEach(() => setGlobalDispatcher(before));

const createFetch: CreateFetch = ({ credentials, policy }) => {
  const dispatcher = new Agent().compose(registryAuth({ keychain: staticKeychain(credentials), policy }));
  return async (url, init) => {
    // fetch takes the dispatcher that is set when it is called.
    setGlobalDispatcher(dispatcher);
    try {
      return await fetch(url, init);
    } catch (error) {
      // What ends a request is the cause of fetch's own TypeError.
      throw error instanceof TypeError && error.cause !== undefined ? error.cause : error;
    }
  };
};

/** Cases that are not the interceptor's, by why. */
const notOurs: ReadonlySet<string> = new Set([
  // Node's fetch follows redirects by itself, whatever the origin and method, and each hop is a request of its own to us.
  'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
  'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
  'there and back again: what was dropped on the way does not come back (rule 7)',
  'redirects without end are refused: redirect-refused',
  'an upload that is sent to another origin is the caller’s 307; nothing goes there (requirement 140)',
  // A registry that cannot be reached ends a request with undici's own error.
  'registry: a connection that breaks is network',
]);

describe(`fetch of Node (undici ${process.versions['undici']})`, () => {
  const names = new Set<string>();
  runConformance({
    createFetch,
    test: (name, run) => {
      names.add(name);
      if (!notOurs.has(name)) test(name, run);
    },
  });
  test(`passes all cases but ${notOurs.size} of redirects and of undici's own errors`, () => {
    expect([...names]).toEqual(expect.arrayContaining([...notOurs]));
  });
});
