/** The driver over raw sockets, against registries that are right, and on a wire that is not. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Failure, isRegistryAuthError } from '@reg/core';
import { type AuthorizerOptions, createAuthorizer, staticKeychain } from '@reg/core/driver';
import { canary, type RegistryOptions, startRegistry, startTokenServer } from '@reg/testing';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { type Body, textOf } from '../http1.ts';
import { send } from '../sockets.ts';

const password = canary('password');
const users = { alice: password };
const repositories = {
  'team/app': { tags: ['1.0', 'latest'], access: { alice: ['pull', 'push'] } },
} as const;
const alice = { type: 'password', username: 'alice', password } as const;
const tags = '{"name":"team/app","tags":["1.0","latest"]}';

afterEach(() => void vi.useRealTimers());

async function started(options: Partial<RegistryOptions> = {}) {
  const registry = await startRegistry({ auth: 'bearer', users, repositories, ...options });
  onTestFinished(() => registry.close());
  // With a pair, Basic would be taken for an attack.
  const policy = options.auth === 'basic' ? {} : { realms: { pairs: [registry.pair] } };
  const authorizer = createAuthorizer({ send, keychain: staticKeychain({ [registry.host]: alice }), policy });
  return { registry, ask: (about: Partial<Asked> = {}) => asked(authorizer, registry.url, about) };
}

interface Asked {
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly signal: AbortSignal;
}

async function asked(
  authorizer: ReturnType<typeof createAuthorizer<Body>>,
  origin: string,
  { method = 'GET', headers = [], signal }: Partial<Asked>,
) {
  const url = `${origin}/v2/team/app/tags/list`;
  const { head, raw } = await authorizer.request(
    { method, url, headers, body: 'none' },
    signal === undefined ? {} : { signal },
  );
  return { status: head.status, head, text: await textOf(raw, 1_000_000) };
}

test('the driver is 15 lines or fewer', () => {
  const source = readFileSync(new URL('../sockets.ts', import.meta.url), 'utf8');
  const [, driver = ''] = source.split('export const send');
  expect(driver.trim().split('\n').length).toBeLessThanOrEqual(15);
});

describe('a registry', () => {
  test.each(['none', 'basic', 'bearer', 'oauth2'] as const)('with auth %s is answered', async (auth) => {
    const { ask } = await started({
      auth,
      repositories: {
        'team/app': { ...repositories['team/app'], visibility: auth === 'none' ? 'public' : 'private' },
      },
    });
    const { status, text } = await ask();
    expect([status, JSON.parse(text ?? '')]).toEqual([200, JSON.parse(tags)]);
  });

  test('over TLS, of an authority that is trusted', async () => {
    const { registry, ask } = await started({ tls: true });
    const known = getCACertificates();
    await expect(ask()).rejects.toMatchObject({ code: 'ERR_REG_NETWORK' });
    setDefaultCACertificates([...known, registry.ca ?? '']);
    onTestFinished(() => setDefaultCACertificates(known));
    expect((await ask()).status).toBe(200);
  });

  test('a token serves again: two requests more cost two', async () => {
    const { registry, ask } = await started();
    await ask();
    await ask({ method: 'HEAD' });
    await ask();
    expect(registry.requests.length).toBe(5);
  });

  test('a HEAD has no body, whatever its length says', async () => {
    const { ask } = await started();
    expect(await ask({ method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });

  test('one in this process has its tags printed', () => {
    const options = ['--conditions=@reg/source', fileURLToPath(new URL('../tags.ts', import.meta.url))];
    expect(execFileSync(process.execPath, options, { encoding: 'utf8' })).toContain(
      '"tags":["1.0","1.1","latest"]',
    );
  });
});

test.skipIf(isMissing('docker-registry'))('docker-registry with token auth is answered', async () => {
  const tokens = await startTokenServer({ users, repositories });
  onTestFinished(() => tokens.close());
  const registry = await startDistribution({ token: tokens });
  const authorizer = createAuthorizer({
    send,
    keychain: staticKeychain({ [registry.host]: alice }),
    policy: { realms: { pairs: [{ registry: registry.url, realm: new URL(tokens.url).origin }] } },
  });
  const { status, text } = await asked(authorizer, registry.url, {});
  // It knows no such repository, and says so to those who may know.
  expect([status, text]).toEqual([404, expect.stringContaining('NAME_UNKNOWN')]);
  expect(await registry.answered()).toEqual([
    'GET /v2/team/app/tags/list 401',
    'GET /v2/team/app/tags/list 404',
  ]);
  console.log('real registry: docker-registry (token) answered raw sockets');
});

/** A server that hands each connection to `serve`, once its request is there. */
async function serving(serve: (socket: Socket) => void) {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.once('data', () => serve(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    open,
    ask: (options: Omit<AuthorizerOptions<Body>, 'send'> = {}, about: Partial<Asked> = {}) =>
      asked(createAuthorizer({ send, ...options }), `http://127.0.0.1:${address.port}`, about),
  };
}

const saying = (bytes: string) => serving((socket) => socket.end(bytes, 'latin1'));

async function failureOf(work: Promise<unknown>): Promise<Failure | null> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!isRegistryAuthError(error)) throw new Error(`no typed failure: ${String(error)}`);
  return error.failure;
}

describe('a response is read', () => {
  test.each([
    ['by its length', 'Content-Length: 5\r\n\r\nhello, and what is no part of it', 'hello'],
    [
      'in chunks, with extensions and a trailer',
      'Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n',
      'hello',
    ],
    ['to the end of its connection', '\r\nhello', 'hello'],
    ['with lengths that agree', 'Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello', 'hello'],
    ['with bare line feeds (RFC 9112 §2.2)', 'Content-Length: 5\n\nhello', 'hello'],
  ])('%s', async (_, rest, text) => {
    const { ask } = await saying(`HTTP/1.1 200 OK\r\n${rest}`);
    expect(await ask()).toMatchObject({ status: 200, text });
  });

  test('after those that say to wait, byte by byte', async () => {
    const { ask } = await serving((socket) => {
      socket.setNoDelay();
      const bytes =
        'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nA: \t1 2\t \r\nContent-Length: 2\r\n\r\nok';
      const next = (at: number) => {
        if (at < bytes.length) socket.write(bytes.charAt(at), () => next(at + 1));
      };
      next(0);
    });
    const { head, text } = await ask();
    expect([head.headers, text]).toEqual([
      [
        ['a', '1 2'],
        ['content-length', '2'],
      ],
      'ok',
    ]);
  });

  test('and its connection is ended with it, by either side', async () => {
    const { ask, open } = await serving((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    );
    await ask();
    await vi.waitFor(() => expect(open.size).toBe(0));
  });
});

describe('what cannot be read in one way only is refused', () => {
  test.each([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    ['a protocol that nobody asked for', 'HTTP/1.1 101 Switching\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    ['a field in two lines', 'HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    ['a carriage return inside a field', 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n', 'ERR_HTTP_MALFORMED'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'ERR_HTTP_MALFORMED',
    ],
    [
      'a coding that was not asked for',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
      'ERR_HTTP_MALFORMED',
    ],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
      'ERR_HTTP_MALFORMED',
    ],
    ['a length with a sign', 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello', 'ERR_HTTP_MALFORMED'],
    ['a head without an end', 'HTTP/1.1 200 OK\r\nA: b\r\n', 'ECONNRESET'],
    ['nothing', '', 'ECONNRESET'],
  ])('%s', async (_, bytes, code) => {
    const { ask } = await saying(bytes);
    expect(await failureOf(ask())).toMatchObject({ kind: 'network', phase: 'head', code });
  });

  test.each([
    ['shorter than its length', 'Content-Length: 6\r\n\r\nhello', 'ECONNRESET'],
    ['without its last chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'ECONNRESET'],
    [
      'with a chunk longer than it said',
      'Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n',
      'ERR_HTTP_MALFORMED',
    ],
    [
      'with a chunk of no size',
      'Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n',
      'ERR_HTTP_MALFORMED',
    ],
    [
      'with a chunk of more than anyone holds',
      'Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nhello',
      'ERR_HTTP_MALFORMED',
    ],
    [
      'with the size of a chunk without an end',
      `Transfer-Encoding: chunked\r\n\r\n0;${'x'.repeat(5_000)}`,
      'ERR_HTTP_TOO_LONG',
    ],
    [
      'with a trailer without an end',
      `Transfer-Encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(20_000)}`,
      'ERR_HTTP_TOO_LONG',
    ],
  ])('a body %s', async (_, rest, code) => {
    const { ask } = await saying(`HTTP/1.1 200 OK\r\n${rest}`);
    await expect(ask()).rejects.toMatchObject({ name: 'SocketFault', code });
  });
});

describe('nothing is without an end', () => {
  test('a head of a megabyte is given up after 64 KiB', async () => {
    const { ask, open } = await saying(
      `HTTP/1.1 401 No\r\nWWW-Authenticate: ${'x'.repeat(1024 * 1024)}\r\n\r\n`,
    );
    expect(await failureOf(ask())).toMatchObject({ kind: 'network', code: 'ERR_HTTP_TOO_LONG' });
    await vi.waitFor(() => expect(open.size).toBe(0));
  });

  test('heads below 200 for ever count as one', async () => {
    const { ask } = await serving((socket) => {
      const more = (): void =>
        void (socket.writable && socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100), () => more()));
      more();
    });
    expect(await failureOf(ask())).toMatchObject({ kind: 'network', code: 'ERR_HTTP_TOO_LONG' });
  });

  test('a head that never comes is waited for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { ask } = await serving(() => vi.advanceTimersByTime(60_000));
    expect(await failureOf(ask())).toMatchObject({ kind: 'network', phase: 'head', code: 'ETIMEDOUT' });
  });

  test('a head that drips is waited for a minute in all', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { ask } = await serving((socket) => {
      const drip = (): void =>
        void (
          socket.writable &&
          socket.write('x', () => {
            vi.advanceTimersByTime(7_000);
            setImmediate(drip);
          })
        );
      drip();
    });
    expect(await failureOf(ask())).toMatchObject({ kind: 'network', phase: 'head', code: 'ETIMEDOUT' });
  });

  test('a body that stops is waited for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { ask, open } = await serving((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello', () => socket.unref());
    });
    const reading = ask();
    reading.catch(() => {});
    await vi.waitFor(() => expect([open.size, vi.getTimerCount()]).toEqual([1, 1]), { timeout: 5_000 });
    vi.advanceTimersByTime(60_000);
    await expect(reading).rejects.toMatchObject({ phase: 'body', code: 'ETIMEDOUT' });
  });

  test('a body for ever is read as far as its reader wants, and ended', async () => {
    const { ask, open } = await serving((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): void => void (socket.writable && socket.write('x'.repeat(65_536), () => more()));
      more();
    });
    expect(await ask()).toMatchObject({ status: 200, text: null });
    await vi.waitFor(() => expect(open.size).toBe(0));
  });

  test('a token that drips is waited for as long as policy says', async () => {
    let ring = (): void => {};
    const token = await serving((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n{"token":"', () => ring());
    });
    const registry = await saying(
      `HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="${token.url}/token"\r\nContent-Length: 0\r\n\r\n`,
    );
    const policy = { realms: { pairs: [{ registry: registry.url, realm: token.url }] } };
    const sleep: AuthorizerOptions<Body>['sleep'] = (_, signal) =>
      new Promise((resolve) => {
        ring = resolve;
        signal.addEventListener('abort', () => resolve());
      });
    expect((await failureOf(registry.ask({ policy, sleep })))?.kind).toBe('deadline');
    await vi.waitFor(() => expect(token.open.size).toBe(0));
  });

  test('an abort ends a request with its reason, and stays on no signal', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const { ask, open } = await serving(() => controller.abort(reason));
    await expect(ask({}, { signal: controller.signal })).rejects.toBe(reason);
    await vi.waitFor(() => expect(open.size).toBe(0));
    expect(remove.mock.calls.length).toBeGreaterThanOrEqual(add.mock.calls.length);
  });
});

describe('nothing is sent', () => {
  test.each<[string, Partial<Asked>]>([
    ['for a value with a line break', { headers: [['x', 'a\r\nauthorization: b']] }],
    ['for a value with a zero', { headers: [['x', 'a\0']] }],
    ['for a name with a colon', { headers: [['x: y\r\nz', 'a']] }],
    ['for a name with a space', { headers: [['x y', 'a']] }],
    ['for a method that is a request', { method: 'GET / HTTP/1.1\r\nhost: x\r\n\r\nGET' }],
    ['for a length of the caller', { headers: [['content-length', '5']] }],
    ['for a host of the caller', { headers: [['host', 'other.example']] }],
  ])('%s', async (_, about) => {
    const heard = vi.fn();
    const { ask } = await serving(heard);
    expect(await failureOf(ask({}, about))).toMatchObject({
      kind: 'network',
      phase: 'send',
      code: 'ERR_REG_REQUEST_TEXT',
    });
    expect(heard).not.toHaveBeenCalled();
  });
});
