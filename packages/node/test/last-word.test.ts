/** A refusal that is final comes as the registry said it, whatever was tried in between. */

import { request } from 'undici';
import { expect, test } from 'vitest';
import { createRegistryFetch, failureOf, registryAuth } from '../src/index.ts';
import { agent, aliceAt, serve, stage, TAGS } from './stage.ts';

test('a password that worked and is refused later is told in the registry’s own words', async () => {
  let isOpen = true;
  const server = await serve((incoming, response) => {
    if (isOpen && incoming.headers.authorization !== undefined) return response.end('tags');
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
    return response.end('account locked, call 555');
  });
  const fetch = createRegistryFetch({ keychain: aliceAt(server.url) });
  const get = () => fetch(`${server.url}/v2/team/app/tags/list`);
  expect(await (await get()).text()).toBe('tags');
  expect(await (await get()).text()).toBe('tags');
  isOpen = false;
  for (const _ of [1, 2]) {
    const refused = await get();
    expect([refused.status, await refused.text()]).toEqual([401, 'account locked, call 555']);
    expect(failureOf(refused)).toMatchObject({ kind: 'credential-rejected', status: 401 });
  }
});

test('through the interceptor the header fields know why a 403 is final', async () => {
  const { registry, auth } = await stage();
  registry.faults.add({ path: TAGS, after: 1, kind: 'status', status: 403, body: 'never' });
  const dispatcher = agent().compose(registryAuth(auth));
  const denied = await request(registry.url + TAGS, { dispatcher });
  expect([denied.statusCode, await denied.body.text()]).toEqual([403, 'never']);
  expect(failureOf(denied.headers)).toMatchObject({ kind: 'denied', status: 403, reason: 'forbidden' });
  const { headers, body } = await request(registry.url + TAGS, { dispatcher });
  await body.dump();
  expect(failureOf(headers)).toBeNull();
});
