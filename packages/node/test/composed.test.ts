/** The interceptor on everything undici has. Each test says, from the sockets, who received what. */

import { createHook } from 'node:async_hooks';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { isRegistryAuthError } from '@reg/core';
import { digestOf, type Registry } from '@reg/testing';
import {
  Agent,
  BalancedPool,
  Client,
  connect,
  type Dispatcher,
  Dispatcher1Wrapper,
  EnvHttpProxyAgent,
  getGlobalDispatcher,
  interceptors,
  MockAgent,
  Pool,
  ProxyAgent,
  pipeline,
  RetryAgent,
  RoundRobinPool,
  request,
  Socks5ProxyAgent,
  setGlobalDispatcher,
  stream,
  fetch as undiciFetch,
  upgrade,
} from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { registryAgent, registryAuth } from '../src/index.ts';
import { agent, aliceAt, closing, listening, recorder, serve, stage, TAGS, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const LAYER = 'the bytes of a layer';
const UPLOAD = `/v2/team/app/blobs/uploads/?digest=${digestOf(Buffer.from(LAYER))}`;
const TAG_LIST = { name: 'team/app', tags: ['1'] };

/** Who received what, in order: server, method, and the scheme of its `Authorization`. */
function received(registry: Registry): string[] {
  return registry.requests.map(({ server, method, headers }) => {
    const [scheme = 'bare'] = headers['authorization']?.split(' ') ?? [];
    return `${server} ${method} ${scheme}`;
  });
}

/** A dispatcher that is closed after the test, since a `MockAgent` cannot be destroyed. It closes when nothing is left on it. */
function ending<D extends Dispatcher>(dispatcher: D): D {
  onTestFinished(() => dispatcher.close());
  return dispatcher;
}

/** A proxy that tunnels. `asked` is each CONNECT, `passed` what went through in both directions, and `sockets` those to it. */
async function tunnel() {
  const asked: { readonly target: string; readonly headers: IncomingHttpHeaders }[] = [];
  const passed: Buffer[] = [];
  const proxy = createServer((incoming, response) => {
    asked.push({ target: `not a tunnel: ${incoming.url}`, headers: incoming.headers });
    response.writeHead(500).end();
  });
  proxy.on('connect', ({ url = '', headers }, socket: Socket, head: Buffer) => {
    asked.push({ target: url, headers });
    const { hostname, port } = new URL(`http://${url}`);
    const onward = connectTcp(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const side of [socket, onward]) {
      side.on('data', (chunk) => passed.push(chunk));
      side.on('error', () => {}).on('close', () => void (side === socket ? onward : socket).destroy());
    }
  });
  return { uri: await listening(proxy), asked, passed };
}

/** A SOCKS5 server without a password (RFC 1928). Answers with its URL. */
async function socks(): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (asked: Buffer) => {
        expect([...asked.subarray(0, 4)]).toEqual([5, 1, 0, 1]);
        const onward = connectTcp(asked.readUInt16BE(8), asked.subarray(4, 8).join('.'), () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          socket.pipe(onward).pipe(socket);
        });
        onward.on('error', () => {}).on('close', () => void socket.destroy());
        socket.on('close', () => void onward.destroy());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return `socks5://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

describe('on every dispatcher, with every function of undici', () => {
  type Create = (at: {
    readonly origin: string;
    readonly ca: string;
    readonly proxy: string;
    readonly socksProxy: string;
    readonly hosts: readonly string[];
  }) => Dispatcher;
  const dispatchers: readonly [string, Create][] = [
    ['Client', ({ origin, ca }) => new Client(origin, { connect: { ca } })],
    ['Pool', ({ origin, ca }) => new Pool(origin, { connect: { ca } })],
    ['BalancedPool', ({ origin, ca }) => new BalancedPool(origin, { connect: { ca } })],
    ['RoundRobinPool', ({ origin, ca }) => new RoundRobinPool(origin, { connect: { ca }, connections: 2 })],
    ['Agent', ({ ca }) => new Agent({ connect: { ca } })],
    ['Agent of Clients', ({ ca }) => new Agent({ connect: { ca }, connections: 1 })],
    ['RetryAgent', ({ ca }) => new RetryAgent(new Agent({ connect: { ca } }))],
    ['RetryAgent on a Pool', ({ origin, ca }) => new RetryAgent(new Pool(origin, { connect: { ca } }))],
    [
      'ProxyAgent',
      ({ ca, proxy }) => new ProxyAgent({ uri: proxy, token: 'Basic proxy', requestTls: { ca } }),
    ],
    [
      'EnvHttpProxyAgent',
      ({ ca, proxy }) => new EnvHttpProxyAgent({ httpsProxy: proxy, requestTls: { ca } }),
    ],
    ['ProxyAgent on SOCKS', ({ ca, socksProxy }) => new ProxyAgent({ uri: socksProxy, requestTls: { ca } })],
    ['Socks5ProxyAgent', ({ ca, socksProxy }) => new Socks5ProxyAgent(socksProxy, { requestTls: { ca } })],
    ['EnvHttpProxyAgent without a proxy', ({ ca }) => new EnvHttpProxyAgent({ connect: { ca } })],
    ['registryAgent', ({ hosts }) => registryAgent({ env: {}, unverifiedHosts: hosts })],
    [
      'registryAgent through a proxy',
      ({ hosts, proxy }) => registryAgent({ env: { https_proxy: proxy }, unverifiedHosts: hosts }),
    ],
    ['MockAgent that mocks nothing', ({ ca }) => new MockAgent({ connect: { ca } })],
  ];

  test.each(dispatchers)('%s', async (_, create) => {
    const { registry, auth } = await stage({ tls: true });
    const { url: origin, ca } = registry;
    if (ca === null) throw new Error('no authority');
    const proxy = (await tunnel()).uri;
    const socksProxy = await socks();
    const hosts = [origin, registry.tokenUrl].map((url) => new URL(url).host);
    const tokenDispatcher = agent({ connect: { ca } });
    const dispatcher = ending(create({ origin, ca, proxy, socksProxy, hosts })).compose(
      registryAuth({ ...auth, tokenDispatcher }),
    );
    const url = origin + TAGS;

    expect(await (await request(url, { dispatcher })).body.json()).toEqual(TAG_LIST);
    let text = '';
    const sink = new Writable({
      write(chunk, _encoding, done) {
        text += chunk;
        done();
      },
    });
    await stream(url, { dispatcher, method: 'GET' }, () => sink);
    expect(JSON.parse(text)).toEqual(TAG_LIST);
    const duplex = pipeline(origin + UPLOAD, { dispatcher, method: 'POST' }, ({ statusCode, body }) => {
      expect(statusCode).toBe(201);
      return body;
    });
    duplex.end(LAYER);
    await duplex.toArray();
    expect(await (await undiciFetch(url, { dispatcher })).json()).toEqual(TAG_LIST);
    const init = { dispatcher, method: 'POST', body: LAYER };
    expect((await undiciFetch(origin + UPLOAD, init)).status).toBe(201);

    expect(received(registry)).toEqual([
      'registry GET bare',
      'token GET Basic',
      'registry GET Bearer',
      'registry GET Bearer',
      'token GET Basic',
      'registry POST Bearer',
      'registry GET Bearer',
      'registry POST Bearer',
    ]);
    for (const { server, headers } of registry.requests) {
      expect(headers['host']).toBe(new URL(server === 'token' ? registry.tokenUrl : origin).host);
      expect(headers['proxy-authorization']).toBe(undefined);
    }
  });

  test('undici’s own functions without a dispatcher, on the global one', async () => {
    const before = getGlobalDispatcher();
    onTestFinished(() => setGlobalDispatcher(before));
    const { registry, auth } = await stage();
    setGlobalDispatcher(agent().compose(registryAuth(auth)));
    const url = registry.url + TAGS;
    expect(await (await request(url)).body.json()).toEqual(TAG_LIST);
    expect(await (await undiciFetch(url)).json()).toEqual(TAG_LIST);
    expect(received(registry).slice(-2)).toEqual(['registry GET Bearer', 'registry GET Bearer']);
    expect(registry.count()).toBe(4);
  });

  test('a BalancedPool without an origin in the request is no registry’s: it goes on as it came', async () => {
    const { registry, auth } = await stage();
    const pool = closing(new BalancedPool(registry.url)).compose(registryAuth(auth));
    expect((await pool.request({ path: TAGS, method: 'GET' })).statusCode).toBe(401);
    expect(received(registry)).toEqual(['registry GET bare']);
  });

  test('fifty registries on one Agent: to each its own password and its own tokens', async () => {
    const staged = await Promise.all(Array.from({ length: 50 }, () => stage()));
    const credentials = new Map(staged.map(({ registry, password }) => [registry.url, password]));
    const dispatcher = agent().compose(
      registryAuth({
        keychain: {
          find: async (origin, ...more) => aliceAt(origin, credentials.get(origin)).find(origin, ...more),
        },
        policy: { realms: { pairs: staged.map(({ registry }) => registry.pair) } },
      }),
    );
    const ask = async (url: string) => (await request(url + TAGS, { dispatcher })).body.json();
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(staged.map(({ registry }) => ask(registry.url)));
      expect(answers).toEqual(staged.map(() => TAG_LIST));
    }
    const seen = new Set<string>();
    for (const { registry, password } of staged) {
      expect(received(registry)).toEqual([
        'registry GET bare',
        'token GET Basic',
        'registry GET Bearer',
        'registry GET Bearer',
      ]);
      const [, basic, bearer, again] = registry.requests.map(({ headers }) => headers['authorization'] ?? '');
      expect(Buffer.from(basic?.slice('Basic '.length) ?? '', 'base64').toString()).toBe(`alice:${password}`);
      expect(again).toBe(bearer);
      seen.add(basic ?? '').add(bearer ?? '');
    }
    expect(seen.size).toBe(100);
  });
});

describe('proxies', () => {
  const tlsStage = async () => {
    const staged = await stage({ tls: true });
    const { ca } = staged.registry;
    if (ca === null) throw new Error('no authority');
    return { ...staged, ca };
  };

  test('a proxy that tunnels is told where to, and its own credential', async () => {
    const { registry, auth, ca } = await tlsStage();
    const { uri, asked, passed } = await tunnel();
    const dispatcher = closing(new ProxyAgent({ uri, token: 'Basic proxy', requestTls: { ca } })).compose(
      registryAuth(auth),
    );
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
    const hosts = [registry.url, registry.tokenUrl].map((url) => new URL(url).host);
    expect(asked.map(({ target }) => target)).toEqual(hosts);
    for (const { headers } of asked) {
      expect(Object.keys(headers).sort()).toEqual([
        'connection',
        'host',
        'proxy-authorization',
        'proxy-connection',
      ]);
      expect(headers['proxy-authorization']).toBe('Basic proxy');
    }
    expect(Buffer.concat(passed).toString('latin1')).not.toMatch(/authorization|Bearer|Basic/i);
  });

  test('a bound Pool has its proxy, its token server another way', async () => {
    const { registry, auth, ca } = await tlsStage();
    const { uri, asked } = await tunnel();
    const through = closing(new ProxyAgent({ uri, requestTls: { ca } }));
    const pool = closing(new Pool(registry.url, { connect: { ca } }));
    const dispatcher = pool.compose(registryAuth({ ...auth, tokenDispatcher: through }));
    expect((await dispatcher.request({ path: TAGS, method: 'GET' })).statusCode).toBe(200);
    expect(asked.map(({ target }) => target)).toEqual([new URL(registry.tokenUrl).host]);
  });

  test('NO_PROXY holds for the token server apart', async () => {
    const { registry, auth, ca } = await tlsStage();
    const { uri, asked } = await tunnel();
    const noProxy = new URL(registry.tokenUrl).host;
    const options = { httpsProxy: uri, noProxy, requestTls: { ca }, connect: { ca } };
    const dispatcher = closing(new EnvHttpProxyAgent(options)).compose(registryAuth(auth));
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
    expect(asked.map(({ target }) => target)).toEqual([registry.host]);
    expect(received(registry)).toEqual(['registry GET bare', 'token GET Basic', 'registry GET Bearer']);
  });

  test('a tunnel that the proxy refuses ends as undici says it, and sends nothing', async () => {
    const { registry, auth, ca } = await tlsStage();
    const proxy = createServer();
    proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    const uri = await listening(proxy);
    const dispatcher = closing(new ProxyAgent({ uri, requestTls: { ca } })).compose(registryAuth(auth));
    await expect(request(registry.url + TAGS, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_ABORTED',
      message: expect.stringContaining('407'),
    });
    expect(registry.count()).toBe(0);
  });

  test('a field that comes twice reaches the registry twice', async () => {
    const accepted: (string | undefined)[] = [];
    const uri = await listening(
      createServer((incoming, response) => {
        accepted.push(incoming.headers.accept);
        response.end();
      }),
    );
    const dispatcher = closing(new ProxyAgent({ uri })).compose(registryAuth());
    // Of Host and Content-Length undici takes one value only, and no list of one.
    const headers = {
      accept: ['application/vnd.oci.image.index.v1+json', 'application/json'],
      host: '127.0.0.1:1',
      'content-length': '4',
    };
    const { statusCode } = await request('http://127.0.0.1:1/v2/x', {
      dispatcher,
      method: 'PUT',
      headers,
      body: 'text',
    });
    expect(statusCode).toBe(200);
    expect(accepted).toEqual(['application/vnd.oci.image.index.v1+json, application/json']);
  });
});

describe('MockAgent, for the tests of its users', () => {
  const REGISTRY = 'https://registry.test';
  const AUTHORITY = 'https://auth.registry.test';
  const keychain = aliceAt(REGISTRY, 'x');
  const policy = { realms: { pairs: [{ registry: REGISTRY, realm: AUTHORITY }] } };
  const json = { headers: { 'content-type': 'application/json' } };

  function mocked(): MockAgent {
    const mock = ending(new MockAgent({ enableCallHistory: true }));
    mock.disableNetConnect();
    const registry = mock.get(REGISTRY);
    const challenge = `Bearer realm="${AUTHORITY}/token",service="s",scope="repository:team/app:pull"`;
    registry
      .intercept({ path: TAGS, headers: (headers) => headers['authorization'] === 'Bearer abc' })
      .reply(200, TAG_LIST, json);
    registry.intercept({ path: TAGS }).reply(401, {}, { headers: { 'www-authenticate': challenge } });
    mock
      .get(AUTHORITY)
      .intercept({ path: /^\/token\?/, headers: { authorization: `Basic ${btoa('alice:x')}` } })
      .reply(200, { token: 'abc' }, json);
    return mock;
  }

  test('on a MockAgent', async () => {
    const mock = mocked();
    const dispatcher = mock.compose(registryAuth({ keychain, policy }));
    const { statusCode, body } = await request(REGISTRY + TAGS, { dispatcher });
    expect([statusCode, await body.json()]).toEqual([200, TAG_LIST]);
    const calls = mock.getCallHistory()?.calls() ?? [];
    expect(calls.map(({ origin }) => origin)).toEqual([REGISTRY, AUTHORITY, REGISTRY]);
    mock.assertNoPendingInterceptors();
  });

  test('on a MockPool, which is bound: the token comes from the MockAgent it is told of', async () => {
    const mock = mocked();
    const pool = mock.get(REGISTRY).compose(registryAuth({ keychain, policy, tokenDispatcher: mock }));
    const { statusCode, body } = await pool.request({ path: TAGS, method: 'GET' });
    expect([statusCode, await body.json()]).toEqual([200, TAG_LIST]);
    mock.assertNoPendingInterceptors();
  });

  test('what is not mocked is its error', async () => {
    const dispatcher = mocked().compose(registryAuth({ keychain, policy }));
    await expect(request(`${REGISTRY}/v2/other`, { dispatcher })).rejects.toMatchObject({
      code: 'UND_MOCK_ERR_MOCK_NOT_MATCHED',
    });
  });

  test('an upload, a reply with an error, one that comes late, and an abort meanwhile', async () => {
    const mock = mocked();
    const registry = mock.get(REGISTRY);
    const dispatcher = mock.compose(registryAuth());
    const path = '/v2/team/app/blobs/uploads/1';
    registry.intercept({ path: '/v2/' }).reply(200, {});
    registry.intercept({ path, method: 'PUT' }).reply(201, '');
    const body = Readable.from(['text']);
    expect((await request(REGISTRY + path, { dispatcher, method: 'PUT', body })).statusCode).toBe(201);
    const broken = new Error('broken');
    registry.intercept({ path }).replyWithError(broken);
    await expect(request(REGISTRY + path, { dispatcher })).rejects.toBe(broken);
    registry.intercept({ path }).reply(200, '').delay(60_000);
    const controller = new AbortController();
    const call = request(REGISTRY + path, { dispatcher, signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });
});

describe('the fetch of Node itself, through the global dispatcher', () => {
  function install(options: Parameters<typeof registryAuth>[0]): void {
    const before = getGlobalDispatcher();
    onTestFinished(() => setGlobalDispatcher(before));
    setGlobalDispatcher(agent().compose(registryAuth(options)));
  }

  test.each<[string, () => RequestInit['body'], RegExp]>([
    ['text', () => LAYER, /^the bytes of a layer$/],
    ['bytes', () => new TextEncoder().encode(LAYER), /^the bytes of a layer$/],
    ['a blob', () => new Blob([LAYER]), /^the bytes of a layer$/],
    ['parameters', () => new URLSearchParams({ a: LAYER }), /^a=the\+bytes\+of\+a\+layer$/],
    [
      'a form',
      () => {
        const form = new FormData();
        form.append('a', LAYER);
        return form;
      },
      /name="a"\r\n\r\nthe bytes of a layer\r\n/,
    ],
    ['a stream', () => ReadableStream.from([Buffer.from(LAYER)]), /^the bytes of a layer$/],
  ])('an upload of %s is sent once, after a ping', async (_, body, expected) => {
    const seen: string[] = [];
    const bodies: string[] = [];
    const { url } = await serve(async (incoming, response) => {
      let text = '';
      for await (const chunk of incoming) text += chunk;
      bodies.push(text);
      seen.push(`${incoming.method} ${incoming.headers.authorization?.split(' ')[0]}`);
      if (incoming.headers.authorization === undefined)
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      response.end('done');
    });
    install({ keychain: aliceAt(url) });
    const init: RequestInit & { duplex: 'half' } = { method: 'PUT', duplex: 'half' };
    const response = await fetch(`${url}/v2/x`, { ...init, body: body() ?? null });
    expect([response.status, await response.text()]).toEqual([200, 'done']);
    expect(seen).toEqual(['GET undefined', 'PUT Basic']);
    expect(bodies[1]).toMatch(expected);
  });

  test('a redirect to another origin is followed by fetch, and the token stays', async () => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    install(auth);
    const url = `${registry.url}/v2/team/app/blobs/${digestOf(Buffer.from('app content'))}`;
    const response = await fetch(url);
    expect([response.status, response.redirected, await response.text()]).toEqual([200, true, 'app content']);
    expect(response.url).toMatch(registry.blobsUrl);
    expect(received(registry)).toEqual([
      'registry GET bare',
      'token GET Basic',
      'registry GET Bearer',
      'blobs GET bare',
    ]);
    expect((await fetch(url, { redirect: 'manual' })).status).toBe(307);
    await expect(fetch(url, { redirect: 'error' })).rejects.toThrow(TypeError);
    expect(received(registry).slice(4)).toEqual(['registry GET Bearer', 'registry GET Bearer']);
  });

  test('one dispatcher for one call: undici has a wrapper for the handlers of Node’s fetch', async () => {
    const { registry, auth } = await stage();
    const dispatcher = new Dispatcher1Wrapper(agent().compose(registryAuth(auth)));
    // Its types are those of the undici inside Node.
    const init = { dispatcher } as unknown as RequestInit;
    expect(await (await fetch(registry.url + TAGS, init)).json()).toEqual(TAG_LIST);
    expect(received(registry)).toEqual(['registry GET bare', 'token GET Basic', 'registry GET Bearer']);
  });

  test('an abort while the token is obtained, and one in the middle of the body', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'stall', at: 'before-head' });
    install(auth);
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = fetch(registry.url + TAGS, { signal: controller.signal });
    await until(() => registry.count({ server: 'token' }) === 1);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);

    registry.faults.add({ server: 'registry', path: TAGS, kind: 'stall', at: 'mid-body' });
    const second = new AbortController();
    const { body } = await fetch(registry.url + TAGS, { signal: second.signal });
    const reader = body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    const rest = reader?.read();
    second.abort(reason);
    await expect(rest).rejects.toBe(reason);
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
  });

  test('what ends without an answer is its TypeError, with ours as cause', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'status', status: 403 });
    install(auth);
    const error: unknown = await fetch(registry.url + TAGS).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TypeError);
    const cause = error instanceof Error ? error.cause : undefined;
    expect(isRegistryAuthError(cause) && cause.failure.kind).toBe('token-refused');
  });
});

describe('with undici’s other interceptors', () => {
  const dns = interceptors.dns({
    lookup: (_origin, _options, done) => done(null, [{ address: '127.0.0.1', ttl: 1_000, family: 4 }]),
  });
  const retry = () => interceptors.retry({ minTimeout: 1, maxRetries: 3 });

  test('all of them at once, each on the sides it may be: a 503, a reset and a coding later, the answer', async () => {
    let asked = 0;
    const { url } = await serve((incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"', 'Content-Encoding': 'gzip' });
        return void response.end(gzipSync('{}'));
      }
      asked += 1;
      if (asked === 1) return void incoming.socket.destroy();
      if (asked === 2) return void response.writeHead(503).end('later');
      response.writeHead(200, { 'Content-Encoding': 'gzip' });
      return void response.end(gzipSync('some text'));
    });
    const named = `http://registry.test:${new URL(url).port}`;
    const policy = { insecureHosts: [new URL(named).host] };
    const dispatcher = agent().compose(
      dns,
      retry(),
      interceptors.decompress(),
      registryAuth({ keychain: aliceAt(named), policy }),
      interceptors.decompress(),
      interceptors.deduplicate(),
      retry(),
      interceptors.responseError(),
    );
    const { statusCode, body } = await request(`${named}/v2/x`, { dispatcher });
    expect([statusCode, await body.text(), asked]).toEqual([200, 'some text', 3]);
  });

  test('dump outside: the body is dropped, the handshake is not', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth), interceptors.dump());
    const { statusCode, body } = await request(registry.url + TAGS, { dispatcher });
    expect([statusCode, await body.text()]).toEqual([200, '']);
    expect(received(registry)).toEqual(['registry GET bare', 'token GET Basic', 'registry GET Bearer']);
  });

  test('dump outside takes `abort` off our controller: what the handler throws ends the request all the same', async () => {
    const { registry, auth } = await stage();
    const thrown = new Error('on purpose');
    const { handler, events, end } = recorder({
      onRequestStart: () => {
        throw thrown;
      },
    });
    const dispatcher = agent().compose(registryAuth(auth), interceptors.dump());
    dispatcher.dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(thrown);
    expect(events).toEqual(['start', 'error']);
    expect(registry.count()).toBe(0);
  });

  test('dump inside drops the token server’s answer as well: a failure that says so', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(interceptors.dump(), registryAuth(auth));
    const error: unknown = await request(registry.url + TAGS, { dispatcher }).catch(
      (thrown: unknown) => thrown,
    );
    expect(isRegistryAuthError(error) && error.failure.kind).toBe('token-invalid');
  });

  test('responseError outside: the 401 of the handshake is none, a final 404 is', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth), interceptors.responseError());
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
    const missing = `${registry.url}/v2/team/app/manifests/none`;
    await expect(request(missing, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_RESPONSE',
      statusCode: 404,
      body: { errors: [{ code: 'MANIFEST_UNKNOWN' }] },
    });
  });

  test('responseError inside makes an error of the challenge: it comes out as it is, and nothing follows', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(interceptors.responseError(), registryAuth(auth));
    await expect(request(registry.url + TAGS, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_RESPONSE',
      statusCode: 401,
    });
    expect(received(registry)).toEqual(['registry GET bare']);
  });

  test.each(['inside', 'outside'] as const)(
    'deduplicate %s: many callers of one, one answer for all',
    async (where) => {
      const { registry, auth } = await stage();
      const own = registryAuth(auth);
      const deduplicate = interceptors.deduplicate();
      const dispatcher =
        where === 'inside' ? agent().compose(deduplicate, own) : agent().compose(own, deduplicate);
      const ask = async () => (await request(registry.url + TAGS, { dispatcher })).body.json();
      for (const answer of await Promise.all(Array.from({ length: 10 }, ask)))
        expect(answer).toEqual(TAG_LIST);
      expect(received(registry)).toEqual(['registry GET bare', 'token GET Basic', 'registry GET Bearer']);
    },
  );

  test('deduplicate inside tells callers of different passwords apart', async () => {
    const { registry, auth } = await stage();
    const shared = agent().compose(interceptors.deduplicate());
    const alice = shared.compose(registryAuth(auth));
    const nobody = shared.compose(registryAuth({ policy: auth.policy }));
    const ask = async (dispatcher: Dispatcher) =>
      (await request(registry.url + TAGS, { dispatcher })).statusCode;
    expect(await Promise.all([ask(alice), ask(nobody), ask(alice), ask(nobody)])).toEqual([
      200, 401, 200, 401,
    ]);
  });
});

describe('what is not a registry’s', () => {
  test('a tunnel, to its end: the request as it came, bytes both ways', async () => {
    const heads: (IncomingHttpHeaders & { readonly url?: string | undefined })[] = [];
    const server = createServer();
    server.on('connect', ({ url, headers }, socket: Socket) => {
      heads.push({ ...headers, url });
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(socket);
    });
    const url = await listening(server);
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(url) }));
    const { socket, statusCode } = await connect(`${url}/v2/team/app`, { dispatcher });
    socket.end('there and back');
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect([statusCode, text]).toEqual([200, 'there and back']);
    expect(heads).toEqual([{ url: '/v2/team/app', host: new URL(url).host, connection: 'close' }]);
  });

  test('an upgrade, on a Pool: bytes both ways', async () => {
    const server = createServer();
    server.on('upgrade', ({ headers }, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: ${headers.upgrade}\r\nX-Auth: ${headers.authorization}\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    const url = await listening(server);
    const dispatcher = closing(new Pool(url)).compose(registryAuth({ keychain: aliceAt(url) }));
    const { socket, headers } = await upgrade(`${url}/v2/`, { dispatcher, protocol: 'chat' });
    socket.end('there and back');
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect([headers['x-auth'], text]).toEqual(['undefined', 'there and back']);
  });

  test('goes on in the same objects, unread and unchanged, without a promise', () => {
    const calls: unknown[][] = [];
    let answer = true;
    const dispatch = registryAuth({ keychain: aliceAt('http://127.0.0.1:1') })((...given) => {
      calls.push(given);
      return answer;
    });
    // A handler of which nothing may be read: whatever wraps or inspects it fails.
    const handler = new Proxy(recorder().handler, {
      get: () => expect.unreachable('the handler was looked at'),
      set: () => expect.unreachable('the handler was changed'),
    });
    const options = Object.freeze({
      origin: 'http://127.0.0.1:1',
      path: '/v1/search',
      method: 'POST',
      get body() {
        return expect.unreachable('the body was looked at');
      },
      get headers() {
        return expect.unreachable('the header fields were looked at');
      },
    });
    const made: string[] = [];
    const hook = createHook({ init: (_id, type) => void made.push(type) }).enable();
    const first = dispatch(options, handler);
    answer = false;
    const second = dispatch(options, handler);
    hook.disable();
    expect([first, second]).toEqual([true, false]);
    expect(made).toEqual([]);
    expect(calls).toHaveLength(2);
    for (const [forwarded, to] of calls) {
      expect(forwarded).toBe(options);
      expect(to === handler).toBe(true);
    }
  });
});
