import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type LookupFunction,
  type Server,
  type Socket,
} from 'node:net';
import { networkInterfaces } from 'node:os';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { refuseAddress } from '@reg/node/network';
import { type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { Dialling } from '../src/transport/dial.ts';
import { openTransport, type TransportOptions } from '../src/transport/send.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Nothing of this machine's: no folders of certificates, no proxies. */
const tls = { env: {}, dirs: [], unverified: new Set<string>() };

function transport(options: Partial<TransportOptions> = {}) {
  const opened = openTransport({ userAgent: 'reg/test', env: {}, tls, ...options });
  closing.push(() => opened.close());
  return opened;
}

async function registry(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const started = await startRegistry({
    auth: 'none',
    repositories: { 'team/app': { tags: ['1', '2'] } },
    ...options,
  });
  closing.push(() => started.close());
  return started;
}

/** Listens on a free port; when the test ends its connections do. */
async function listening(server: Server, host = '127.0.0.1'): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `${host}:${(server.address() as AddressInfo).port}`;
}

/** A server that answers every request with these bytes and closes. */
async function answering(bytes: string | Buffer): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.once('data', () => socket.end(bytes));
  });
  return `http://${await listening(server)}/`;
}

const get = (url: string) => ({
  to: 'registry' as const,
  method: 'GET',
  url,
  headers: [],
  body: 'none' as const,
  form: null,
  request: null,
  redirect: 'manual' as const,
  addresses: 'any' as const,
});

const never = new AbortController().signal;
const tags = '/v2/team/app/tags/list';

describe('one request', () => {
  test('arrives as it was given, with every line of a repeated header', async () => {
    const { url, requests } = await registry();
    const headers = [
      ['accept', 'a/b'],
      ['accept', 'c/d'],
      ['authorization', 'Bearer x'],
    ] as const;
    const reply = await transport().send({ ...get(`${url}${tags}?n=1&x=%2F`), headers }, never);
    expect(reply.head.status).toBe(200);
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      method: 'GET',
      url: `${tags}?n=1&x=%2F`,
      headers: { accept: 'a/b, c/d', authorization: 'Bearer x', 'user-agent': 'reg/test' },
    });
    await reply.discard();
  });

  test('a form is its body', async () => {
    const { tokenUrl, requests } = await registry({ auth: 'oauth2' });
    const outgoing = {
      ...get(tokenUrl),
      to: 'authority' as const,
      method: 'POST',
      headers: [['content-type', 'application/x-www-form-urlencoded']] as const,
      body: 'form' as const,
      form: 'grant_type=password&service=s&client_id=c',
    };
    const reply = await transport().send(outgoing, never);
    await reply.discard();
    expect(requests[0]).toMatchObject({ method: 'POST', body: outgoing.form });
  });

  test.each(['PUT', 'POST', 'PATCH', 'DELETE', 'GET'])('a body of the caller is sent: %s', async (method) => {
    const server = createServer((incoming, response) => {
      const { method, headers } = incoming;
      let body = '';
      incoming.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      incoming.on('end', () => response.end(`${method} ${headers['content-length']} ${body}`));
    });
    let connections = 0;
    server.on('connection', () => connections++);
    const url = `http://${await listening(server)}/`;
    const { send } = transport();
    const sent = async (text: string): Promise<string | null> => {
      const bytes = new TextEncoder().encode(text);
      const request = { method, url, headers: [], body: 'replayable', bytes } as const;
      return (await send({ ...get(url), method, body: 'caller', request }, never)).text(100);
    };
    // On one connection: a body without its length would be the beginning of the next request.
    expect(await sent('{"a":"ä"}')).toBe(`${method} 10 {"a":"ä"}`);
    expect(await sent('')).toBe(`${method} 0 `);
    expect(await sent('x')).toBe(`${method} 1 x`);
    expect(connections).toBe(1);
  });

  test('a redirect is handed over', async () => {
    const { url, faults, requests } = await registry();
    faults.add({ kind: 'redirect', location: '/elsewhere' });
    const reply = await transport().send(get(url + tags), never);
    expect(reply.head.status).toBe(307);
    expect(reply.head.headers).toContainEqual(['location', '/elsewhere']);
    await reply.discard();
    expect(requests).toHaveLength(1);
  });

  test('a cookie is not kept', async () => {
    const { url, faults, requests } = await registry();
    faults.add({ kind: 'status', status: 200, headers: { 'Set-Cookie': 'a=b' } });
    const { send } = transport();
    for (let i = 0; i < 2; i++) await (await send(get(url + tags), never)).discard();
    expect(requests[1]?.headers['cookie']).toBeUndefined();
  });

  test('header fields keep their order and their lines', async () => {
    const url = await answering(
      'HTTP/1.1 401 No\r\nX-B: 1\r\nWWW-Authenticate: A\r\nwww-authenticate: B\r\n\r\n',
    );
    const { head } = await transport().send(get(url), never);
    expect(head).toEqual({
      status: 401,
      headers: [
        ['x-b', '1'],
        ['www-authenticate', 'A'],
        ['www-authenticate', 'B'],
      ],
    });
  });

  test('a head of 40 KiB is read: how long a challenge may be is for the core to say', async () => {
    const url = await answering(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(40_960)}\r\n\r\n`);
    expect((await transport().send(get(url), never)).head.status).toBe(200);
  });

  test('a discarded body leaves the connection for the next request', async () => {
    let connections = 0;
    const server = createServer((_, response) => response.end('x'.repeat(10_000)));
    server.on('connection', () => connections++);
    const url = `http://${await listening(server)}/`;
    const { send } = transport();
    for (let i = 0; i < 3; i++) await (await send(get(url), never)).discard();
    expect(connections).toBe(1);
  });
});

describe('a body', () => {
  const plain = JSON.stringify({ text: 'häuser'.repeat(1_000) });

  test.each([
    ['identity', Buffer.from(plain)],
    ['gzip', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    [' GZIP ', gzipSync(plain)],
  ])('in %s is decoded', async (coding, bytes) => {
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    const url = await answering(Buffer.concat([Buffer.from(head), bytes]));
    const reply = await transport().send(get(url), never);
    expect(await reply.text(1_000_000)).toBe(plain);
  });

  test('that is empty is empty in every coding', async () => {
    const url = await answering('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n');
    expect(await (await transport().send(get(url), never)).text(10)).toBe('');
  });

  test('in a coding nobody asked for is an error', async () => {
    const url = await answering('HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 1\r\n\r\nx');
    const reply = await transport().send(get(url), never);
    await expect(reply.text(10)).rejects.toMatchObject({ phase: 'body', code: 'ERR_CONTENT_ENCODING' });
  });

  test('that is no gzip although it says so is an error', async () => {
    const url = await answering(
      'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain',
    );
    const reply = await transport().send(get(url), never);
    await expect(reply.text(10)).rejects.toMatchObject({ phase: 'body', code: 'Z_DATA_ERROR' });
  });

  test('of 64 MiB in 64 KiB of gzip is dropped at the limit', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'gzip-bomb', bytes: 64 * 1024 * 1024 });
    const reply = await transport().send(get(url + tags), never);
    expect(await reply.text(100_000)).toBeNull();
  });

  test('of exactly the limit is whole, of one more is none', async () => {
    const { url } = await registry();
    const { send } = transport();
    const whole = '{"name":"team/app","tags":["1","2"]}';
    expect(await (await send(get(url + tags), never)).text(whole.length)).toBe(whole);
    expect(await (await send(get(url + tags), never)).text(whole.length - 1)).toBeNull();
  });

  test('can be looked at and is still whole', async () => {
    const { url } = await registry();
    const reply = await transport().send(get(url + tags), never);
    expect(await reply.peek?.(8)).toBe('{"name":');
    expect(await reply.peek?.(9)).toBe('{"name":"');
    expect(await reply.raw.text(1_000)).toBe('{"name":"team/app","tags":["1","2"]}');
  });

  test('is not cut in the middle of a character', async () => {
    const url = await answering('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\u00e9');
    const reply = await transport().send(get(url), never);
    expect(await reply.peek?.(2)).toBe('a');
    expect(await reply.text(3)).toBe('a\u00e9');
  });

  test('that breaks off is an error, not a shorter body, also after a look at it', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'truncated-body', times: 2 });
    const { send } = transport();
    const broken = { phase: 'body', code: 'ECONNRESET' };
    await expect((await send(get(url + tags), never)).text(1_000)).rejects.toMatchObject(broken);
    const reply = await send(get(url + tags), never);
    expect(await reply.peek?.(1_000)).toBeNull();
    await expect(reply.text(1_000)).rejects.toMatchObject(broken);
  });

  test('discarding never rejects: broken, endless, or already looked at', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'truncated-body' });
    faults.add({ kind: 'oversized-body', bytes: 10_000_000, after: 1, times: 2 });
    const { send } = transport();
    await (await send(get(url + tags), never)).discard();
    await (await send(get(url + tags), never)).discard();
    const looked = await send(get(url + tags), never);
    await looked.peek?.(10);
    await looked.discard();
  });
});

describe('what goes wrong says where', () => {
  const patience = { connect: 60_000, silence: 50 };

  /** The error of a request that must not be answered. */
  async function fault(url: string, options: Partial<TransportOptions> = {}): Promise<unknown> {
    return transport(options)
      .send(get(url), never)
      .then(
        () => null,
        (error: unknown) => error,
      );
  }

  test('a name that does not exist', async () => {
    const error = await fault('http://registry.invalid/v2/');
    expect(error).toMatchObject({ phase: 'lookup' });
    expect(error).toHaveProperty('code', expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/));
  });

  test('a port where nobody listens', async () => {
    const gone = createTcpServer();
    const host = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    expect(await fault(`http://${host}/v2/`)).toMatchObject({
      phase: 'connect',
      code: 'ECONNREFUSED',
      message: expect.stringContaining('127.0.0.1'),
    });
  });

  test('a certificate of an unknown authority; with the authority, or without checking, it is taken', async () => {
    const { url, ca } = await registry({ tls: true });
    expect(await fault(`${url}/v2/`)).toMatchObject({
      phase: 'tls',
      code: expect.stringMatching(/CERT|VERIFY/),
    });
    for (const trust of [{ ca: ca ?? undefined }, { unverified: new Set([new URL(url).host]) }]) {
      const reply = await transport({ tls: { ...tls, ...trust } }).send(get(`${url}/v2/`), never);
      expect(reply.head.status).toBe(200);
      await reply.discard();
    }
  });

  test('https where http is spoken', async () => {
    const { host } = await registry();
    expect(await fault(`https://${host}/v2/`)).toMatchObject({
      phase: 'tls',
      message: expect.not.stringContaining('\n'),
    });
  });

  test('a connection that is reset before the head', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'reset', at: 'before-head' });
    expect(await fault(url + tags)).toMatchObject({ phase: 'head', code: 'ECONNRESET' });
  });

  test('an answer that is not HTTP', async () => {
    expect(await fault(await answering('SSH-2.0-OpenSSH\r\n'))).toMatchObject({
      phase: 'head',
      code: expect.stringMatching(/^HPE_/),
    });
  });

  test('silence in the TLS handshake', async () => {
    const host = await listening(createTcpServer());
    const impatient = { connect: 50, silence: 60_000 };
    expect(await fault(`https://${host}/`, { patience: impatient })).toMatchObject({
      phase: 'tls',
      code: 'ETIMEDOUT',
      message: 'no progress for 0.05 s',
    });
  });

  test('a connection that was given up before it was begun is closed at once', async () => {
    const dialling = new Dialling();
    dialling.end();
    const host = await listening(createTcpServer());
    const socket = connect(Number(host.split(':')[1]), '127.0.0.1');
    await expect(dialling.until(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(socket.destroyed).toBe(true);
  });

  test.each(['late', 'aborted'])(
    'a connection that is given up on its way, %s, is closed: it would hold the process',
    async (why) => {
      const server = createTcpServer((socket) => socket.resume());
      const reached = once(server, 'connection');
      const stop = new AbortController();
      const url = `https://${await listening(server)}/`;
      const connect = why === 'late' ? 100 : 60_000;
      const sent = transport({ patience: { connect, silence: 60_000 } }).send(get(url), stop.signal);
      const ended = expect(sent).rejects.toThrow(why === 'late' ? 'no progress' : 'stop');
      const [socket] = await reached;
      const closed = once(socket, 'close');
      if (why === 'aborted') stop.abort(new Error('stop'));
      await ended;
      await closed;
    },
  );

  test('silence in place of an answer', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'stall', at: 'before-head' });
    expect(await fault(url + tags, { patience })).toMatchObject({ phase: 'head', code: 'ETIMEDOUT' });
  });

  test('silence in the middle of a body', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'stall', at: 'mid-body' });
    const reply = await transport({ patience }).send(get(url + tags), never);
    await expect(reply.text(1_000)).rejects.toMatchObject({ phase: 'body', code: 'ETIMEDOUT' });
  });

  test('a body that is taken late is no silence', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'oversized-body', bytes: 10_000_000 });
    // Long enough for a busy machine to make that body.
    const patience = { connect: 60_000, silence: 500 };
    const reply = await transport({ patience }).send(get(url + tags), never);
    // Until the time is up twice over.
    await new Promise((resolve) => setTimeout(resolve, 2 * patience.silence));
    expect((await reply.text(10_000_000))?.length).toBe(10_000_000);
  });

  test('a header that cannot be sent is an error of this request alone', async () => {
    const { url } = await registry();
    const { send } = transport();
    await expect(send({ ...get(url + tags), headers: [['x', 'a\nb']] }, never)).rejects.toMatchObject({
      phase: 'send',
      code: 'ERR_INVALID_CHAR',
    });
    expect((await send(get(url + tags), never)).head.status).toBe(200);
  });
});

describe('where the time went', () => {
  const resolver: LookupFunction = (_name, _options, callback) => {
    setImmediate(() => callback(null, [{ address: '127.0.0.1', family: 4 }]));
  };

  test('a name is looked up, a connection made, and kept', async () => {
    const { url } = await registry();
    const { send } = transport({ lookup: resolver });
    const at = url.replace('127.0.0.1', 'registry.test') + tags;
    const cold = await send(get(at), never);
    await cold.discard();
    const kept = await send(get(at), never);
    await kept.discard();
    const some = expect.any(Number);
    expect(cold.timing).toEqual({ lookupMs: some, connectMs: some, tlsMs: null, waitMs: some });
    expect(kept.timing).toEqual({ lookupMs: null, connectMs: null, tlsMs: null, waitMs: some });
    for (const ms of Object.values(cold.timing ?? {})) expect(ms ?? 0).toBeGreaterThanOrEqual(0);
  });

  test('an address is not looked up, and TLS takes its time', async () => {
    const { url, ca } = await registry({ tls: true });
    const reply = await transport({ tls: { ...tls, ca: ca ?? undefined } }).send(get(url + tags), never);
    await reply.discard();
    const some = expect.any(Number);
    expect(reply.timing).toEqual({ lookupMs: null, connectMs: some, tlsMs: some, waitMs: some });
  });

  test('a server that thinks is waited for', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'latency', ms: 60 });
    const reply = await transport().send(get(url + tags), never);
    await reply.discard();
    expect(reply.timing?.waitMs).toBeGreaterThan(50);
    expect(reply.timing?.connectMs).toBeLessThan(reply.timing?.waitMs ?? 0);
  });
});

describe('an address in place of what is looked up', () => {
  const nobody: LookupFunction = (name, _options, callback) =>
    callback(new Error(`asked for ${name}`), '', 0);

  test('is dialled; the name stays in Host and in SNI', async () => {
    const { url, requests } = await registry();
    const { port } = new URL(url);
    const pinned = new Map([[`registry.test:${port}`, '127.0.0.1']]);
    const reply = await transport({ pinned, lookup: nobody }).send(
      get(`http://registry.test:${port}${tags}`),
      never,
    );
    expect(reply.head.status).toBe(200);
    expect(reply.timing?.lookupMs).toBeNull();
    expect(requests[0]?.headers['host']).toBe(`registry.test:${port}`);
    await reply.discard();
  });

  test('is for one port alone', async () => {
    const { url } = await registry();
    const { port } = new URL(url);
    const pinned = new Map([['registry.test:1', '127.0.0.1']]);
    const sent = transport({ pinned, lookup: nobody }).send(get(`http://registry.test:${port}/`), never);
    await expect(sent).rejects.toMatchObject({ phase: 'lookup' });
  });

  test('is looked at all the same where a peer named the host', async () => {
    const { url, requests } = await registry();
    const { port } = new URL(url);
    const pinned = new Map([[`registry.test:${port}`, '127.0.0.1']]);
    const outgoing = { ...get(`http://registry.test:${port}/`), addresses: 'unblocked' as const };
    await expect(transport({ pinned }).send(outgoing, never)).rejects.toMatchObject({
      phase: 'lookup',
      code: 'ERR_REG_BLOCKED_ADDRESS',
    });
    expect(requests).toHaveLength(0);
  });
});

describe('a signal', () => {
  test('that was aborted before keeps the request from the wire', async () => {
    const { url, requests } = await registry();
    const reason = new Error('stop');
    await expect(transport().send(get(url + tags), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(requests).toHaveLength(0);
  });

  test('ends the wait for a head', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'stall', at: 'before-head' });
    const stop = new AbortController();
    const sent = transport().send(get(url + tags), stop.signal);
    const reason = new Error('stop');
    stop.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });

  test('ends the wait for a body', async () => {
    const { url, faults } = await registry();
    faults.add({ kind: 'stall', at: 'mid-body' });
    const stop = new AbortController();
    const reply = await transport().send(get(url + tags), stop.signal);
    const text = reply.text(1_000);
    stop.abort(new Error('stop'));
    await expect(text).rejects.toMatchObject({ phase: 'body', message: 'stop' });
  });

  test('keeps nothing of a request that has ended', async () => {
    const { url } = await registry();
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_: 'abort', listener: () => void) => void listeners.delete(listener),
    };
    const reply = await transport().send(get(url + tags), signal);
    await reply.text(1_000);
    await new Promise(setImmediate);
    expect(listeners.size).toBe(0);
  });
});

describe('the address of a host that a peer named is looked at (design §5)', () => {
  const named = (url: string) => ({ ...get(url), addresses: 'unblocked' as const });
  const blocked = { phase: 'lookup', code: 'ERR_REG_BLOCKED_ADDRESS' };

  /** Names that stand for what they are given here, and which of them were asked for. */
  function names(answers: Readonly<Record<string, string>>) {
    const asked: string[] = [];
    const lookup: LookupFunction = (name, _options, callback) => {
      asked.push(name);
      // No resolver answers at once.
      setImmediate(() => callback(null, [{ address: answers[name] ?? '', family: 4 }]));
    };
    return { asked, lookup };
  }

  test.each([
    'http://localhost',
    'http://127.0.0.1',
    'http://[::1]',
    'https://localhost',
    'https://127.0.0.1',
  ])('%s is not dialled', async (origin) => {
    let connections = 0;
    const host = await listening(
      createTcpServer((socket) => {
        connections += 1;
        socket.destroy();
      }),
    );
    const sent = transport().send(named(`${origin}:${host.split(':')[1]}/token`), never);
    await expect(sent).rejects.toMatchObject(blocked);
    expect(connections).toBe(0);
  });

  test('a name that stands for another address by then gains nothing (DNS rebinding)', async () => {
    const { url, requests } = await registry();
    const { asked, lookup } = names({ 'auth.test': '127.0.0.1' });
    const { send } = transport({ lookup });
    const at = url.replace('127.0.0.1', 'auth.test');
    // What the caller named may be anywhere, and its connection is kept.
    const reply = await send(get(at + tags), never);
    expect(reply.address).toBeUndefined();
    await reply.discard();
    await expect(send(named(at + tags), never)).rejects.toMatchObject(blocked);
    expect([requests.length, asked]).toEqual([1, ['auth.test', 'auth.test']]);
  });

  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(
      ({ internal, family, address }) => !internal && family === 'IPv4' && !refuseAddress(address, address),
    );
  if (own === undefined)
    console.log('skipped: an address that is looked at and dialled (there is only loopback)');

  test.skipIf(own === undefined)(
    'any other is dialled, and the reply says that it was looked at',
    async () => {
      let connections = 0;
      const server = createServer((_, response) => response.end('{}'));
      server.on('connection', () => connections++);
      const address = own?.address ?? '';
      const { port } = new URL(`http://${await listening(server, address)}`);
      const { asked, lookup } = names({ 'auth.test': address });
      const { send } = transport({ lookup });
      for (const host of ['auth.test', 'auth.test', address]) {
        const reply = await send(named(`http://${host}:${port}/token`), never);
        expect([reply.address, await reply.text(10)]).toEqual(['checked', '{}']);
      }
      expect([connections, asked]).toEqual([2, ['auth.test']]);
    },
  );
});
