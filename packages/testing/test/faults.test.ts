/** Each fault, seen from the other end of the wire. */

import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Fault, image } from '../src/index.ts';
import { registryFor } from './setup.ts';
import { listenRaw, parsed, send } from './wire.ts';

const { layer } = image('0123456789');
const BLOB = `/v2/a/b/blobs/${layer.digest}`;

const start = (...faults: Fault[]) =>
  registryFor({ auth: 'none', repositories: { 'a/b': { tags: { t: '0123456789' } } }, faults });

describe('which requests', () => {
  test('once by default, then the server is well again', async () => {
    const { url } = await start({ kind: 'status', status: 500 });
    expect((await send(`${url}/v2/`)).status).toBe(500);
    expect((await send(`${url}/v2/`)).status).toBe(200);
  });

  test('n times, after m, for ever, until removed or cleared', async () => {
    const { url, faults } = await start({ kind: 'status', status: 500, after: 1, times: 2 });
    const statuses = async (n: number) => {
      const seen: number[] = [];
      for (let i = 0; i < n; i++) seen.push((await send(`${url}/v2/`)).status);
      return seen;
    };
    expect(await statuses(4)).toEqual([200, 500, 500, 200]);
    const remove = faults.add({ kind: 'status', status: 503, times: Number.POSITIVE_INFINITY });
    expect(await statuses(2)).toEqual([503, 503]);
    remove();
    expect(await statuses(1)).toEqual([200]);
    faults.add({ kind: 'status', status: 503 });
    faults.clear();
    expect(await statuses(1)).toEqual([200]);
  });

  test.each<[string, Fault, number]>([
    ['another server', { server: 'token', kind: 'status', status: 500 }, 200],
    ['this server', { server: 'registry', kind: 'status', status: 500 }, 500],
    ['another method', { method: 'PUT', kind: 'status', status: 500 }, 200],
    ['another path', { path: '/v2/x', kind: 'status', status: 500 }, 200],
    ['this path, whatever the query', { path: '/v2/', kind: 'status', status: 500 }, 500],
    ['a path by expression', { path: /\?n=1$/, kind: 'status', status: 500 }, 500],
  ])('%s', async (_, fault, status) => {
    const { url } = await start(fault);
    expect((await send(`${url}/v2/?n=1`)).status).toBe(status);
  });

  test('of several, latency adds up and the last to answer wins', async () => {
    const { url } = await start(
      { kind: 'latency', ms: 20 },
      { kind: 'latency', ms: 20 },
      { kind: 'status', status: 500 },
      { kind: 'redirect', location: '/x' },
    );
    const before = performance.now();
    expect((await send(`${url}/v2/`)).status).toBe(307);
    expect(performance.now() - before).toBeGreaterThanOrEqual(39);
  });
});

describe('answers in the server’s place', () => {
  test('status, with headers and body; the request has no effect', async () => {
    const { url } = await start({
      kind: 'status',
      status: 503,
      headers: { 'Content-Type': 'text/html', 'Retry-After': '7' },
      body: '<h1>no</h1>',
    });
    const answer = await send(url + BLOB, { method: 'DELETE' });
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([
      503,
      'text/html',
      '<h1>no</h1>',
    ]);
    expect(answer.headers['retry-after']).toBe('7');
    expect((await send(url + BLOB)).status).toBe(200);
  });

  test('challenge: each value a field line of its own, byte for byte, however odd', async () => {
    const values = [
      'Negotiate',
      'Basic realm="unterminated',
      ' \tBearer  realm = x ,,',
      'X y="\u0001\u00ff"',
      '',
      'basic',
    ];
    const { url } = await start({ kind: 'challenge', values });
    const { bytes, ending } = await listenRaw(`${url}/v2/`);
    expect(bytes).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/);
    expect(bytes.split('\r\n').filter((line) => line.startsWith('WWW-Authenticate'))).toEqual(
      values.map((value) => `WWW-Authenticate: ${value}`),
    );
    expect(bytes).toMatch(/"code":"UNAUTHORIZED"/);
    expect(ending).toBe('end');
  });

  test('challenge with a status, and to a HEAD without a body', async () => {
    const { url } = await start({ kind: 'challenge', values: ['Basic realm="x"'], status: 403, times: 2 });
    const answer = await send(`${url}/v2/`);
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([403, 'Basic realm="x"']);
    const head = await send(`${url}/v2/`, { method: 'HEAD' });
    expect([head.status, head.text, Number(head.headers['content-length'])]).toEqual([
      403,
      '',
      answer.body.length,
    ]);
  });

  test('redirect', async () => {
    const { url } = await start(
      { kind: 'redirect', location: 'https://elsewhere.invalid/x' },
      { kind: 'redirect', location: '/y', status: 302, after: 1 },
    );
    const first = await send(`${url}/v2/`);
    expect([first.status, first.headers.location]).toEqual([307, 'https://elsewhere.invalid/x']);
    const second = await send(`${url}/v2/`);
    expect([second.status, second.headers.location]).toEqual([302, '/y']);
  });

  test('retry-after', async () => {
    const { url } = await start(
      { kind: 'retry-after', value: 7 },
      { kind: 'retry-after', value: 'Wed, 21 Oct 2026 07:28:00 GMT', status: 503, after: 1 },
    );
    const first = await send(`${url}/v2/`);
    expect([first.status, first.headers['retry-after']]).toEqual([429, '7']);
    expect(first.text).toMatch(/TOOMANYREQUESTS/);
    const second = await send(`${url}/v2/`);
    expect([second.status, second.headers['retry-after']]).toEqual([503, 'Wed, 21 Oct 2026 07:28:00 GMT']);
  });

  test('realm: the server’s own challenge with another realm', async () => {
    const { url } = await registryFor({
      auth: 'bearer',
      faults: [{ kind: 'realm', realm: '/own/token' }],
    });
    const answer = await send(`${url}/v2/a/b/tags/list`);
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer realm="/own/token",service="test-registry",scope="repository:a/b:pull"',
    );
  });
});

describe('spoils the body', () => {
  test('oversized-body: spaces up to the size, JSON all the same', async () => {
    const { url } = await start({ kind: 'oversized-body', bytes: 200_000 });
    const answer = await send(`${url}/v2/a/b/tags/list`);
    expect([answer.body.length, parsed(answer)]).toEqual([200_000, { name: 'a/b', tags: ['t'] }]);
  });

  test('gzip-bomb: small on the wire', async () => {
    const { url } = await start({ kind: 'gzip-bomb', bytes: 8_388_608 });
    const answer = await send(`${url}/v2/a/b/tags/list`);
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(answer.body.length).toBeLessThan(10_000);
    const unpacked = gunzipSync(answer.body);
    expect([unpacked.length, JSON.parse(unpacked.toString())]).toEqual([
      8_388_608,
      { name: 'a/b', tags: ['t'] },
    ]);
  });

  test('wrong-json: half of it, honestly measured', async () => {
    const { url } = await start({ kind: 'wrong-json' });
    const answer = await send(`${url}/v2/a/b/tags/list`);
    expect(answer.text).toBe('{"name":"a/b"');
    expect(() => parsed(answer)).toThrow(SyntaxError);
  });

  test('missing-fields', async () => {
    const { tokenUrl } = await start({
      kind: 'missing-fields',
      fields: ['token', 'expires_in', 'issued_at'],
    });
    expect(Object.keys(parsed<object>(await send(tokenUrl)))).toEqual(['access_token']);
  });

  test('missing-fields on what is no JSON is a fault of the test, and says so', async () => {
    const registry = await registryFor({
      auth: 'none',
      repositories: { 'a/b': { tags: { t: 'plain text' } } },
      faults: [{ kind: 'missing-fields', fields: ['x'] }],
    });
    const broken = await send(`${registry.url}/v2/a/b/blobs/${image('plain text').layer.digest}`);
    expect([broken.status, broken.text]).toEqual([500, expect.stringContaining('SyntaxError')]);
  });

  test('truncated-body: ends in order, short of its Content-Length', async () => {
    const { url } = await start({ kind: 'truncated-body', times: 2 });
    const { bytes, ending } = await listenRaw(url + BLOB);
    expect([ending, bytes.split('\r\n\r\n')[1]]).toEqual(['end', '01234']);
    expect(bytes).toMatch(/content-length: 10/i);
    await expect(send(url + BLOB)).rejects.toMatchObject({ code: 'ECONNRESET', message: 'aborted' });
  });

  test('slow-body: so many bytes at a time', async () => {
    const { url } = await start({ kind: 'slow-body', bytes: 4, everyMs: 25 });
    const before = performance.now();
    const { bytes, at } = await listenRaw(url + BLOB, (heard) => heard.endsWith('0123456789'));
    expect(bytes.endsWith('0123456789')).toBe(true);
    expect(at.length).toBeGreaterThanOrEqual(3);
    expect(performance.now() - before).toBeGreaterThanOrEqual(49);
  });
});

describe('breaks off', () => {
  const heads = {
    'before-head': /^$/,
    'after-head': /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/,
    'mid-body': /\r\n\r\n01234$/,
  };

  test.each(Object.entries(heads) as ['before-head' | 'after-head' | 'mid-body', RegExp][])(
    'reset %s',
    async (at, heard) => {
      const { url } = await start({ kind: 'reset', at });
      const { bytes, ending } = await listenRaw(url + BLOB);
      expect(ending).toBe('reset');
      expect(bytes).toMatch(heard);
    },
  );

  test('reset under TLS reaches TCP', async () => {
    const { url, ca, requests } = await registryFor({
      auth: 'none',
      tls: true,
      faults: [{ kind: 'reset', at: 'before-head' }],
    });
    await expect(send(`${url}/v2/`, { ca: ca ?? '' })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(requests).toMatchObject([{ status: null }]);
  });

  test.each(Object.entries(heads) as ['before-head' | 'after-head' | 'mid-body', RegExp][])(
    'stall %s lasts until the server closes',
    async (at, heard) => {
      const registry = await start({ kind: 'stall', at });
      let ended = false;
      const client = listenRaw(registry.url + BLOB).then((result) => {
        ended = true;
        return result;
      });
      // Another request is served meanwhile: by then a head that was to come has been sent.
      await send(`${registry.url}/v2/`);
      expect(ended).toBe(false);
      await registry.close();
      expect((await client).bytes).toMatch(heard);
    },
  );

  test('a request that got no head has no status in the log', async () => {
    const registry = await start(
      { kind: 'reset', at: 'before-head' },
      { kind: 'reset', at: 'after-head', after: 1 },
    );
    await listenRaw(`${registry.url}/v2/`);
    await listenRaw(`${registry.url}/v2/`);
    expect(registry.requests).toMatchObject([{ status: null }, { status: 200 }]);
  });
});

test('close ends idle, delayed, slow and stalled connections', async () => {
  const registry = await start(
    { path: '/v2/', kind: 'stall', at: 'before-head' },
    { path: '/v2/_catalog', kind: 'latency', ms: 3_600_000 },
    { path: BLOB, kind: 'slow-body', bytes: 1, everyMs: 3_600_000 },
  );
  const paths = ['/v2/', '/v2/_catalog', BLOB, '/v2/a/b/tags/list'];
  const clients = paths.map((path) => listenRaw(registry.url + path));
  while (registry.count() < paths.length) await send(`${registry.blobsUrl}/`);
  await registry.close();
  for (const { ending } of await Promise.all(clients)) expect(ending).not.toBe('open');
});
