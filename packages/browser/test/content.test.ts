/** Bodies of requests: what is sent after a challenge, what is sent once, and what becomes of streams. */

import { createHash } from 'node:crypto';
import { failureOf } from '@reg/core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';
import { errorOf, serve, stage } from './stage.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

const upload = '/v2/team/app/blobs/uploads/1';

interface Received {
  readonly method: string | undefined;
  readonly type: string | undefined;
  readonly length: string | undefined;
  readonly authorized: boolean;
  readonly digest: string;
  readonly text: string;
}

/** A registry that wants a token of everybody and takes everything, and what it took. */
async function taking() {
  const received: Received[] = [];
  const url = await serve((request, response) => {
    if (request.url?.startsWith('/token')) return void response.end('{"token":"t"}');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const authorized = request.headers.authorization === 'Bearer t';
      received.push({
        method: request.method,
        type: request.headers['content-type'],
        length: request.headers['content-length'],
        authorized,
        digest: sha256(body),
        text: body.toString('latin1', 0, 1_000),
      });
      response.writeHead(authorized ? 201 : 401, { 'www-authenticate': 'Bearer realm="/token"' }).end();
    });
  });
  return { url: url + upload, received, fetch: createRegistryFetch() };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A stream of `chunks` that tells how much of it was read and why it was cancelled. */
function source(...chunks: readonly unknown[]) {
  const told: { pulled: number; cancelled: unknown[] } = { pulled: 0, cancelled: [] };
  const stream = new ReadableStream(
    {
      pull(controller) {
        const chunk = chunks[told.pulled];
        told.pulled += 1;
        if (chunk instanceof Error) controller.error(chunk);
        else if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel(reason) {
        told.cancelled.push(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, told };
}

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

describe('a body that can be sent again', () => {
  const form = new FormData();
  form.append('a', 'b');
  const view = new Uint8Array(Buffer.from('..bytes..').subarray(2, 7));

  test.each<[string, BodyInit, string, RegExp | undefined]>([
    ['text', 'tëxt', Buffer.from('tëxt').toString('latin1'), /^text\/plain;charset=UTF-8$/],
    ['no text', '', '', /^text\/plain/],
    ['parameters', new URLSearchParams({ a: 'b c' }), 'a=b+c', /^application\/x-www-form-urlencoded/],
    ['a blob', new Blob(['blob'], { type: 'a/b' }), 'blob', /^a\/b$/],
    ['a view', view, 'bytes', undefined],
    ['a buffer', view.buffer, 'bytes', undefined],
    ['a form', form, 'name="a"', /^multipart\/form-data; ?boundary=/],
  ])('%s', async (_, body, text, type) => {
    const { url, received, fetch } = await taking();
    expect((await fetch(url, { method: 'POST', body })).status).toBe(201);
    expect(received.map(({ authorized }) => authorized)).toEqual([false, true]);
    const [first, second] = received;
    expect(second).toEqual({ ...first, authorized: true });
    expect(first?.text).toContain(text);
    if (type === undefined) expect(first?.type).toBe(undefined);
    else expect(first?.type).toMatch(type);
    if (type?.source.includes('boundary')) {
      expect(first?.text).toContain(first?.type?.split('boundary=')[1]);
    }
    expect(first?.length).toBe(String(Number(first?.length)));
  });

  test('is as it was when it was given, whatever happens to it later', async () => {
    const { url, received, fetch } = await taking();
    const body = bytes('as it was');
    const call = fetch(url, { method: 'POST', body });
    body.fill(0);
    await call;
    expect(received.map(({ text }) => text)).toEqual(['as it was', 'as it was']);
  });

  test('may have come in a Request, up to 256 KiB', async () => {
    for (const size of [0, 1, 262_144]) {
      const { url, received, fetch } = await taking();
      const body = new Uint8Array(size).fill(7);
      expect((await fetch(new Request(url, { method: 'PUT', body }))).status).toBe(201);
      expect(received.map(({ digest }) => digest)).toEqual([sha256(body), sha256(body)]);
      expect(received[0]?.length).toBe(String(size));
    }
  });

  test('what a Request has for it counts for nothing beside a body in init', async () => {
    const { url, received, fetch } = await taking();
    await fetch(new Request(url, { method: 'PUT', body: 'old' }), { body: 'new' });
    expect(received.map(({ text }) => text)).toEqual(['new', 'new']);
  });
});

describe('a body that is sent once', () => {
  test('is a stream: the origin is asked first, and its chunks go as they are', async () => {
    const { url, received, fetch } = await taking();
    const { stream, told } = source(bytes('one '), bytes('two'));
    expect((await fetch(url, { method: 'POST', body: stream, duplex: 'half' } as RequestInit)).status).toBe(
      201,
    );
    expect(received.map(({ method, text, authorized }) => [method, text, authorized])).toEqual([
      ['GET', '', false],
      ['POST', 'one two', true],
    ]);
    expect(told).toEqual({ pulled: 3, cancelled: [] });
  });

  test('is what an async iterator gives, where the platform takes one', async () => {
    const { url, received, fetch } = await taking();
    async function* body() {
      yield bytes('one ');
      yield bytes('two');
    }
    const init = { method: 'POST', body: body(), duplex: 'half' };
    // @ts-expect-error Node and Deno take it, the types of the standard do not.
    expect((await fetch(url, init)).status).toBe(201);
    expect(received.at(-1)?.text).toBe('one two');
  });

  test('is a large one of a Request, of which no more is read before it is sent', async () => {
    const { url, received, fetch } = await taking();
    const body = new Uint8Array(3_000_000).map((_, index) => index % 251);
    expect((await fetch(new Request(url, { method: 'PUT', body }))).status).toBe(201);
    expect(received.map(({ method }) => method)).toEqual(['GET', 'PUT']);
    expect(received.at(-1)?.digest).toBe(sha256(body));
  });

  test('without duplex is refused as by fetch', async () => {
    const { url, received, fetch } = await taking();
    const { stream } = source(bytes('one'));
    expect(await errorOf(fetch(url, { method: 'POST', body: stream }))).toBeInstanceOf(TypeError);
    expect(received).toEqual([]);
  });

  test('whose 401 cannot be answered any more says so', async () => {
    const { registry, auth } = await stage();
    const fetch = createRegistryFetch(auth);
    expect((await fetch(`${registry.url}/v2/team/app/tags/list`)).status).toBe(200);
    registry.faults.add({
      method: 'POST',
      kind: 'challenge',
      values: [`Bearer realm="${registry.tokenUrl}",service="${registry.service}",error="invalid_token"`],
    });
    const { stream } = source(bytes('one'));
    const init = { method: 'POST', body: stream, duplex: 'half' };
    const response = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, init as RequestInit);
    expect([response.status, failureOf(response)?.kind]).toEqual([401, 'body-spent']);
  });
});

describe('a stream', () => {
  const post = (stream: ReadableStream, more: RequestInit = {}): RequestInit =>
    ({ method: 'POST', body: stream, duplex: 'half', ...more }) as RequestInit;

  test('that fails ends the call as fetch does, with the stream’s own error', async () => {
    const { url, fetch } = await taking();
    const own = new Error('the disk is gone');
    for (const input of [
      () => fetch(url, post(source(bytes('one'), own).stream)),
      () => fetch(new Request(url, post(source(bytes('one'), own).stream))),
    ]) {
      expect(await errorOf(input())).toEqual(new TypeError('fetch failed', { cause: own }));
    }
  });

  test('that is answered before its end is cancelled, and the answer stands', async () => {
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        if (!(init?.body instanceof ReadableStream)) return new Response();
        const reader = init.body.getReader();
        await reader.read();
        // The platform wants more, and then no more.
        const next = reader.read();
        await new Promise((resolve) => setImmediate(resolve));
        await reader.cancel('answered');
        await next;
        return new Response(null, { status: 413 });
      },
    });
    let cancelled: unknown;
    const slow = new ReadableStream({
      start: (controller) => controller.enqueue(bytes('one')),
      pull: () => new Promise(() => {}),
      cancel: (why) => {
        cancelled = why;
      },
    });
    const response = await fetch('https://registry.example/v2/a/blobs/uploads/1', post(slow));
    expect([response.status, cancelled]).toEqual([413, 'answered']);
  });

  test.each([
    ['has more', true],
    ['waits for more', false],
  ])('that is refused before its end is let go of, and the answer stands: one that %s', async (_, more) => {
    let wasWhole = false;
    const url = await serve((request, response) => {
      if (request.method === 'GET') return void response.end('{}');
      request.on('end', () => {
        wasWhole = true;
      });
      request.once('data', () => {
        request.pause();
        response.writeHead(413).end('too large');
      });
    });
    const fetch = createRegistryFetch();
    let pulled = 0;
    let cancelled: unknown;
    const stream = new ReadableStream({
      async pull(controller) {
        pulled += 1;
        if (pulled > 1 && !more) await new Promise(() => {});
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: (why) => {
        cancelled = why;
      },
    });
    const response = await fetch(url + upload, post(stream));
    expect(String(cancelled)).toContain('413');
    const before = pulled;
    expect([response.status, await response.text()]).toEqual([413, 'too large']);
    expect([pulled, wasWhole]).toEqual([before, false]);
  });

  test('whose answer is a success may still be sent: a server may answer first and read then', async () => {
    let rest = new Response();
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        if (init?.body instanceof ReadableStream) rest = new Response(init.body);
        return new Response('{}');
      },
    });
    const { stream, told } = source(bytes('one '), bytes('two'));
    await fetch('https://registry.example/v2/a/blobs/uploads/1', post(stream));
    expect(await rest.text()).toBe('one two');
    expect(told.cancelled).toEqual([]);
  });

  test('that was let go of does not end like one that is over', async () => {
    let carried: ReadableStreamDefaultReader | undefined;
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        if (!(init?.body instanceof ReadableStream)) return new Response('{}');
        carried = init.body.getReader();
        return new Response(null, { status: 503 });
      },
    });
    const { stream, told } = source(bytes('one'), bytes('two'));
    await fetch('https://registry.example/v2/a/blobs/uploads/1', post(stream));
    expect(told).toMatchObject({ pulled: 0, cancelled: [expect.anything()] });
    let next: unknown;
    void carried?.read().then((result) => {
      next = result;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(next).toBeUndefined();
  });

  test('that fails is no success where the platform sends what there was of it', async () => {
    const cancelled: unknown[] = [];
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        if (init?.body instanceof ReadableStream) await new Response(init.body).text().catch(() => {});
        return new Response(new ReadableStream({ cancel: (why) => void cancelled.push(why) }), {
          status: 201,
        });
      },
    });
    const own = new Error('the disk is gone');
    const call = fetch(
      'https://registry.example/v2/a/blobs/uploads/1',
      post(source(bytes('one'), own).stream),
    );
    expect(await errorOf(call)).toEqual(new TypeError('fetch failed', { cause: own }));
    // The answers to the question before it, and to it.
    expect(cancelled).toHaveLength(2);
  });

  test('that holds something else than bytes is refused, and cancelled', async () => {
    const { url, received, fetch } = await taking();
    const { stream, told } = source('text');
    const error = await errorOf(fetch(url, post(stream)));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty('cause.message', expect.stringContaining('no Uint8Array'));
    expect(told.cancelled).toHaveLength(1);
    expect(received.some(({ text }) => text !== '')).toBe(false);
  });

  test('that is not sent is cancelled with the reason: an abort, before and while it is read ahead', async () => {
    const { url, fetch } = await taking();
    const reason = new Error('enough');
    const early = source(bytes('one'));
    expect(await errorOf(fetch(url, post(early.stream, { signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(early.told.cancelled).toEqual([reason]);
    const controller = new AbortController();
    let cancelled: unknown;
    const endless = new ReadableStream({
      pull: () => new Promise(() => {}),
      cancel: (why) => {
        cancelled = why;
      },
    });
    const call = errorOf(fetch(new Request(url, post(endless)), { signal: controller.signal }));
    setImmediate(() => controller.abort(reason));
    expect(await call).toBe(reason);
    expect(cancelled).toBe(reason);
  });

  test('that is not sent is cancelled with the reason: a registry that is not there', async () => {
    const fetch = createRegistryFetch({ fetch: () => Promise.reject(new TypeError('Failed to fetch')) });
    const { stream, told } = source(bytes('one'));
    const error = await errorOf(fetch('https://registry.example/v2/a/blobs/uploads/1', post(stream)));
    expect(told).toEqual({ pulled: 0, cancelled: [error] });
  });

  test('that its registry takes no part of is cancelled by the platform, and so here', async () => {
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        if (init?.body instanceof ReadableStream) await init.body.cancel('unwanted');
        return new Response(null, { status: 200 });
      },
    });
    const { stream, told } = source(bytes('one'));
    await fetch('https://registry.example/v2/a/blobs/uploads/1', post(stream));
    expect(told.cancelled).toEqual(['unwanted']);
  });
});

describe('a browser that sends no streams', () => {
  /** As of one whose `Request` makes text of them, and of one that has no `Request.body` either. */
  class Old extends Request {
    constructor(input: RequestInfo | URL, init: RequestInit = {}) {
      const { body } = init;
      super(input, body instanceof ReadableStream ? { ...init, body: String(body) } : init);
    }
  }
  const upload = 'https://registry.example/v2/a/blobs/uploads/1';

  function inOld(Platform: typeof Request) {
    vi.stubGlobal('document', {});
    vi.stubGlobal('Request', Platform);
    const sent: unknown[] = [];
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        sent.push(init?.body instanceof Blob ? await init.body.text() : init?.body);
        return new Response(null, { status: 202 });
      },
    });
    return { sent, fetch };
  }

  test('is told, and nothing is sent', async () => {
    const { sent, fetch } = inOld(Old);
    const { stream, told } = source(bytes('one'));
    const init = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
    await expect(fetch(upload, init)).rejects.toThrow('give bytes or a Blob');
    expect(sent).toEqual([]);
    expect(told.pulled).toBe(0);
  });

  test('sends the body of a Request, whole', async () => {
    class Older extends Old {
      override get body(): null {
        return null;
      }
    }
    for (const Platform of [Old, Older]) {
      const { sent, fetch } = inOld(Platform);
      await fetch(new Platform(upload, { method: 'POST', body: 'of a request' }));
      await fetch(new Platform(upload, { method: 'POST' }), { signal: null });
      await fetch(new Platform(upload, { method: 'POST', body: 'again' }), { signal: null });
      expect(sent).toEqual(['of a request', null, 'again']);
    }
  });

  test('tells of a stream in a Request that fails, or is aborted before it ends', async () => {
    vi.stubGlobal('document', {});
    const fetch = createRegistryFetch({ fetch: () => Promise.reject(new Error('nothing is to be sent')) });
    const own = new Error('the disk is gone');
    const init = (stream: ReadableStream) =>
      ({ method: 'POST', body: stream, duplex: 'half' }) as RequestInit;
    const failing = fetch(new Request(upload, init(source(bytes('one'), own).stream)));
    expect(await errorOf(failing)).toEqual(new TypeError('fetch failed', { cause: own }));
    const controller = new AbortController();
    const endless = new ReadableStream({ pull: () => new Promise(() => {}) });
    const aborted = errorOf(fetch(new Request(upload, init(endless)), { signal: controller.signal }));
    setImmediate(() => controller.abort('enough'));
    expect(await aborted).toBe('enough');
  });

  test('is told by what it does: one that sends them is not', async () => {
    vi.stubGlobal('document', {});
    const { url, received, fetch } = await taking();
    const { stream } = source(bytes('one'));
    await fetch(url, { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
    expect(received.at(-1)?.text).toBe('one');
  });
});
