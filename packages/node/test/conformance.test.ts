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

/** What follows a redirect is the caller's own: the interceptor hands every 3xx over as it came (design: it follows none). */
const follows = [
  'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
  'a redirect on the same origin keeps Authorization',
  'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
  'there and back again: what was dropped on the way does not come back (rule 7)',
  'redirects without end are refused: redirect-refused',
];

describe('registryAuth', () => {
  const set: string[] = [];
  runConformance({
    createFetch: requestOn,
    test: (name, run) => {
      if (!follows.includes(name)) return test(name, run);
      set.push(name);
      return test.fails(`${name}: not followed`, run);
    },
  });
  test('only the cases that follow a redirect are not its own', () => {
    expect(set.sort()).toEqual([...follows].sort());
  });
});
