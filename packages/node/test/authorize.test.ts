/** Headers for other clients: what they cost, whose they are, and what happens when one is refused. */

import { expect, test } from 'vitest';
import { createRegistryAuthorizer } from '../src/index.ts';
import { serve, stage, TAGS } from './stage.ts';

/** What a client of one's own gets for `header`. */
const statusWith = async (url: string, header: string | null): Promise<number> => {
  const response = await fetch(url, header === null ? {} : { headers: { authorization: header } });
  await response.body?.cancel();
  return response.status;
};

test('a header costs a ping and a token, then nothing, and the registry takes it', async () => {
  const { registry, auth } = await stage();
  const { authorize } = createRegistryAuthorizer(auth);
  const url = registry.url + TAGS;
  const first = await authorize({ url });
  expect(first).toMatchObject({ granted: 'repository:team/app:pull' });
  expect(first.expiresAt).toBeGreaterThan(Date.now());
  const { header, expiresAt, granted } = first;
  expect(await authorize({ url: new URL(url) })).toMatchObject({ header, expiresAt, granted });
  expect(registry.requests.map(({ server, url: path }) => [server, path.split('?')[0]])).toEqual([
    ['registry', '/v2/'],
    ['token', '/token'],
  ]);
  expect(await statusWith(url, first.header)).toBe(200);
});

test('the method says what is needed, and scopes say it in its place', async () => {
  const { registry, auth } = await stage();
  const { authorize } = createRegistryAuthorizer(auth);
  const put = await authorize({ url: `${registry.url}/v2/team/app/manifests/2`, method: 'PUT' });
  expect(put.granted).toBe('repository:team/app:pull,push');
  const asked = await authorize({ url: `${registry.url}/v2/`, scopes: 'repository:team/lib:pull' });
  expect(asked.granted).toBe('repository:team/lib:pull');
});

test('a registry that asks for nothing needs no header', async () => {
  const { registry } = await stage({ auth: 'none' });
  const { authorize } = createRegistryAuthorizer();
  const { transcript, ...authorized } = await authorize({ url: registry.url + TAGS });
  expect(authorized).toEqual({ header: null, expiresAt: null, granted: null });
  expect(transcript().steps).toHaveLength(1);
});

test('a header that was refused is replaced once for all who were refused', async () => {
  const { registry, auth } = await stage();
  const { authorize } = createRegistryAuthorizer(auth);
  const url = registry.url + TAGS;
  const { header: refused } = await authorize({ url });
  const before = registry.count({ server: 'token' });
  const again = await Promise.all([1, 2, 3].map(() => authorize({ url, refused })));
  expect(new Set(again.map(({ header }) => header)).size).toBe(1);
  expect(again[0]?.header).not.toBe(refused);
  expect((await authorize({ url, refused })).header).toBe(again[0]?.header);
  expect(registry.count({ server: 'token' }) - before).toBe(1);
});

test('what was forgotten is asked for anew', async () => {
  const { registry, auth } = await stage();
  const { authorize, forget } = createRegistryAuthorizer(auth);
  const url = registry.url + TAGS;
  const { header } = await authorize({ url });
  forget(registry.url);
  expect((await authorize({ url })).header).not.toBe(header);
  forget();
  await authorize({ url });
  expect(registry.count({ server: 'token' })).toBe(3);
});

test('an abort rejects with the reason of the signal', async () => {
  const { url } = await serve(() => {});
  const reason = new Error('changed my mind');
  const abort = new AbortController();
  const wanted = createRegistryAuthorizer().authorize({ url: url + TAGS, signal: abort.signal });
  abort.abort(reason);
  await expect(wanted).rejects.toBe(reason);
});
