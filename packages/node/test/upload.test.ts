/**
 * Pushing: uploads that outlive their token, go where `Location` says, are mounted or not, run side by side, and are larger
 * than memory. Time is moved by hand, for the registry and for the client, except where a real registry keeps its own.
 */

import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { failureOf } from '@reg/core';
import { createAuthorizer, staticKeychain } from '@reg/core/driver';
import { type TranscriptStep, toText } from '@reg/core/transcript';
import { canary, digestOf, image, type Registry, startTokenServer } from '@reg/testing';
import { Agent, request } from 'undici';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
// By path: a program that only tests start is no part of what @reg/testing offers.
import { isMissing, startDistribution } from '../../testing/test/docker-registry.ts';
import { createRegistryFetch, type RegistryFetchOptions, registryAuth } from '../src/index.ts';
import type { Leg } from '../src/leg.ts';
import { type Carried, createSend } from '../src/send.ts';
import { agent, serve, stage, TAGS, turn, until } from './stage.ts';

const UPLOADS = '/v2/team/app/blobs/uploads/';

/** Both clocks, the client's and the registry's, with so many milliseconds before them. */
let ahead = { client: 0, registry: 0 };

afterEach(() => {
  ahead = { client: 0, registry: 0 };
  vi.restoreAllMocks();
});

/** A registry with tokens of `expiresIn` seconds, and a fetch whose clocks `pass` moves. */
async function pushing(expiresIn = 300, options: RegistryFetchOptions = {}) {
  const real = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead.client);
  const { registry, auth, password } = await stage({
    clock: () => Date.now() + ahead.registry,
    tokens: { expiresIn },
  });
  return {
    registry,
    auth,
    password,
    fetch: createRegistryFetch({ ...auth, dispatcher: agent(), ...options }),
  };
}

/** Lets time go by everywhere, or for the registry alone: then the client's idea of a token's life is wrong. */
function pass(seconds: number, where: 'everywhere' | 'registry' = 'everywhere'): void {
  ahead.registry += seconds * 1_000;
  if (where === 'everywhere') ahead.client += seconds * 1_000;
}

function locationOf(response: Response): URL {
  return new URL(response.headers.get('location') ?? '', response.url);
}

function ended(location: URL, digest: string): URL {
  const url = new URL(location);
  url.searchParams.append('digest', digest);
  return url;
}

/** What reached a registry and its token server: `registry PATCH 202`. */
const trace = ({ requests }: Pick<Registry, 'requests'>, from = 0) =>
  requests.slice(from).map(({ server, method, status }) => `${server} ${method} ${status}`);

const chunks = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text.repeat(1_000)));
const content = Buffer.concat(chunks);
const digest = digestOf(content);

/** A body that can be read once. */
function stream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** POST, a PATCH a chunk, PUT, with `between` before each but the first. Resolves to the statuses. */
async function push(
  fetch: typeof globalThis.fetch,
  origin: string,
  between: () => void | Promise<void>,
  body: (chunk: Buffer) => RequestInit = (chunk) => ({ body: chunk }),
  parts: readonly Buffer[] = chunks,
): Promise<readonly number[]> {
  const begun = await fetch(origin + UPLOADS, { method: 'POST' });
  const statuses = [begun.status];
  let location = locationOf(begun);
  for (const chunk of parts) {
    await between();
    const patched = await fetch(location, { method: 'PATCH', ...body(chunk) });
    statuses.push(patched.status);
    location = locationOf(patched);
  }
  await between();
  const put = await fetch(ended(location, digest), { method: 'PUT' });
  return [...statuses, put.status];
}

const halves = [content.subarray(0, 5_000), content.subarray(5_000)];
const accepted = [202, 202, 202, 202, 202, 201];

describe('a chunked push that is longer than its token lives (requirement 140, Q51)', () => {
  test('asks for the next token before the last one ends, and no request is refused', async () => {
    const { registry, fetch } = await pushing(60);
    expect(await push(fetch, registry.url, () => pass(70))).toEqual(accepted);
    expect(trace(registry)).toEqual([
      'registry POST 401',
      'token GET 200',
      'registry POST 202',
      ...chunks.flatMap(() => ['token GET 200', 'registry PATCH 202']),
      'token GET 200',
      'registry PUT 201',
    ]);
    const blob = await fetch(`${registry.url}/v2/team/app/blobs/${digest}`);
    expect(digestOf(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
  });

  test('asks for it in good time, and the old one serves meanwhile', async () => {
    const { registry, fetch } = await pushing(60);
    let passes = 0;
    const statuses = await push(fetch, registry.url, async () => {
      // What was asked for in the background is there before more time goes by.
      await until(
        () =>
          registry.requests.filter(({ server, status }) => server === 'token' && status === 200).length >
          passes,
      );
      for (let i = 0; i < 20; i++) await turn();
      passes += 1;
      // The last tenth of its life.
      pass(56);
    });
    expect(statuses).toEqual(accepted);
    expect(trace(registry).filter((line) => line.endsWith('401'))).toEqual(['registry POST 401']);
    expect(registry.count({ server: 'token' })).toBeGreaterThan(chunks.length);
  });

  test('is refused once for each token that ended before its time, and goes on with another', async () => {
    const { registry, fetch } = await pushing();
    expect(await push(fetch, registry.url, () => pass(400, 'registry'))).toEqual(accepted);
    expect(trace(registry)).toEqual([
      'registry POST 401',
      'token GET 200',
      'registry POST 202',
      ...chunks.flatMap(() => ['registry PATCH 401', 'token GET 200', 'registry PATCH 202']),
      'registry PUT 401',
      'token GET 200',
      'registry PUT 201',
    ]);
  });

  test('of streams, whose token is asked for again before each', async () => {
    const { registry, fetch } = await pushing(60);
    const body = (chunk: Buffer): RequestInit => ({ body: stream(chunk), duplex: 'half' });
    expect(await push(fetch, registry.url, () => pass(70), body)).toEqual(accepted);
    expect(registry.count({ method: 'PATCH' })).toBe(chunks.length);
    expect(registry.count({ server: 'token' })).toBe(chunks.length + 2);
  });

  test('goes on with a chunk under way when its token ends', async () => {
    const { registry, fetch } = await pushing();
    const begun = await fetch(registry.url + UPLOADS, { method: 'POST' });
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (sent === 1) {
          await until(() => registry.count({ method: 'PATCH' }) === 1);
          pass(400);
        }
        controller.enqueue(chunks[sent] ?? new Uint8Array());
        sent += 1;
        if (sent === chunks.length) controller.close();
      },
    });
    const patched = await fetch(locationOf(begun), { method: 'PATCH', body, duplex: 'half' });
    const put = await fetch(ended(locationOf(patched), digest), { method: 'PUT' });
    expect([patched.status, put.status]).toEqual([202, 201]);
    expect(trace(registry).slice(3)).toEqual(['registry PATCH 202', 'token GET 200', 'registry PUT 201']);
  });
});

describe('a body that is refused for an old token', () => {
  test('and was a stream is spent, the 401 says so, and the caller’s own repeat works (rule 8)', async () => {
    const { registry, fetch } = await pushing();
    await (await fetch(registry.url + TAGS)).text();
    const upload = () =>
      fetch(`${registry.url}${UPLOADS}?digest=${digest}`, {
        method: 'POST',
        body: stream(content),
        duplex: 'half',
      });
    expect((await upload()).status).toBe(201);
    pass(400, 'registry');
    const from = registry.count();
    const refused = await upload();
    expect([refused.status, failureOf(refused)]).toMatchObject([401, { kind: 'body-spent' }]);
    expect((await upload()).status).toBe(201);
    expect(trace(registry, from)).toEqual(['registry POST 401', 'token GET 200', 'registry POST 201']);
  });

  const kinds: readonly (readonly [string, RequestInit['body']])[] = [
    ['bytes', content],
    ['text', content.toString()],
    ['a blob', new Blob([content])],
    ['a view', new DataView(new Uint8Array(content).buffer)],
  ];

  test.each(kinds)('and was %s is sent again, and stored as it is', async (_, body) => {
    const { registry, fetch } = await pushing();
    await (await fetch(registry.url + TAGS)).text();
    const upload = () =>
      fetch(`${registry.url}${UPLOADS}?digest=${digest}`, { method: 'POST', body: body ?? null });
    expect((await upload()).status).toBe(201);
    pass(400, 'registry');
    const from = registry.count();
    expect((await upload()).status).toBe(201);
    expect(trace(registry, from)).toEqual(['registry POST 401', 'token GET 200', 'registry POST 201']);
  });
});

describe('Location (requirement 140)', () => {
  /** A registry behind a Bearer challenge whose uploads go where `location` says. Tells what arrived, and with what. */
  async function registryWith(location: (origin: string) => string) {
    const arrived: string[] = [];
    let origin = '';
    const { url } = await serve((request, response) => {
      request.resume();
      if (request.url?.startsWith('/token')) return response.end(JSON.stringify({ token: 'a-token' }));
      arrived.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${origin}/token",service="s"` });
        return response.end();
      }
      if (request.method === 'PUT') return response.writeHead(201).end();
      return response.writeHead(202, { Location: location(origin) }).end();
    });
    origin = url;
    const keychain = staticKeychain({
      [new URL(url).host]: { type: 'password', username: 'alice', password: canary('password') },
    });
    return { url, arrived, fetch: createRegistryFetch({ keychain, dispatcher: agent() }) };
  }

  test.each<[string, (origin: string) => string, string]>([
    ['absolute', (origin) => `${origin}${UPLOADS}1?_state=a%2Fb`, `${UPLOADS}1?_state=a%2Fb`],
    ['an absolute path', () => `${UPLOADS}1?_state=a`, `${UPLOADS}1?_state=a`],
    ['a relative path', () => '1?_state=a', `${UPLOADS}1?_state=a`],
    ['without a scheme', (origin) => `//${new URL(origin).host}${UPLOADS}1`, `${UPLOADS}1`],
    ['on a path that is none of a registry', (origin) => `${origin}/upload/session/1`, '/upload/session/1'],
  ])('%s on the same origin has the token', async (_, location, path) => {
    const { url, arrived, fetch } = await registryWith(location);
    const begun = await fetch(url + UPLOADS, { method: 'POST' });
    const patched = await fetch(locationOf(begun), { method: 'PATCH', body: content });
    const put = await fetch(locationOf(begun), { method: 'PUT' });
    expect([begun.status, patched.status, put.status]).toEqual([202, 202, 201]);
    expect(arrived).toEqual([
      `POST ${UPLOADS} undefined`,
      `POST ${UPLOADS} Bearer a-token`,
      `PATCH ${path} Bearer a-token`,
      `PUT ${path} Bearer a-token`,
    ]);
  });

  /** A server that keeps what it reads, byte for byte, and answers each request with `answer`. */
  async function listener(answer: string): Promise<{ readonly url: string; readonly heard: () => string }> {
    let heard = '';
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('data', (data) => {
        heard += data.toString('latin1');
        if (heard.includes('\r\n\r\n')) socket.write(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const address = server.address();
    return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, heard: () => heard };
  }

  test.each([
    ['takes it', 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', 201],
    [
      'asks who is there',
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
      null,
    ],
  ])('on another host, which %s: no token, no credential, at its socket', async (_, answer, status) => {
    const elsewhere = await listener(answer);
    const { url, fetch } = await registryWith(() => `${elsewhere.url}/store/1?signature=x`);
    const begun = await fetch(url + UPLOADS, { method: 'POST' });
    expect(locationOf(begun).origin).toBe(elsewhere.url);
    const end = await fetch(locationOf(begun), { method: 'PUT', body: content.subarray(0, 10) }).catch(
      () => null,
    );
    expect(end?.status ?? null).toBe(status);
    expect(elsewhere.heard()).toContain('PUT /store/1?signature=x HTTP/1.1');
    expect(elsewhere.heard().toLowerCase()).not.toContain('authorization');
    expect(elsewhere.heard()).not.toMatch(/a-token|canary-/);
  });

  test.each([301, 302, 303, 307, 308])(
    'a %i of an upload to another host is the caller’s, and nobody goes there',
    async (status) => {
      const elsewhere = await listener('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
      const { registry, fetch } = await pushing();
      registry.faults.add({
        method: 'PUT',
        times: 3,
        kind: 'redirect',
        status,
        location: `${elsewhere.url}/x`,
      });
      for (const body of [content, stream(content)]) {
        const response = await fetch(registry.url + UPLOADS, { method: 'PUT', body, duplex: 'half' });
        expect([response.status, response.headers.get('location')]).toEqual([status, `${elsewhere.url}/x`]);
        expect([response.redirected, failureOf(response)]).toEqual([false, null]);
      }
      expect(elsewhere.heard()).toBe('');
    },
  );
});

describe('a mount', () => {
  const { digest: mounted, bytes } = image('lib content').layer;
  /** `team/none` has the blob, and is not alice's to read. */
  const fromNone = `${UPLOADS}?mount=${mounted}&from=team/none`;

  /** A registry whose token server refuses whoever asks for `team/none`, or says nothing and leaves it out. */
  async function mounting(status: 400 | 403 | 'narrows', warm: boolean) {
    const steps: TranscriptStep[] = [];
    const setting = await pushing(300, { onStep: (step) => void steps.push(step) });
    if (warm) await (await setting.fetch(setting.registry.url + TAGS)).text();
    if (status !== 'narrows') {
      const times = Number.POSITIVE_INFINITY;
      setting.registry.faults.add({ server: 'token', path: /none/, kind: 'status', status, times });
    }
    steps.length = 0;
    return { ...setting, steps, from: setting.registry.count() };
  }

  test.each([
    [403, false],
    [400, false],
    ['narrows', false],
    [403, true],
    ['narrows', true],
  ] as const)(
    'whose source is unreadable is an upload, and says why (requirement 139): token server: %s, warm: %s',
    async (status, warm) => {
      const { registry, fetch, steps, from } = await mounting(status, warm);
      const begun = await fetch(registry.url + fromNone, { method: 'POST' });
      expect([begun.status, failureOf(begun)]).toEqual([202, null]);
      expect(trace(registry, from)).toEqual([
        ...(warm ? [] : ['registry POST 401']),
        ...(status === 'narrows' ? [] : [`token GET ${status}`]),
        'token GET 200',
        'registry POST 202',
      ]);
      // The reason is in the steps: what was asked for, what was refused, and what the token is for.
      const granted = steps.find((step) => step.phase === 'obtaining');
      expect(granted?.answer).toMatchObject({
        grant: {
          asked: [
            { name: 'team/app', actions: ['pull', 'push'] },
            ...(status === 'narrows' ? [{ name: 'team/none', actions: ['pull'] }] : []),
          ],
        },
      });
      const put = await fetch(ended(locationOf(begun), mounted), { method: 'PUT', body: bytes });
      expect(put.status).toBe(201);
    },
  );

  test('says in its transcript that the token does not read the source', async () => {
    const { registry, auth } = await mounting(403, false);
    const dispatcher = agent();
    const authorizer = createAuthorizer<Leg, Carried>({
      ...auth,
      send: createSend((options, leg) => void dispatcher.dispatch(options, leg), 'test'),
    });
    const delivered = await authorizer.request({
      method: 'POST',
      url: registry.url + fromNone,
      headers: [],
      body: 'none',
      carry: {},
      observer: null,
    });
    await delivered.raw.discard();
    const text = toText(delivered.transcript());
    expect(text).toContain('refused for all of that: ask for repository:team/app:pull,push alone');
    expect(text).toContain(
      'not mounted, since the token does not read team/none: an upload begins in its place',
    );
  });

  /** What CNCF Distribution says to a mount by whoever may push and not read the source. */
  async function refusing(status: 401 | 403) {
    const setting = await pushing();
    const { registry } = setting;
    const scope = 'repository:team/app:pull,push repository:team/none:pull';
    const challenge = `Bearer realm="${registry.tokenUrl}",service="${registry.service}",scope="${scope}"`;
    registry.faults.add({
      path: /mount=/,
      after: 1,
      times: Number.POSITIVE_INFINITY,
      ...(status === 403
        ? { kind: 'status', status }
        : { kind: 'challenge', values: [`${challenge},error="insufficient_scope"`] }),
    });
    return setting;
  }

  test.each([401, 403] as const)(
    'that the registry denies is asked for again as an upload, with the denial as failure: %i',
    async (status) => {
      const { registry, fetch } = await refusing(status);
      const begun = await fetch(registry.url + fromNone, { method: 'POST' });
      expect([begun.status, begun.url, begun.redirected]).toEqual([202, registry.url + UPLOADS, false]);
      expect(failureOf(begun)).toMatchObject({ kind: 'denied', status });
      const put = await fetch(ended(locationOf(begun), mounted), { method: 'PUT', body: bytes });
      expect(put.status).toBe(201);
      expect(trace(registry).filter((line) => line.startsWith('registry'))).toEqual([
        'registry POST 401',
        `registry POST ${status}`,
        'registry POST 202',
        'registry PUT 201',
      ]);
    },
  );

  test('that the registry denies is asked for again as an upload by the interceptor as well', async () => {
    const { registry, auth } = await refusing(403);
    const dispatcher = new Agent().compose(registryAuth(auth));
    onTestFinished(() => dispatcher.destroy());
    const query = { mount: mounted, from: 'team/none' };
    for (const [path, apart] of [
      [fromNone, {}],
      [UPLOADS, { query }],
    ] as const) {
      const begun = await request(registry.url + path, { dispatcher, method: 'POST', ...apart });
      await begun.body.dump();
      expect(begun.statusCode).toBe(202);
      expect(registry.requests.at(-1)?.url).toBe(UPLOADS);
    }
  });

  test('that is denied, as is the upload, is denied for the upload', async () => {
    const { registry, fetch } = await refusing(403);
    registry.faults.add({ path: UPLOADS, after: 2, times: 9, kind: 'status', status: 403, body: 'never' });
    const denied = await fetch(registry.url + fromNone, { method: 'POST' });
    expect([denied.status, await denied.text()]).toEqual([403, 'never']);
    expect(failureOf(denied)).toMatchObject({ kind: 'denied', url: registry.url + UPLOADS });
  });

  test('that is denied when its body is spent is the caller’s', async () => {
    const { registry, fetch } = await refusing(403);
    await (await fetch(registry.url + TAGS)).text();
    registry.faults.add({ path: /mount=/, times: 9, kind: 'status', status: 403 });
    const init = { method: 'POST', body: stream(content), duplex: 'half' } as const;
    const denied = await fetch(registry.url + fromNone, init);
    expect([denied.status, registry.count({ method: 'POST' })]).toEqual([403, 1]);
  });

  test('that is denied to an Authorization of the caller’s own is the caller’s', async () => {
    const { registry, fetch } = await refusing(403);
    const headers = { Authorization: 'Bearer mine' };
    const response = await fetch(registry.url + fromNone, { method: 'POST', headers });
    expect([response.status, registry.count()]).toEqual([401, 1]);
  });

  test('whose source is readable is one, for one token', async () => {
    const { registry, fetch } = await pushing();
    const response = await fetch(`${registry.url}${UPLOADS}?mount=${mounted}&from=team/lib`, {
      method: 'POST',
    });
    expect(response.status).toBe(201);
    expect(registry.count({ server: 'token' })).toBe(1);
  });

  test('into what may not be pushed to is refused, however often less was asked for', async () => {
    const { registry, fetch } = await mounting(403, false);
    const into = `/v2/team/none/blobs/uploads/?mount=${mounted}&from=team/lib`;
    await expect(fetch(registry.url + into, { method: 'POST' })).rejects.toMatchObject({
      code: 'ERR_REG_TOKEN_REFUSED',
    });
    expect(trace(registry)).toEqual(['registry POST 401', 'token GET 403', 'token GET 403']);
  });
});

test('20 blobs of one repository pushed at once share one token', async () => {
  const { registry, fetch } = await pushing();
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const blob = Buffer.from(`blob ${i}`);
      const begun = await fetch(registry.url + UPLOADS, { method: 'POST' });
      const patched = await fetch(locationOf(begun), { method: 'PATCH', body: blob });
      const put = await fetch(ended(locationOf(patched), digestOf(blob)), { method: 'PUT' });
      return [begun.status, patched.status, put.status];
    }),
  );
  expect(statuses).toEqual(Array.from({ length: 20 }, () => [202, 202, 201]));
  expect(registry.count({ server: 'token' })).toBe(1);
  expect(registry.count({ server: 'registry' })).toBeLessThanOrEqual(20 * 3 + 20);
});

test('20 streams at once on an unknown origin: one ping, one token', async () => {
  const { registry, fetch } = await pushing();
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const blob = Buffer.from(`blob ${i}`);
      const url = `${registry.url}${UPLOADS}?digest=${digestOf(blob)}`;
      return (await fetch(url, { method: 'POST', body: stream(blob), duplex: 'half' })).status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([201]));
  expect(trace(registry).slice(0, 2)).toEqual(['registry GET 401', 'token GET 200']);
  expect(registry.count()).toBe(22);
});

describe('a push of 100 MB', () => {
  const size = 100 * 1_048_576;
  const part = 65_536;

  /** A server that reads a body only when it is told to. */
  async function slowly() {
    let read = (): void => {};
    let received = 0;
    const hash = createHash('sha256');
    let headers: Record<string, unknown> = {};
    const { url } = await serve((request, response) => {
      if (request.method === 'GET') return void response.end();
      headers = request.headers;
      read = () => {
        request.on('data', (chunk: Buffer) => {
          received += chunk.length;
          hash.update(chunk);
        });
        request.on('end', () => response.writeHead(201).end());
      };
    });
    return {
      url,
      begun: () => Object.keys(headers).length > 0,
      read: () => read(),
      received: () => received,
      digest: () => hash.digest('hex'),
      headers: () => headers,
    };
  }

  /** So many bytes in parts, each made when it is asked for. */
  function source() {
    let produced = 0;
    const hash = createHash('sha256');
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (produced === size) return controller.close();
          const chunk = new Uint8Array(part).fill(produced / part);
          produced += part;
          hash.update(chunk);
          controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
    return { body, produced: () => produced, digest: () => hash.digest('hex') };
  }

  test.each(['chunked', 'with a length'])('as a stream, %s, is never in memory', async (how) => {
    const server = await slowly();
    const { body, produced, digest: sent } = source();
    const fetch = createRegistryFetch({ dispatcher: agent() });
    const headers: Record<string, string> = how === 'chunked' ? {} : { 'Content-Length': String(size) };
    const call = fetch(`${server.url}/v2/x`, { method: 'PUT', body, duplex: 'half', headers });
    await until(server.begun);
    // The buffers of two sockets fill, and then nothing is made any more.
    let last = -1;
    for (let still = 0; still < 200; still = produced() === last ? still + 1 : 0) {
      last = produced();
      await turn();
    }
    expect(produced()).toBeLessThan(32 * 1_048_576);
    let most = 0;
    server.read();
    let status = 0;
    const done = call.then((response) => {
      status = response.status;
    });
    await until(() => {
      most = Math.max(most, produced() - server.received());
      return status !== 0;
    });
    await done;
    expect([status, server.received(), server.digest()]).toEqual([201, size, sent()]);
    expect(server.headers()).toMatchObject(
      how === 'chunked' ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(size) },
    );
    // All that is made and has not arrived is in a buffer of a socket, on one side or the other.
    expect(most).toBeLessThan(32 * 1_048_576);
  });

  test('as a stream, whose length was promised and is another, is refused by whoever notices first', async () => {
    const { registry, fetch } = await pushing();
    const call = fetch(registry.url + UPLOADS, {
      method: 'PUT',
      body: stream(content),
      duplex: 'half',
      headers: { 'Content-Length': '5' },
    });
    await expect(call).rejects.toThrow(TypeError);
  });
});

const missing = isMissing('docker-registry');

describe.skipIf(missing)('docker-registry, whose clock is its own', () => {
  /**
   * CNCF Distribution takes a token for 60 s after its end, so that these are made that much in the past: they end 2 s from
   * now. `expires_in` says so, or is left out, and then a client may believe in 60 s.
   */
  async function distribution(says: 'expires_in' | 'nothing') {
    const life = says === 'nothing' ? 60 : 2;
    const tokens = await startTokenServer({
      users: { bob: 'x' },
      repositories: { 'team/app': {} },
      clock: () => Date.now() - 60_000 - (life - 2) * 1_000,
      tokens: { expiresIn: says === 'nothing' ? null : life },
    });
    onTestFinished(() => tokens.close());
    const registry = await startDistribution({ token: tokens });
    const pair = { registry: registry.url, realm: new URL(tokens.url).origin };
    return { registry, tokens, pair };
  }

  for (const says of ['expires_in', 'nothing'] as const) {
    test(`a chunked push longer than the token’s life, of which the token server says ${says}`, async () => {
      const { registry, tokens, pair } = await distribution(says);
      const fetch = createRegistryFetch({
        keychain: staticKeychain({ [registry.host]: { type: 'password', username: 'bob', password: 'x' } }),
        policy: { realms: { pairs: [pair] } },
        dispatcher: agent(),
      });
      // Real time, since nobody can move this registry's clock: each token is dead when the next request is made.
      const statuses = await push(fetch, registry.url, () => delay(2_200), undefined, halves);
      expect(statuses).toEqual([202, 202, 202, 201]);
      const answered = (await registry.answered()).map((line) => line.replace(/ \S+ /, ' '));
      const refused = says === 'nothing' ? ['PATCH 401'] : [];
      expect(answered).toEqual([
        'POST 401',
        'POST 202',
        ...halves.flatMap(() => [...refused, 'PATCH 202']),
        ...(says === 'nothing' ? ['PUT 401'] : []),
        'PUT 201',
      ]);
      expect(tokens.count()).toBe(halves.length + 2);
    }, 60_000);
  }

  test.each([403, 'narrows'] as const)(
    'a mount whose source is unreadable is an upload; token server: %s',
    async (how) => {
      const tokens = await startTokenServer({
        users: { alice: 'x', bob: 'y' },
        repositories: {
          'team/app': { access: { alice: ['*'] } },
          'team/secret': { access: { bob: ['*'] } },
        },
      });
      onTestFinished(() => tokens.close());
      const registry = await startDistribution({ token: tokens });
      const as = (username: string, password: string) =>
        createRegistryFetch({
          keychain: staticKeychain({ [registry.host]: { type: 'password', username, password } }),
          policy: { realms: { pairs: [{ registry: registry.url, realm: new URL(tokens.url).origin }] } },
          dispatcher: agent(),
        });
      const theirs = as('bob', 'y');
      const begunThere = await theirs(`${registry.url}/v2/team/secret/blobs/uploads/`, { method: 'POST' });
      const stored = await theirs(ended(locationOf(begunThere), digest), { method: 'PUT', body: content });
      expect(stored.status).toBe(201);
      await registry.answered();

      if (how === 403) {
        tokens.faults.add({ path: /secret/, kind: 'status', status: 403, times: Number.POSITIVE_INFINITY });
      }
      const fetch = as('alice', 'x');
      const mount = `${registry.url}${UPLOADS}?mount=${digest}&from=team/secret`;
      const begun = await fetch(mount, { method: 'POST' });
      expect([begun.status, begun.url, begun.redirected]).toEqual([202, registry.url + UPLOADS, false]);
      expect(failureOf(begun)).toMatchObject({
        kind: 'denied',
        reason: 'insufficient-scope',
        challenged: expect.stringContaining('repository:team/secret:pull'),
      });
      const put = await fetch(ended(locationOf(begun), digest), { method: 'PUT', body: content });
      expect(put.status).toBe(201);
      expect((await registry.answered()).map((line) => line.replace(/ \S+ /, ' '))).toEqual([
        'POST 401',
        'POST 401',
        'POST 202',
        'PUT 201',
      ]);
    },
  );
});
