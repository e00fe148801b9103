/**
 * What servers may do to a fetch, byte by byte, as a registry and as a token server: each ends, with an error that says what it
 * was, and its connection is closed.
 */

import { createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { failureOf, isRegistryAuthError } from '@reg/core';
import { Agent } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';
import { agent, clientOf, closing, stage, TAGS, until } from './stage.ts';
import { isNetworkError, reasonOf } from './wpt-stage.ts';

type Speech = string | ((socket: Socket) => void);

/** A server that says this to whoever begins a request, and how many of its connections are open. */
async function hostile(
  speech: Speech,
): Promise<{ readonly url: string; readonly open: () => number; readonly connections: () => number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      if (typeof speech === 'string') socket.write(speech, 'latin1');
      else speech(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  return { url, open: () => sockets.size, connections: () => connections };
}

/** Says `text` for ever, as fast as it is taken. */
const forever =
  (text: string, before = ''): Speech =>
  (socket) => {
    const say = (): void => {
      if (socket.destroyed) return;
      if (socket.write(text.repeat(50), 'latin1')) setImmediate(say);
      else socket.once('drain', say);
    };
    socket.write(before);
    say();
  };

const ok = 'HTTP/1.1 200 OK\r\n';
const early = 'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n';

/** No response comes of these: what they are, what is said, and the code of undici's error. */
const heads: readonly (readonly [string, Speech, string])[] = [
  ['fields without end', forever('X-A: aaaaaaaaaaaaaaaa\r\n', ok), 'UND_ERR_HEADERS_OVERFLOW'],
  ['a field without end', forever('aaaaaaaaaaaaaaaa', `${ok}X-A: `), 'UND_ERR_HEADERS_OVERFLOW'],
  ['a field name without end', forever('aaaaaaaaaaaaaaaa', ok), 'UND_ERR_HEADERS_OVERFLOW'],
  ['a storm of 103', forever(early), 'UND_ERR_HEADERS_OVERFLOW'],
  ['a storm of 102', forever('HTTP/1.1 102 Processing\r\n\r\n'), 'UND_ERR_HEADERS_OVERFLOW'],
  ['100, which nobody waited for', 'HTTP/1.1 100 Continue\r\n\r\n', 'UND_ERR_SOCKET'],
  [
    '101, which nobody asked for',
    'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    'UND_ERR_SOCKET',
  ],
  [
    'two lengths',
    `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk`,
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ],
  ['a length that is none', `${ok}Content-Length: x\r\n\r\n`, 'UNKNOWN'],
  ['a negative length', `${ok}Content-Length: -1\r\n\r\n`, 'UNKNOWN'],
  [
    'a length beyond all numbers',
    `${ok}Content-Length: ${'9'.repeat(40)}\r\n\r\n`,
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ],
  [
    'a length and chunks',
    `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'UNKNOWN'],
  ['TLS', '\x15\x03\x01\x00\x02\x02\x46', 'UNKNOWN'],
  ['the end', (socket) => socket.end(), 'UND_ERR_SOCKET'],
  ['a reset', (socket) => socket.resetAndDestroy(), 'ECONNRESET'],
  ['half a head, and the end', (socket) => socket.end('HTTP/1.1 200 OK\r\nX-A'), 'UND_ERR_SOCKET'],
];

describe('a registry whose head is', () => {
  test.each(heads)('%s', async (_, speech, code) => {
    const { url, open } = await hostile(speech);
    const error = await reasonOf(createRegistryFetch({ dispatcher: agent() })(`${url}/v2/x`));
    expect(isRegistryAuthError(error) && error.failure).toMatchObject({
      kind: 'network',
      to: 'registry',
      code,
    });
    await until(() => open() === 0);
  });

  test('a status line without end ends by the dispatcher’s own patience', async () => {
    const { url, open } = await hostile(forever('a', 'HTTP/1.1 200 '));
    const dispatcher = closing(new Agent({ headersTimeout: 200 }));
    const error = await reasonOf(createRegistryFetch({ dispatcher })(`${url}/v2/x`));
    expect(isRegistryAuthError(error) && error.failure).toMatchObject({
      kind: 'network',
      phase: 'head',
      code: 'UND_ERR_HEADERS_TIMEOUT',
    });
    await until(() => open() === 0);
  });

  test('one that comes after 1,000 others below 200', async () => {
    const { url } = await hostile(`${early.repeat(1_000)}${ok}Content-Length: 2\r\n\r\nok`);
    expect(await (await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/x`)).text()).toBe('ok');
  });
});

const gzip = (text: string | Buffer): string => gzipSync(text).toString('latin1');

/** The head is fine, and the body is not. */
const bodies: readonly (readonly [string, Speech])[] = [
  ['shorter than its length', (socket) => socket.end(`${ok}Content-Length: 20\r\n\r\nok`)],
  [
    'reset',
    (socket) =>
      socket.write(`${ok}Content-Length: 20\r\n\r\nok`, () => setImmediate(() => socket.resetAndDestroy())),
  ],
  ['of a chunk that has no size', `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nZZ\r\n`],
  ['of a chunk that is longer than it says', `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nokok\r\n0\r\n\r\n`],
  [
    'of a chunk that is too large for any number',
    `${ok}Transfer-Encoding: chunked\r\n\r\n${'F'.repeat(40)}\r\nok`,
  ],
  ['without its last chunk', (socket) => socket.end(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`)],
  ['of chunk extensions without end', forever('aaaaaaaa', `${ok}Transfer-Encoding: chunked\r\n\r\n2;`)],
  [
    'of trailers without end',
    forever('X-A: aaaaaaaaaaaaaaaa\r\n', `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`),
  ],
  [
    'said to be gzip, and text',
    `${ok}Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: 4\r\n\r\ntext`,
  ],
  [
    'gzip cut off',
    (socket) =>
      socket.end(
        `${ok}Content-Encoding: gzip\r\nConnection: close\r\n\r\n${gzip('text').slice(0, -9)}`,
        'latin1',
      ),
  ],
  [
    'said to be br, and gzip',
    (socket) => socket.end(`${ok}Content-Encoding: br\r\nConnection: close\r\n\r\n${gzip('text')}`, 'latin1'),
  ],
];

describe('a registry whose body is', () => {
  test.each(bodies)('%s: fetch’s own TypeError', async (_, speech) => {
    const { url, open } = await hostile(speech);
    const dispatcher = closing(new Agent({ bodyTimeout: 1_000 }));
    const response = await createRegistryFetch({ dispatcher })(`${url}/v2/x`);
    expect(response.status).toBe(200);
    const error = await reasonOf(response.text());
    expect(error).toMatchObject({ name: 'TypeError', message: 'terminated', cause: expect.any(Error) });
    await dispatcher.close();
    await until(() => open() === 0);
  });

  test('longer than its length is as long as it said, and what follows is nobody’s answer', async () => {
    const second = `${ok}Content-Length: 6\r\n\r\nforged`;
    const { url, connections } = await hostile(`${ok}Content-Length: 2\r\n\r\nok${second}`);
    const fetch = createRegistryFetch({ dispatcher: agent() });
    expect(await (await fetch(`${url}/v2/x`)).text()).toBe('ok');
    expect(await (await fetch(`${url}/v2/y`)).text()).toBe('ok');
    expect(connections()).toBe(2);
  });

  test('there where none may be is not taken for the next answer', async () => {
    const { url } = await hostile(
      'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
    );
    const fetch = createRegistryFetch({ dispatcher: agent() });
    for (let i = 0; i < 2; i++) {
      const response = await fetch(`${url}/v2/x`);
      expect([response.status, response.body]).toEqual([204, null]);
    }
  });

  test('one byte, and then nothing, ends by the dispatcher’s own patience', async () => {
    const { url, open } = await hostile(`${ok}Content-Length: 20\r\n\r\no`);
    const dispatcher = closing(new Agent({ bodyTimeout: 200 }));
    const response = await createRegistryFetch({ dispatcher })(`${url}/v2/x`);
    expect(await reasonOf(response.text())).toMatchObject({ cause: { code: 'UND_ERR_BODY_TIMEOUT' } });
    await until(() => open() === 0);
  });

  test('a bomb under a 403 is read as far as it may say why, and delivered unread', async () => {
    const { url, open } = await bomb('HTTP/1.1 403 Forbidden\r\n');
    const before = process.memoryUsage().arrayBuffers;
    const response = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/x`);
    expect([response.status, failureOf(response)]).toMatchObject([403, { kind: 'denied' }]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1_048_576);
    await response.body?.cancel();
    await until(() => open() === 0);
  });

  test('a bomb flows no faster than it is read', async () => {
    const { url, open } = await bomb(ok);
    const before = process.memoryUsage().arrayBuffers;
    const response = await createRegistryFetch({ dispatcher: agent() })(`${url}/v2/x`);
    const reader = response.body?.getReader();
    await reader?.read();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1_048_576);
    await reader?.cancel();
    await until(() => open() === 0);
  });
});

/** 32 MiB of nothing, in gzip. */
function bomb(status: string) {
  const bytes = gzipSync(Buffer.alloc(32 * 1_048_576));
  const head = `${status}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  return hostile((socket) => socket.write(Buffer.concat([Buffer.from(head), bytes])));
}

/** A registry whose realm is `url`, and alice's fetch. */
async function realmAt(url: string) {
  const { registry, password } = await stage();
  registry.faults.add({ server: 'registry', times: 9, kind: 'realm', realm: `${url}/token` });
  const { keychain } = clientOf(registry, 'x');
  const pairs = [{ registry: registry.url, realm: url }];
  const policy = { realms: { pairs }, retry: { attempts: 1 }, deadlineMs: 2_000 };
  return { registry, password, fetch: createRegistryFetch({ keychain, policy, dispatcher: agent() }) };
}

describe('a token server whose answer is', () => {
  const storms = ['a storm of 103', 'a storm of 102'];

  test.each(heads)('%s', async (name, speech, code) => {
    const { url, open } = await hostile(speech);
    const { registry, fetch } = await realmAt(url);
    const error = await reasonOf(fetch(registry.url + TAGS));
    expect(isRegistryAuthError(error) && error.failure).toMatchObject(
      storms.includes(name) ? { kind: 'deadline' } : { kind: 'network', to: 'authority', code },
    );
    await until(() => open() === 0);
  });

  test.each(bodies)('a body that is %s', async (_, speech) => {
    const { url, open } = await hostile(speech);
    const { registry, fetch } = await realmAt(url);
    const error = await reasonOf(fetch(registry.url + TAGS));
    expect(isRegistryAuthError(error)).toBe(true);
    expect(isRegistryAuthError(error) && error.failure.kind).toMatch(/^(network|token-invalid|deadline)$/);
    await until(() => open() === 0);
  });
});

test('every one of them is a network error to fetch’s callers, and none is an unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  const fetch = createRegistryFetch({ dispatcher: agent() });
  for (const [, speech] of heads) await isNetworkError(fetch(`${(await hostile(speech)).url}/v2/x`));
  for (const [, speech] of bodies.slice(0, 6)) {
    const response = await fetch(`${(await hostile(speech)).url}/v2/x`);
    // Nobody reads it.
    expect(response.status).toBe(200);
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});
