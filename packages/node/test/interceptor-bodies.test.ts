/** Bodies through the interceptor, counted at the server's sockets: sent again or probed for, whole, and no faster than taken. */

import { createServer, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type BodyInit, FormData, request, fetch as undiciFetch } from 'undici';
import { describe, expect, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { agent, aliceAt, listening, recorder, rest, serve, turn, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const TEXT = 'Größe: 3 µm';
const BYTES = Buffer.from(TEXT);
const UPLOAD = '/v2/team/app/blobs/uploads/1';
const MiB = 1_048_576;

interface Received {
  readonly line: string;
  readonly authorized: boolean;
  readonly length: string | undefined;
  readonly chunked: boolean;
  readonly type: string | undefined;
  readonly body: Buffer;
}

/** A registry that wants a password, and what each request to it brought. */
async function basicRegistry() {
  const received: Received[] = [];
  const { url, connections } = await serve(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const { method, headers } = incoming;
    const authorized = headers.authorization !== undefined;
    received.push({
      line: `${method} ${incoming.url}`,
      authorized,
      length: headers['content-length'],
      chunked: headers['transfer-encoding'] === 'chunked',
      type: headers['content-type'],
      body: Buffer.concat(chunks),
    });
    if (!authorized) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
    response.end();
  });
  const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(url) }));
  const put = (body: unknown, headers: Record<string, string> = {}) =>
    // undici takes more than its types say.
    request(url + UPLOAD, { dispatcher, method: 'PUT', body: body as Readable, headers });
  return { url, dispatcher, put, received, connections };
}

function* pieces(): Generator<Buffer> {
  yield BYTES.subarray(0, 5);
  yield BYTES.subarray(5);
}

async function* later(): AsyncGenerator<Buffer> {
  yield* pieces();
}

function webStream(): ReadableStream<Uint8Array> {
  return ReadableStream.from(later());
}

describe('what can be read again is sent, and sent again after a challenge, each time whole and with its length', () => {
  const larger = Buffer.concat([Buffer.from('before'), BYTES, Buffer.from('after')]);
  const { buffer } = Uint8Array.from(BYTES);

  test.each<[string, unknown]>([
    ['text, whose length is that of its bytes', TEXT],
    ['a Buffer', BYTES],
    [
      'a Uint8Array in the middle of a larger one',
      new Uint8Array(larger.buffer, larger.byteOffset + 6, BYTES.length),
    ],
    ['a DataView', new DataView(larger.buffer, larger.byteOffset + 6, BYTES.length)],
    ['an ArrayBuffer', buffer],
    ['a Blob', new Blob([TEXT])],
  ])('%s', async (_, body) => {
    const { put, received } = await basicRegistry();
    expect((await put(body)).statusCode).toBe(200);
    expect(received).toHaveLength(2);
    for (const { line, length, chunked, body: came } of received) {
      expect([line, length, chunked]).toEqual([`PUT ${UPLOAD}`, String(BYTES.length), false]);
      expect(came.equals(BYTES)).toBe(true);
    }
    expect(received.map(({ authorized }) => authorized)).toEqual([false, true]);
  });

  test.each<[string, unknown]>([
    ['none', undefined],
    ['empty text', ''],
    ['an empty Buffer', Buffer.alloc(0)],
  ])('%s', async (_, body) => {
    const { put, received } = await basicRegistry();
    expect((await put(body)).statusCode).toBe(200);
    expect(received.map(({ line, length, body: came }) => [line, length, came.length])).toEqual([
      [`PUT ${UPLOAD}`, '0', 0],
      [`PUT ${UPLOAD}`, '0', 0],
    ]);
  });

  test('a form of undici’s', async () => {
    const form = new FormData();
    form.append('layer', new Blob([TEXT]), 'layer.tar');
    const { put, received } = await basicRegistry();
    expect((await put(form)).statusCode).toBe(200);
    expect(received).toHaveLength(2);
    for (const { length, type = '', body } of received) {
      expect(length).toBe(String(body.length));
      expect(body.includes(BYTES)).toBe(true);
      // Each has a boundary of its own, and says which.
      expect(body.includes(type.slice(type.indexOf('boundary=') + 'boundary='.length))).toBe(true);
    }
  });

  test('a form of another make is refused by undici, with undici’s error', async () => {
    const { put } = await basicRegistry();
    await expect(put(new globalThis.FormData())).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' });
  });

  test('a registry that answers 401 before it has read 16 MiB, and hangs up, gets them when it may', async () => {
    const large = Buffer.alloc(16 * MiB, 'x');
    let arrived = 0;
    const { url } = await serve(async (incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"', Connection: 'close' });
        return void response.end();
      }
      for await (const chunk of incoming) arrived += chunk.length;
      return void response.end();
    });
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(url) }));
    const { statusCode } = await request(url + UPLOAD, { dispatcher, method: 'PUT', body: large });
    expect([statusCode, arrived]).toEqual([200, large.length]);
  });
});

describe('what can be read once is sent once, after a ping of a registry that is not known (rule 8)', () => {
  test.each<[string, () => unknown]>([
    ['a Readable', () => Readable.from(pieces(), { objectMode: false })],
    ['a generator', pieces],
    ['an array of buffers', () => [...pieces()]],
    ['an async generator', later],
    ['a ReadableStream of the platform', webStream],
  ])('%s', async (_, body) => {
    const { put, received } = await basicRegistry();
    expect((await put(body(), { 'Content-Type': 'application/octet-stream' })).statusCode).toBe(200);
    expect((await put(body(), { 'Content-Length': String(BYTES.length) })).statusCode).toBe(200);
    expect(received.map(({ line, length, chunked, type }) => [line, length, chunked, type])).toEqual([
      ['GET /v2/', undefined, false, undefined],
      [`PUT ${UPLOAD}`, undefined, true, 'application/octet-stream'],
      [`PUT ${UPLOAD}`, String(BYTES.length), false, undefined],
    ]);
    expect(received.map(({ authorized }) => authorized)).toEqual([false, true, true]);
    for (const { body: came } of received.slice(1)) expect(came.equals(BYTES)).toBe(true);
  });

  test('nothing is read of it before the registry may have it', async () => {
    let read = false;
    const steps: string[] = [];
    const { url } = await serve((incoming, response) => {
      steps.push(`${incoming.method} ${read ? 'read' : 'unread'}`);
      if (incoming.headers.authorization === undefined)
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      incoming.on('end', () => response.end()).resume();
    });
    const body = new Readable({
      read() {
        read = true;
        this.push('text');
        this.push(null);
      },
    });
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(url) }));
    await request(url + UPLOAD, { dispatcher, method: 'PUT', body });
    expect(steps[0]).toBe('GET unread');
    expect(steps).toHaveLength(2);
  });

  test.each<[string, (text: string) => BodyInit, number, string | undefined]>([
    ['text', (text) => text, 1, undefined],
    [
      'parameters',
      (text) => new URLSearchParams({ text }),
      1,
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
    ['a blob', (text) => new Blob([text], { type: 'text/x' }), 1, 'text/x'],
    ['bytes', (text) => Buffer.from(text), 1, undefined],
    ['a stream', () => webStream(), 1, undefined],
  ])(
    'undici’s fetch with %s: whole, with the type and length that fetch gives it',
    async (_, body, __, type) => {
      const { url, dispatcher, received } = await basicRegistry();
      const init = { dispatcher, method: 'PUT', duplex: 'half', body: body(TEXT) } as const;
      expect((await undiciFetch(url + UPLOAD, init as object)).status).toBe(200);
      expect(received.map(({ line }) => line)).toEqual(['GET /v2/', `PUT ${UPLOAD}`]);
      const sent = received[1];
      const expected = type?.startsWith('application/x-www')
        ? new URLSearchParams({ text: TEXT }).toString()
        : TEXT;
      expect(sent?.body.toString()).toBe(expected);
      if (type !== undefined) expect(sent?.type).toBe(type);
    },
  );
});

describe('a stream that breaks', () => {
  /** A registry that leaves a ping unanswered until told, and reads of an upload what comes. */
  async function slowRegistry() {
    const waiting: { readonly method: string | undefined; readonly answer: () => void }[] = [];
    const { url, connections } = await serve((incoming, response) => {
      incoming.on('error', () => {}).resume();
      const answer = (): void => {
        if (incoming.headers.authorization === undefined)
          response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
        response.end();
      };
      waiting.push({ method: incoming.method, answer });
    });
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(url) }));
    return { url, dispatcher, waiting, connections };
  }

  test.each(['with an error', 'without one'])(
    'before its turn, %s: the request ends so, and sends none of it',
    async (how) => {
      const { url, dispatcher, waiting } = await slowRegistry();
      const body = new Readable({ read() {} });
      const { handler, events, end } = recorder();
      const before = body.listenerCount('error');
      dispatcher.dispatch({ origin: url, path: UPLOAD, method: 'PUT', body }, handler);
      await until(() => waiting.length === 1);
      const broken = new Error('the file broke');
      body.destroy(how === 'with an error' ? broken : undefined);
      for (let i = 0; i < 5; i++) await turn();
      waiting[0]?.answer();
      const error = await end;
      if (how === 'with an error') expect(error).toBe(broken);
      else expect(error).toMatchObject({ code: 'UND_ERR_ABORTED' });
      expect(events).toEqual(['start', 'error']);
      expect(body.listenerCount('error')).toBe(before);
      expect(waiting.map(({ method }) => method)).not.toContain('PUT');
    },
  );

  test('while it is sent: the request ends with its error, once', async () => {
    const { url, dispatcher, waiting } = await slowRegistry();
    const body = new Readable({ read() {} });
    body.push('some');
    const { handler, events, end } = recorder();
    dispatcher.dispatch({ origin: url, path: UPLOAD, method: 'PUT', body }, handler);
    await until(() => waiting.length === 1);
    waiting[0]?.answer();
    await until(() => waiting.length === 2);
    const broken = new Error('the file broke');
    body.destroy(broken);
    expect(await end).toBe(broken);
    await turn();
    expect(events).toEqual(['start', 'error']);
  });

  test.each<[string, (broken: Error) => unknown]>([
    [
      'an async generator',
      async function* (broken) {
        yield BYTES;
        throw broken;
      },
    ],
    [
      'a generator',
      function* (broken) {
        yield BYTES;
        throw broken;
      },
    ],
    ['a ReadableStream', (broken) => new ReadableStream({ pull: (controller) => controller.error(broken) })],
  ])('that is %s: the request ends with its error', async (_, make) => {
    const { url, dispatcher, waiting } = await slowRegistry();
    const broken = new Error('the file broke');
    const { handler, events, end } = recorder();
    const body = make(broken) as Readable;
    dispatcher.dispatch({ origin: url, path: UPLOAD, method: 'PUT', body }, handler);
    await until(() => waiting.length === 1);
    waiting[0]?.answer();
    expect(await end).toBe(broken);
    expect(events.at(-1)).toBe('error');
  });

  test('after its response has come is as free of listeners as undici leaves it', async () => {
    const { url, put } = await basicRegistry();
    const plain = Readable.from([BYTES]);
    await (await request(url + UPLOAD, { dispatcher: agent(), method: 'PUT', body: plain })).body.dump();
    const body = Readable.from([BYTES]);
    await (await put(body)).body.dump();
    await turn();
    expect(body.listenerCount('error')).toBe(plain.listenerCount('error'));
  });
});

describe('back-pressure, in bytes at the sockets', () => {
  // What the sockets of both sides and one chunk of everybody in between hold: some megabytes on Linux's loopback.
  const inFlight = 12 * MiB;

  test('50 MiB for a reader that reads none of it are not read ahead, and all arrive when it does', async () => {
    const size = 50 * MiB;
    let written = 0;
    const { url } = await serve((_, response) => {
      const write = (): void => {
        while (written < size) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', write);
        }
        response.end();
      };
      write();
    });
    const dispatcher = agent().compose(registryAuth());
    const { body } = await request(`${url}/v2/x`, { dispatcher });
    await rest(() => written);
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(inFlight);
    let read = 0;
    for await (const chunk of body) {
      read += chunk.length;
      expect(written - read).toBeLessThan(inFlight);
    }
    expect(read).toBe(size);
  });

  test('50 MiB from a writer wait for a server that reads none of them', async () => {
    const size = 50 * MiB;
    const server = createServer();
    let arrived: IncomingMessage | null = null;
    let taken = 0;
    server.on('request', (incoming, response) => {
      if (incoming.method === 'GET') return void response.end();
      arrived = incoming;
      incoming.on('end', () => response.end());
    });
    const url = await listening(server);
    let made = 0;
    const body = new Readable({
      read() {
        const chunk = Buffer.alloc(Math.min(65_536, size - made));
        made += chunk.length;
        this.push(chunk.length === 0 ? null : chunk);
      },
    });
    const dispatcher = agent().compose(registryAuth());
    const call = request(url + UPLOAD, { dispatcher, method: 'PUT', body });
    await until(() => arrived !== null);
    await rest(() => made);
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(inFlight);
    (arrived as IncomingMessage | null)?.on('data', ({ length }) => {
      taken += length;
      expect(made - taken).toBeLessThan(inFlight);
    });
    expect((await call).statusCode).toBe(200);
    expect(taken).toBe(size);
  });
});
