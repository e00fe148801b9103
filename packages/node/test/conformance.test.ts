/** Both adapters pass the one suite. */

import { Readable } from 'node:stream';
import { staticKeychain } from '@reg/core/driver';
import { type CreateFetch, runConformance } from '@reg/testing';
import { Agent, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { createRegistryFetch, registryAuth } from '../src/index.ts';

describe('createRegistryFetch', () => {
  runConformance({
    test,
    createFetch: ({ credentials, policy }) =>
      createRegistryFetch({ keychain: staticKeychain(credentials), policy }),
  });
});

/** `undici.request` on a composed dispatcher, dressed as fetch. */
const requestOn: CreateFetch = ({ credentials, policy }) => {
  const dispatcher = new Agent().compose(registryAuth({ keychain: staticKeychain(credentials), policy }));
  return async (url, { method = 'GET', headers = {}, body, signal } = {}) => {
    const answer = await request(url, {
      dispatcher,
      method,
      headers,
      body: body instanceof ReadableStream ? Readable.fromWeb(body) : (body ?? null),
      signal: signal ?? null,
    });
    const fields = new Headers(
      Object.entries(answer.headers).flatMap(([name, value]) =>
        [value ?? []].flat().map((one): [string, string] => [name, one]),
      ),
    );
    const reader = answer.body[Symbol.asyncIterator]();
    return {
      status: answer.statusCode,
      url,
      redirected: false,
      headers: fields,
      body: {
        getReader: () => ({
          read: async () => {
            const { done, value } = await reader.next();
            return { done: done ?? false, value };
          },
        }),
      },
      text: () => answer.body.text(),
    };
  };
};

/** Cases that are fetch's alone, by why. What the interceptor does instead is in interceptor.test.ts. */
const fetchAlone: ReadonlySet<string> = new Set([
  // It hands every 3xx over as it came.
  'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
  'a redirect on the same origin keeps Authorization',
  'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
  'there and back again: what was dropped on the way does not come back (rule 7)',
  'redirects without end are refused: redirect-refused',
  // A registry that cannot be reached ends a request with undici's own error, which `retry` decides by.
  'registry: a connection that breaks is network',
]);

describe('registryAuth', () => {
  const names = new Set<string>();
  runConformance({
    createFetch: requestOn,
    test: (name, run) => {
      names.add(name);
      if (!fetchAlone.has(name)) test(name, run);
    },
  });
  test(`runs all cases but ${fetchAlone.size} of redirects and of undici's own errors`, () => {
    expect([...names]).toEqual(expect.arrayContaining([...fetchAlone]));
  });
});
