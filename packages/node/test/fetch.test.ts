/** createRegistryFetch, on sockets: what fetch's users expect of it, and what its bodies cost. */

import { openAsBlob } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { failureOf, isRegistryAuthError, type RegistryAuthError } from '@reg/core';
import { allow, digestOf } from '@reg/testing';
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';
import { agent, aliceAt, serve, stage, TAGS, turn, until } from './stage.ts';

const UPLOADS = '/v2/team/app/blobs/uploads/';
const LAYER = 'the bytes of a layer';
const DIGEST = digestOf(Buffer.from(LAYER));
const layer = digestOf(Buffer.from('app content'));

/** A registry and alice's fetch. */
async function fetching(options: Parameters<typeof stage>[0] = {}) {
  const { registry, auth, password } = await stage(options);
  return { registry, password, fetch: createRegistryFetch({ ...auth, dispatcher: agent() }) };
}

/** A server whose answers echo nothing and need alice, and her fetch. */
async function basic(answer: Parameters<typeof serve>[0]) {
  const { url } = await serve((request, response) => {
    if (request.headers.authorization !== undefined) return answer(request, response);
    request.resume();
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
    return response.end();
  });
  return { url, fetch: createRegistryFetch({ keychain: aliceAt(url), dispatcher: agent() }) };
}

async function errorOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => expect.unreachable('it resolved'),
    (error: unknown) => error,
  );
}

/** Bytes that no HTTP library writes. */
async function raw(text: string): Promise<string> {
  const server = createServer((socket) => socket.on('data', () => socket.end(text, 'latin1')));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v2/`;
}

describe('the response', () => {
  test('is the platform’s own, with url, status, headers and body', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(`${registry.url}${TAGS}#fragment`);
    expect(response).toBeInstanceOf(Response);
    expect(response).toMatchObject({
      ok: true,
      status: 200,
      statusText: 'OK',
      url: registry.url + TAGS,
      redirected: false,
      bodyUsed: false,
    });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({ name: 'team/app', tags: ['1'] });
    expect(response.bodyUsed).toBe(true);
  });

  test('after a redirect says where it came from', async () => {
    const { registry, fetch } = await fetching({ redirectBlobs: true });
    const response = await fetch(`${registry.url}/v2/team/app/blobs/${layer}`);
    expect(response.redirected).toBe(true);
    expect(new URL(response.url).origin).toBe(registry.blobsUrl);
    expect(await response.text()).toBe('app content');
  });

  test('clones keep url, redirected, failure and body', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(`${registry.url}/v2/team/none/tags/list`);
    const clone = response.clone();
    expect(clone).toMatchObject({ url: response.url, redirected: false, status: 401 });
    expect(failureOf(clone)).toEqual(failureOf(response));
    expect(failureOf(clone.clone())).not.toBe(null);
    expect(await clone.text()).toBe(await response.text());
  });

  test('takes a reader with a buffer of its own', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(`${registry.url}/v2/team/app/blobs/${layer}`);
    const reader = response.body?.getReader({ mode: 'byob' });
    const { value } = (await reader?.read(new Uint8Array(3))) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe('app');
    await reader?.cancel();
  });

  test.each([204, 205, 304])('%i has no body', async (status) => {
    const { url } = await serve((_, response) => {
      response.statusCode = status;
      response.end();
    });
    const response = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/`);
    expect([response.status, response.body]).toEqual([status, null]);
  });

  test('repeated fields are all there', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.setHeader('Link', ['<a>; rel="next"', '<b>; rel="last"']);
      response.end();
    });
    const { headers } = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/`);
    expect(headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(headers.get('link')).toBe('<a>; rel="next", <b>; rel="last"');
  });

  test('a reason phrase and values that are no ASCII do no harm', async () => {
    const fetch = createRegistryFetch({ dispatcher: agent() });
    const url = await raw('HTTP/1.1 200 \xe6\x97\xa5\r\nX-Odd: \xe9\r\nContent-Length: 2\r\n\r\nok');
    const response = await fetch(url);
    expect([response.status, response.statusText, await response.text()]).toEqual([200, '', 'ok']);
    expect(response.headers.get('x-odd')).toBe('\xe9');
  });

  test.each([600, 999])(
    'status %i, which no Response can be made with, is delivered as by fetch',
    async (status) => {
      const url = await raw(`HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`);
      const response = await createRegistryFetch({ dispatcher: agent() })(url);
      for (const one of [response.clone(), response]) {
        expect([one.status, one.ok, one.statusText, await one.text()]).toEqual([status, false, 'Odd', 'ok']);
      }
    },
  );
});

describe('failures', () => {
  test('the registry’s 401 is delivered, with what its body says in the failure and the body whole', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(`${registry.url}/v2/team/none/tags/list`);
    expect(response.status).toBe(401);
    expect(failureOf(response)).toMatchObject({
      kind: 'denied',
      problems: [{ code: 'UNAUTHORIZED' }],
    });
    expect(await response.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const)('a 403 in %s says what it says, and its body is whole', async (coding, compress) => {
    const text = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not yours' }] });
    const { url, fetch } = await basic((_, response) => {
      response.writeHead(403, { 'Content-Encoding': coding });
      response.end(compress(text));
    });
    const response = await fetch(`${url}/v2/team/app/tags/list`);
    expect(failureOf(response)).toMatchObject({ problems: [{ code: 'DENIED', message: 'not yours' }] });
    expect(await response.text()).toBe(text);
  });

  test('a 403 with much to say is delivered whole', async () => {
    const text = 'no '.repeat(100_000);
    const { url, fetch } = await basic((_, response) => {
      response.statusCode = 403;
      response.end(text);
    });
    const response = await fetch(`${url}/v2/x`);
    expect(failureOf(response)).toMatchObject({ kind: 'denied', status: 403 });
    expect(await response.text()).toBe(text);
  });

  test('a 403 whose body does not come is delivered all the same', async () => {
    const { url, fetch } = await basic((_, response) => {
      response.statusCode = 403;
      response.write('{"errors":');
    });
    const response = await fetch(`${url}/v2/x`);
    expect(response.status).toBe(403);
    await response.body?.cancel();
  });

  const phases: readonly [string, string, string, () => Promise<string>][] = [
    ['a name that does not exist', 'lookup', 'ENOTFOUND', async () => 'https://registry.invalid'],
    ['a closed port', 'connect', 'ECONNREFUSED', async () => 'http://127.0.0.1:1'],
    [
      'a certificate nobody knows',
      'tls',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      async () => (await stage({ tls: true })).registry.url,
    ],
    [
      'a server that hangs up',
      'head',
      'UND_ERR_SOCKET',
      async () => (await serve((request) => request.socket.end())).url,
    ],
  ];

  test.each(phases)('%s is network in phase %s, with undici’s error as cause', async (_, phase, code, at) => {
    const fetch = createRegistryFetch({ dispatcher: agent() });
    const error = await errorOf(fetch(`${await at()}/v2/`));
    expect(isRegistryAuthError(error)).toBe(true);
    const { failure, cause } = error as RegistryAuthError;
    expect(failure).toMatchObject({ kind: 'network', to: 'registry', phase, code });
    expect(cause).toMatchObject({ code });
    expect(JSON.stringify(cause)).not.toContain('phase');
  });

  test('a connection that breaks while the body is sent is network in phase send', async () => {
    const { url } = await serve((request, response) => {
      if (request.method === 'GET') response.end();
      else request.once('data', () => request.socket.resetAndDestroy());
    });
    const fetch = createRegistryFetch({ dispatcher: agent() });
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(65_536)) });
    const error = await errorOf(fetch(`${url}/v2/x`, { method: 'PUT', body, duplex: 'half' }));
    expect((error as RegistryAuthError).failure).toMatchObject({ kind: 'network', phase: 'send' });
  });

  test('a body that breaks off is fetch’s own "terminated"', async () => {
    const { registry, fetch } = await fetching({ auth: 'none' });
    registry.faults.add({ path: TAGS, kind: 'truncated-body' });
    const response = await fetch(registry.url + TAGS);
    await expect(response.text()).rejects.toMatchObject({ name: 'TypeError', message: 'terminated' });
  });
});

describe('no secret is printed', () => {
  /** All that anybody could print of `value`, its causes and hidden members included. */
  const printed = (value: unknown): string =>
    inspect(value, { depth: 20, showHidden: true, getters: true }) + JSON.stringify(value);

  test('with a response', async () => {
    const { registry, fetch } = await fetching();
    for (const path of [TAGS, '/v2/team/none/tags/list']) {
      const response = await fetch(registry.url + path);
      for (const one of [response, response.clone(), failureOf(response)]) {
        expect(printed(one)).not.toContain('canary-');
      }
    }
  });

  test.each<[string, (secret: string) => string]>([
    ['is refused with it', (secret) => `HTTP/1.1 401 No\r\nContent-Length: 31\r\n\r\n${secret}`],
    ['cannot be parsed', (secret) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ${secret}`],
    ['has no head', (secret) => `${secret}`],
    ['breaks off', (secret) => `HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n${secret}`],
    ['redirects', (secret) => `HTTP/1.1 307 No\r\nLocation: /${secret}\r\nContent-Length: 0\r\n\r\n`],
  ])('with the error of a token request that %s', async (_, answer) => {
    const { registry, auth, password } = await stage();
    const realm = new URL(await raw(answer(password))).origin;
    allow(password, realm);
    registry.faults.add({ server: 'registry', kind: 'realm', realm });
    const policy = { realms: { pairs: [{ registry: registry.url, realm }] }, retry: { attempts: 1 } };
    const fetch = createRegistryFetch({ ...auth, policy, dispatcher: agent() });
    const error = await errorOf(fetch(registry.url + TAGS));
    expect(isRegistryAuthError(error)).toBe(true);
    expect(printed(error)).not.toContain('canary-');
    expect(String((error as Error).stack)).not.toContain('canary-');
  });
});

describe('aborts', () => {
  const reason = new Error('enough');

  test('while the beginning of an error is read', async () => {
    let head = false;
    const { url } = await serve((_, response) => {
      response.statusCode = 403;
      response.write('x', () => {
        head = true;
      });
    });
    const controller = new AbortController();
    const call = createRegistryFetch({ dispatcher: agent() })(`${url}/v2/x`, { signal: controller.signal });
    await until(() => head);
    for (let i = 0; i < 20; i++) await turn();
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  test('at whatever moment: the reason, or the body and then the reason, or all of it', async () => {
    const { registry, auth } = await stage();
    for (let moment = 0; moment < 60; moment++) {
      const controller = new AbortController();
      const fetch = createRegistryFetch({ ...auth, dispatcher: agent() });
      const call = fetch(registry.url + TAGS, { signal: controller.signal }).then((response) =>
        response.text(),
      );
      const settled = call.catch((error: unknown) => error);
      for (let i = 0; i < moment; i++) await turn();
      controller.abort(reason);
      expect(['{"name":"team/app","tags":["1"]}', reason]).toContain(await settled);
    }
  });
});

describe('arguments, as fetch takes them', () => {
  test('a Request, its fields overridden by init', async () => {
    const { registry, fetch } = await fetching({ auth: 'none' });
    const request = new Request(new URL(TAGS, registry.url), { method: 'HEAD', headers: { 'X-A': '1' } });
    expect((await fetch(request)).body).toBe(null);
    await fetch(request, { method: 'get', headers: { 'X-B': '2' } });
    expect(registry.requests.map(({ method, headers }) => [method, headers['x-a'], headers['x-b']])).toEqual([
      ['HEAD', '1', undefined],
      ['GET', undefined, '2'],
    ]);
  });

  test('a body of up to 256 KiB inside a Request is sent again, with its length', async () => {
    const { registry, fetch } = await fetching();
    const bytes = Buffer.alloc(262_144, 'x');
    const url = `${registry.url}${UPLOADS}?digest=${digestOf(bytes)}`;
    const response = await fetch(new Request(url, { method: 'POST', body: bytes }));
    expect(response.status).toBe(201);
    const sent = registry.requests.map(({ method, headers }) => [method, headers['content-length']]);
    expect(sent).toEqual([
      ['POST', '262144'],
      ['GET', undefined],
      ['POST', '262144'],
    ]);
  });

  test('and so is that of a Request that stands for init', async () => {
    const { registry, fetch } = await fetching();
    const url = `${registry.url}${UPLOADS}?digest=${DIGEST}`;
    const other = new Request('http://mirror.invalid/', { method: 'POST', body: LAYER });
    expect((await fetch(url, other)).status).toBe(201);
    expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'POST']);
  });

  test.each([[undefined], [{ body: null }]])(
    'a longer one is a stream, which the ping spares, and arrives whole; init: %o',
    async (init) => {
      const { registry, fetch } = await fetching();
      const bytes = Buffer.concat([Buffer.alloc(262_144, 'x'), Buffer.from(LAYER)]);
      const url = `${registry.url}${UPLOADS}?digest=${digestOf(bytes)}`;
      const request = new Request(url, { method: 'POST', body: new Blob([bytes]) });
      expect((await fetch(request, init)).status).toBe(201);
      expect(registry.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'POST']);
    },
  );

  test('an abort while the body of a Request is read ahead cancels it, with the reason', async () => {
    const { registry, fetch } = await fetching();
    const reason = new Error('enough');
    const controller = new AbortController();
    let cancelled: unknown = null;
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(Buffer.from('x')),
      cancel(why) {
        cancelled = why;
      },
    });
    const slow = new Request(registry.url + UPLOADS, { method: 'POST', body, duplex: 'half' });
    const call = errorOf(fetch(slow, { signal: controller.signal }));
    await turn();
    controller.abort(reason);
    expect(await call).toBe(reason);
    await until(() => cancelled === reason);
    expect(registry.count()).toBe(0);
  });

  test('the signal of a Request, unless init has its own', async () => {
    const { registry, fetch } = await fetching();
    const reason = new Error('enough');
    const request = new Request(registry.url + TAGS, { signal: AbortSignal.abort(reason) });
    await expect(fetch(request)).rejects.toBe(reason);
    expect((await fetch(request, { signal: null })).status).toBe(200);
  });

  test.each<[string, string, RequestInit]>([
    ['a URL that is none', 'registry', {}],
    ['a body on GET', 'http://127.0.0.1:1/v2/', { body: 'x' }],
    ['a method that is none', 'http://127.0.0.1:1/v2/', { method: 'G T' }],
    ['a header that is none', 'http://127.0.0.1:1/v2/', { headers: { 'a b': 'c' } }],
    ['a stream without duplex', 'http://127.0.0.1:1/v2/', { method: 'PUT', body: new ReadableStream() }],
    ['credentials in the URL', 'http://alice:pw@127.0.0.1:1/v2/', {}],
    ['another scheme', 'ftp://127.0.0.1/v2/', {}],
    ['integrity, which is not checked', 'http://127.0.0.1:1/v2/', { integrity: 'sha256-AAAA' }],
    ['a dispatcher for one request', 'http://127.0.0.1:1/v2/', Object.fromEntries([['dispatcher', agent]])],
  ])('TypeError: %s', async (_, url, init) => {
    await expect(createRegistryFetch()(url, init)).rejects.toThrow(TypeError);
  });

  test('Accept is fetch’s unless given, and no coding is asked for', async () => {
    const { registry, fetch } = await fetching({ auth: 'none' });
    await fetch(registry.url + TAGS);
    await fetch(registry.url + TAGS, { headers: { Accept: 'application/json' } });
    expect(registry.requests.map(({ headers }) => headers['accept'])).toEqual(['*/*', 'application/json']);
    expect(registry.requests.map(({ headers }) => headers['accept-encoding'])).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('without a dispatcher undici’s global one is used, as it is at the time', async () => {
    const before = getGlobalDispatcher();
    onTestFinished(() => setGlobalDispatcher(before));
    const { registry, auth } = await stage();
    const fetch = createRegistryFetch(auth);
    let sent = 0;
    setGlobalDispatcher(
      agent().compose((dispatch) => (options, handler) => {
        sent += 1;
        return dispatch(options, handler);
      }),
    );
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
    expect(sent).toBe(3);
  });

  test('userAgent is sent to all, the caller’s own to the registry (Q57)', async () => {
    const { registry, auth } = await stage();
    const fetch = createRegistryFetch({ ...auth, userAgent: 'mine/1', dispatcher: agent() });
    await fetch(registry.url + TAGS, { headers: { 'User-Agent': 'yours/2' } });
    const names = registry.requests.map(({ headers }) => headers['user-agent']);
    expect(names).toEqual(['yours/2', 'mine/1', 'yours/2']);
  });

  test('clientId is what a token server is told', async () => {
    const { registry, auth } = await stage({ auth: 'oauth2' });
    const policy = { ...auth.policy, oauth2: 'prefer' } as const;
    const fetch = createRegistryFetch({ ...auth, policy, clientId: 'my-service', dispatcher: agent() });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
    const token = registry.requests.find(({ server }) => server === 'token');
    expect(new URLSearchParams(token?.body).get('client_id')).toBe('my-service');
  });
});

describe('redirect modes', () => {
  test('manual hands the 3xx over, error rejects, both without going there', async () => {
    const { registry, fetch } = await fetching({ redirectBlobs: true });
    const url = `${registry.url}/v2/team/app/blobs/${layer}`;
    const response = await fetch(url, { redirect: 'manual' });
    expect([response.status, response.url]).toEqual([307, url]);
    await expect(fetch(url, { redirect: 'error' })).rejects.toMatchObject({
      name: 'TypeError',
      cause: { message: 'unexpected redirect' },
    });
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });
});

describe('bodies that are sent again after a challenge', () => {
  /** Each body that arrived, with its type. */
  async function echo() {
    const arrived: {
      readonly body: string;
      readonly type: string | undefined;
      length: string | undefined;
    }[] = [];
    const { url } = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      arrived.push({
        body,
        type: request.headers['content-type'],
        length: request.headers['content-length'],
      });
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      }
      response.end();
    });
    return { arrived, url, fetch: createRegistryFetch({ keychain: aliceAt(url), dispatcher: agent() }) };
  }

  const form = new FormData();
  form.append('name', 'value');
  const kinds: readonly [string, NonNullable<RequestInit['body']>, string, string | undefined][] = [
    ['text', 'a=ü', 'a=ü', 'text/plain;charset=UTF-8'],
    ['empty text', '', '', 'text/plain;charset=UTF-8'],
    ['an ArrayBuffer', new Uint8Array(Buffer.from('abc')).buffer, 'abc', undefined],
    ['a view of a part', new Uint8Array(Buffer.from('xabcx')).subarray(1, 4), 'abc', undefined],
    [
      'URLSearchParams',
      new URLSearchParams({ a: 'b c' }),
      'a=b+c',
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
    ['a Blob', new Blob(['abc'], { type: 'text/x' }), 'abc', 'text/x'],
  ];

  test.each(kinds)('%s', async (_, body, text, type) => {
    const { arrived, url, fetch } = await echo();
    expect((await fetch(`${url}/v2/x`, { method: 'PUT', body })).status).toBe(200);
    expect(arrived).toHaveLength(2);
    for (const sent of arrived) {
      expect(sent).toMatchObject({ body: text, length: String(Buffer.byteLength(text)) });
      expect(sent.type?.toLowerCase()).toBe(type?.toLowerCase());
    }
  });

  test('a form, under one boundary', async () => {
    const { arrived, url, fetch } = await echo();
    await fetch(`${url}/v2/x`, { method: 'PUT', body: form });
    expect(arrived).toHaveLength(2);
    expect(arrived[0]?.body).toContain('name="name"\r\n\r\nvalue');
    expect(arrived[1]).toEqual(arrived[0]);
  });

  test('a file, read anew', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fetch-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'layer'), LAYER);
    const { arrived, url, fetch } = await echo();
    await fetch(`${url}/v2/x`, { method: 'PUT', body: await openAsBlob(join(folder, 'layer')) });
    expect(arrived.map(({ body, length }) => [body, length])).toEqual([
      [LAYER, String(LAYER.length)],
      [LAYER, String(LAYER.length)],
    ]);
  });

  describe('a file that is not as it was', () => {
    /** A body of a file that has changed since: Node reads no such blob. */
    async function changed(): Promise<Blob> {
      const folder = await mkdtemp(join(tmpdir(), 'fetch-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, 'layer'), LAYER);
      const blob = await openAsBlob(join(folder, 'layer'));
      await writeFile(join(folder, 'layer'), `${LAYER}, and more`);
      return blob;
    }

    test.each<[string, (url: string, blob: Blob) => Parameters<typeof fetch>]>([
      ['a Blob', (url, body) => [url, { method: 'PUT', body }]],
      ['a Blob in a Request', (url, body) => [new Request(url, { method: 'PUT', body })]],
    ])('%s of it is no fault of the network: TypeError, as of fetch', async (_, args) => {
      const { arrived, url, fetch } = await echo();
      const error = await errorOf(fetch(...args(`${url}/v2/x`, await changed())));
      expect(error).toMatchObject({
        name: 'TypeError',
        message: 'fetch failed',
        cause: { name: 'NotReadableError' },
      });
      expect(arrived.filter(({ body }) => body !== '')).toEqual([]);
    });
  });

  test('bytes as they were when fetch was called', async () => {
    const { arrived, url, fetch } = await echo();
    const bytes = Buffer.from('before');
    const call = fetch(`${url}/v2/x`, { method: 'PUT', body: bytes });
    bytes.write('after!');
    await call;
    expect(arrived.map(({ body }) => body)).toEqual(['before', 'before']);
  });
});

describe('streams', () => {
  test('an async iterable is sent once, after the ping', async () => {
    const { registry, fetch } = await fetching();
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(LAYER.slice(0, 5));
      yield Buffer.from(LAYER.slice(5));
    }
    const url = `${registry.url}${UPLOADS}?digest=${DIGEST}`;
    const response = await fetch(url, { method: 'POST', body: chunks(), duplex: 'half' });
    expect(response.status).toBe(201);
    expect(registry.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'POST']);
  });

  test('one that is never sent is cancelled', async () => {
    const { registry, fetch } = await fetching();
    registry.faults.add({ server: 'token', kind: 'status', status: 403 });
    let cancelled = false;
    const body = new ReadableStream({
      cancel() {
        cancelled = true;
      },
    });
    const call = fetch(registry.url + UPLOADS, { method: 'POST', body, duplex: 'half' });
    await expect(call).rejects.toMatchObject({ code: 'ERR_REG_TOKEN_REFUSED' });
    await until(() => cancelled);
  });

  test('an error of its own is no fault of the network: TypeError, with that error as cause', async () => {
    const { registry, fetch } = await fetching();
    const error = new Error('disk on fire');
    const body = new ReadableStream({
      pull(controller) {
        controller.error(error);
      },
    });
    const call = fetch(registry.url + UPLOADS, { method: 'POST', body, duplex: 'half' });
    expect(await errorOf(call)).toMatchObject({ name: 'TypeError', message: 'fetch failed', cause: error });
  });
});

describe('decoding', () => {
  test.each([
    ['gzip', gzipSync],
    ['X-GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
    ['gzip, br', (text: string) => brotliCompressSync(gzipSync(text))],
    ['identity', Buffer.from],
    ['unheard-of', Buffer.from],
    ['gzip, gzip, gzip, gzip, gzip, gzip', Buffer.from],
  ] as const)('%s', async (coding, encode) => {
    const { url } = await serve((_, response) => {
      response.setHeader('Content-Encoding', coding);
      response.end(encode(LAYER));
    });
    const response = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/`);
    expect(await response.text()).toBe(LAYER);
  });

  test('an empty body in gzip is empty', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.end();
    });
    expect(await (await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/`)).text()).toBe('');
  });

  test('gzip that ends early is an error, not a shorter body', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.end(gzipSync(LAYER).subarray(0, -9));
    });
    const response = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/`);
    await expect(response.text()).rejects.toThrow(TypeError);
  });

  test('a token of 64 MiB in 64 KiB of gzip is too large, and never in memory', async () => {
    const bomb = gzipSync(Buffer.alloc(67_108_864));
    const { registry } = await stage();
    const { url: realm } = await serve((_, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.end(bomb);
    });
    registry.faults.add({ kind: 'realm', realm });
    const fetch = createRegistryFetch({ policy: { realms: { pairs: [{ registry: registry.url, realm }] } } });
    const before = process.memoryUsage().arrayBuffers;
    const error = await errorOf(fetch(registry.url + TAGS));
    expect((error as RegistryAuthError).failure).toMatchObject({
      kind: 'token-invalid',
      reason: 'too-large',
    });
    // The limit is 128 KiB; decoders and sockets have buffers beside.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 1_048_576);
  });
});

test('after a thousand calls nothing is left on the caller’s signal', async () => {
  const { registry, fetch } = await fetching();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners += 1;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners -= 1;
    Reflect.apply(removeEventListener, signal, args);
  };
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const response = await fetch(registry.url + TAGS, { signal });
        await response.text();
      }),
    );
  }
  await turn();
  expect(listeners).toBe(0);
});

test('a body that is not read holds no more than what was on its way', async () => {
  let written = 0;
  const { url } = await serve((_, response) => {
    const write = (): void => {
      if (response.destroyed || written > 64 * 1_048_576) return;
      written += 65_536;
      if (response.write(Buffer.alloc(65_536))) setImmediate(write);
      else response.once('drain', write);
    };
    write();
  });
  const dispatcher = new Agent();
  onTestFinished(() => dispatcher.destroy());
  const response = await createRegistryFetch({ dispatcher })(`${url}/v2/`);
  let last = -1;
  // Buffers of the two sockets fill, and then nothing moves.
  for (let still = 0; still < 200; still = written === last ? still + 1 : 0) {
    last = written;
    await turn();
  }
  expect(written).toBeLessThan(32 * 1_048_576);
  await response.body?.cancel();
});
