/** The interceptor, on sockets: what undici's own handlers see, and who receives what. */

import { createHash, randomBytes } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { Readable, Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { isRegistryAuthError } from '@reg/core';
import { allow, digestOf } from '@reg/testing';
import {
  Agent,
  BalancedPool,
  Client,
  type Dispatcher,
  EnvHttpProxyAgent,
  FormData,
  getGlobalDispatcher,
  H2CClient,
  interceptors,
  Pool,
  ProxyAgent,
  pipeline,
  RetryAgent,
  RoundRobinPool,
  request,
  setGlobalDispatcher,
  stream,
  fetch as undiciFetch,
  upgrade,
} from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { agent, aliceAt, closing, listening, recorder, serve, stage, TAGS, turn, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const UPLOADS = '/v2/team/app/blobs/uploads/';
const LAYER = 'the bytes of a layer';
const upload = `${UPLOADS}?digest=${digestOf(Buffer.from(LAYER))}`;

describe('requests that are not a registry’s go on as they came', () => {
  /** What reaches the inner dispatch of an interceptor, which answers nothing. */
  function inner(options: Parameters<typeof registryAuth>[0] = {}) {
    const seen: { options: Dispatcher.DispatchOptions; handler: Dispatcher.DispatchHandler }[] = [];
    const dispatch = registryAuth(options)((opts, handler) => {
      seen.push({ options: opts, handler });
      return false;
    });
    return { seen, dispatch };
  }
  const at = { origin: 'http://127.0.0.1:1', method: 'GET' } as const;

  test.each<[string, Dispatcher.DispatchOptions]>([
    ['a path without /v2/', { ...at, path: '/v1/search?q=x' }],
    ['/v2/ in the query alone', { ...at, path: '/token?next=/v2/' }],
    ['an Authorization of the caller’s', { ...at, path: TAGS, headers: { AUTHORIZATION: 'Basic x' } }],
    ['an Authorization in a list', { ...at, path: TAGS, headers: ['accept', '*/*', 'Authorization', 'x'] }],
    ['an upgrade', { ...at, path: TAGS, upgrade: 'websocket' }],
    ['a tunnel', { ...at, path: '/v2/', method: 'CONNECT' }],
    ['an absolute path, which is a proxy’s', { ...at, path: 'http://registry.test/v2/' }],
    ['no origin', { path: TAGS, method: 'GET' }],
    ['an origin of another kind', { ...at, origin: 'unix:/run/registry.sock', path: TAGS }],
    ['headers that undici refuses', { ...at, path: TAGS, headers: ['odd'] }],
  ])('%s', (_, options) => {
    const { seen, dispatch } = inner();
    const { handler } = recorder();
    expect(dispatch(options, handler)).toBe(false);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.options).toBe(options);
    expect(seen[0]?.handler).toBe(handler);
  });

  test('an upgrade, to its end', async () => {
    const server = createServer();
    server.on('upgrade', ({ headers }, socket) => {
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${headers.upgrade}\r\n\r\ntext`,
      );
    });
    const url = await listening(server);
    const dispatcher = agent().compose(registryAuth());
    const { socket } = await upgrade(`${url}/v2/`, { dispatcher, protocol: 'chat' });
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect(text).toBe('text');
  });

  test('an origin that is not among `origins`', () => {
    const { seen, dispatch } = inner({ origins: ['https://registry.test'] });
    const options: Dispatcher.DispatchOptions = { ...at, path: TAGS };
    dispatch(options, recorder().handler);
    expect(seen[0]?.options).toBe(options);
  });

  test('an origin among `origins` is acted on, however it is written', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(
      registryAuth({ ...auth, origins: ['https://registry.test', `${registry.url.toUpperCase()}/`] }),
    );
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
  });

  // Each would match nothing, in silence.
  test.each([
    'registry.example:5000',
    'registry.example',
    'https://registry.example/v2/',
    'https://registry.example/?a',
    'https://alice:hunter2@registry.example',
    'ftp://registry.example',
    '',
  ])('what is no origin among `origins` is refused, and not shown: %s', (text) => {
    const create = (): unknown => registryAuth({ origins: ['https://registry.test', text] });
    expect(create).toThrow(
      new TypeError(
        '[@reg/node] origins[1] must be an origin, https://host or https://host:port, and nothing after it',
      ),
    );
  });

  test('header fields that can be read once are read once, an Authorization among them is the caller’s', async () => {
    const { registry } = await stage({ auth: 'basic' });
    function* fields(): Generator<[string, string]> {
      yield ['Authorization', 'Basic bm9ib2R5Og=='];
    }
    const dispatcher = agent().compose(registryAuth());
    const { statusCode } = await request(registry.url + TAGS, { dispatcher, headers: fields() });
    expect(statusCode).toBe(401);
    expect(registry.requests.map(({ headers }) => headers['authorization'])).toEqual(['Basic bm9ib2R5Og==']);
  });
});

test.each<[string, unknown]>([
  [
    'fields of three',
    [
      ['accept', 'a/b', 'c/d'],
      ['e', 'f', 'g'],
    ].values(),
  ],
  ['no fields at all', ['ac', 'ce'].values()],
  ['text', 'ac'],
])('header fields that undici refuses are refused by it, and not read as others: %s', async (_, headers) => {
  const seen: unknown[] = [];
  const server = await serve((incoming, response) => {
    seen.push(incoming.headers);
    response.end();
  });
  const options = { dispatcher: agent().compose(registryAuth()), headers };
  // The types of undici refuse it as well.
  await expect(request(`${server.url}/v2/`, options as object)).rejects.toThrow();
  expect(seen).toEqual([]);
});

describe('the caller’s handler sees one request', () => {
  test('one start at once, one controller for all legs, the 401 held back', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    const { handler, events, controllers, end, body } = recorder();
    expect(dispatcher.dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler)).toBe(true);
    expect(events).toEqual(['start']);
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '200', 'data', 'end']);
    expect(controllers.size).toBe(1);
    expect(JSON.parse(body())).toEqual({ name: 'team/app', tags: ['1'] });
    expect(registry.count()).toBe(3);
  });

  test('the raw header fields of the response are at the controller', async () => {
    const { registry, auth } = await stage();
    let raw: unknown;
    const { handler, end } = recorder({
      onResponseStart: (controller) => {
        raw = controller.rawHeaders;
      },
    });
    const dispatcher = agent().compose(registryAuth(auth));
    dispatcher.dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    await end;
    expect(Array.isArray(raw) && raw.map(String)).toContain('application/json');
  });

  test('those of an interim response as well', async () => {
    const { url } = await serve((_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => response.end('done'));
    });
    const raw: string[][] = [];
    const { handler, end } = recorder({
      onResponseStart: (controller) => void raw.push([controller.rawHeaders ?? []].flat().map(String)),
    });
    const dispatcher = agent().compose(registryAuth());
    dispatcher.dispatch({ origin: url, path: '/v2/', method: 'GET' }, handler);
    await end;
    expect(raw[0]).toEqual(['Link', '</style.css>; rel=preload']);
    expect(raw[1]).toContain('Date');
  });

  test('a held grant is dispatched in the tick it is asked for', async () => {
    const { registry, auth } = await stage();
    let sent = 0;
    const count: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (opts, handler) => {
      sent += 1;
      return dispatch(opts, handler);
    };
    const dispatcher = agent().compose(count, registryAuth(auth));
    await (await request(registry.url + TAGS, { dispatcher })).body.dump();
    sent = 0;
    const { handler, end } = recorder();
    dispatcher.dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    expect(sent).toBe(1);
    await end;
    expect(sent).toBe(1);
  });

  test.each([true, false])(
    'what the inner dispatch says of back-pressure is said to the caller: %s',
    async (mayGoOn) => {
      const dispatch = registryAuth()((_, leg) => {
        const controller = { rawHeaders: [], aborted: false, paused: false, reason: null };
        const inert = { ...controller, abort: () => {}, pause: () => {}, resume: () => {} };
        leg.onRequestStart?.(inert, null);
        leg.onResponseStart?.(inert, 200, {}, 'OK');
        leg.onResponseEnd?.(inert, {});
        return mayGoOn;
      });
      const ask = () => {
        const { handler, end } = recorder();
        return [dispatch({ origin: 'http://127.0.0.1:1', path: TAGS, method: 'GET' }, handler), end] as const;
      };
      const [cold, first] = ask();
      // Sent a moment later, when it was found out what the registry asks for.
      expect(cold).toBe(true);
      await first;
      const [warm, second] = ask();
      expect(warm).toBe(mayGoOn);
      await second;
    },
  );

  test('request, stream, pipeline and fetch of undici, eight at a time', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    const url = registry.url + TAGS;
    const all = [
      async () => (await request(url, { dispatcher })).body.text(),
      async () => {
        let text = '';
        await stream(url, { dispatcher, method: 'GET' }, () => {
          return new Writable({
            write(chunk, _, done) {
              text += chunk;
              done();
            },
          });
        });
        return text;
      },
      async () => {
        let text = '';
        const duplex = pipeline(url, { dispatcher, method: 'GET' }, ({ body }) => body);
        duplex.end();
        for await (const chunk of duplex) text += chunk;
        return text;
      },
      async () => (await undiciFetch(url, { dispatcher })).text(),
    ];
    const texts = await Promise.all([...all, ...all].map((get) => get()));
    expect(new Set(texts)).toEqual(new Set(['{"name":"team/app","tags":["1"]}']));
    expect(registry.count()).toBe(10);
  });

  test('an interim response reaches it before the final one', async () => {
    const { url } = await serve((_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => response.end('done'));
    });
    const { handler, events, end } = recorder();
    const dispatcher = agent().compose(registryAuth());
    dispatcher.dispatch({ origin: url, path: '/v2/', method: 'GET' }, handler);
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '103', '200', 'data', 'end']);
  });

  test('each callback in order: those of a body that is sent again as often as it is, the response once', async () => {
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end('error');
        return;
      }
      response.writeHead(201, { Trailer: 'x-checksum' });
      response.addTrailers({ 'X-Checksum': 'abc' });
      response.end('done');
    });
    const trailers: unknown[] = [];
    const { handler, events, end } = recorder({
      onResponseEnd: ({ rawTrailers }, fields) =>
        void trailers.push([rawTrailers ?? []].flat().map(String), fields),
    });
    const told: Dispatcher.DispatchHandler = {
      ...handler,
      onBodySent: (chunk: Buffer) => void events.push(`sent ${chunk}`),
      onRequestSent: () => void events.push('all sent'),
      onResponseStarted: () => void events.push('started'),
    };
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(server.url) }));
    dispatcher.dispatch({ origin: server.url, path: '/v2/x', method: 'PUT', body: 'text' }, told);
    expect(await end).toBe(null);
    const sending = ['sent text', 'all sent', 'started'];
    expect(events).toEqual(['start', ...sending, ...sending, '201', 'data', 'end']);
    expect(trailers).toEqual([['X-Checksum', 'abc'], { 'x-checksum': 'abc' }]);
  });

  test('the 401’s connection is used again', async () => {
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization !== undefined) return response.end('{}');
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      return response.end('x'.repeat(2_000));
    });
    const keychain = aliceAt(server.url);
    const dispatcher = agent().compose(registryAuth({ keychain }));
    const { statusCode, body } = await request(`${server.url}/v2/`, { dispatcher });
    expect([statusCode, await body.text(), server.connections()]).toEqual([200, '{}', 1]);
  });

  test.each([
    ['is endless', () => 'x'.repeat(65_536)],
    ['never ends', () => ''],
  ])('a 401 whose body %s costs its connection and no more', async (_, more) => {
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization !== undefined) return response.end('{}');
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      const write = (): void => {
        if (response.destroyed) return;
        const chunk = more();
        if (chunk === '') response.write('x');
        else if (response.write(chunk)) setImmediate(write);
        else response.once('drain', write);
      };
      return write();
    });
    const keychain = aliceAt(server.url);
    const dispatcher = agent().compose(registryAuth({ keychain }));
    const { statusCode } = await request(`${server.url}/v2/`, { dispatcher });
    expect(statusCode).toBe(200);
  });

  test('of an endless 401 some kilobytes are read, not a second’s worth', async () => {
    let written = 0;
    let closed = false;
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization !== undefined) return response.end('{}');
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      response.on('close', () => {
        closed = true;
      });
      const write = (): void => {
        if (response.destroyed) return;
        written += 65_536;
        if (response.write(Buffer.alloc(65_536))) setImmediate(write);
        else response.once('drain', write);
      };
      return write();
    });
    const dispatcher = agent().compose(registryAuth({ keychain: aliceAt(server.url) }));
    expect((await request(`${server.url}/v2/`, { dispatcher })).statusCode).toBe(200);
    await until(() => closed);
    // 64 KiB here; the rest is what the sockets of both sides hold.
    expect(written).toBeLessThan(16 * 1_048_576);
  });

  test.each(['onResponseStart', 'onResponseData', 'onResponseEnd'] as const)(
    'what it throws in %s comes back to it as an error',
    async (name) => {
      const { registry, auth } = await stage();
      const thrown = new Error('on purpose');
      const { handler, events, end } = recorder({
        [name]: () => {
          throw thrown;
        },
      });
      const dispatcher = agent().compose(registryAuth(auth));
      dispatcher.dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
      expect(await end).toBe(thrown);
      expect(events.filter((event) => event === 'error')).toHaveLength(1);
      expect(events.at(-1)).toBe('error');
    },
  );

  test.each(['onBodySent', 'onRequestSent', 'onResponseStarted', 'onResponseStart'] as const)(
    'what it throws in %s before there is a response ends the request with it',
    async (name) => {
      const { url } = await serve((_, response) => {
        response.writeEarlyHints({ link: '</a>; rel=preload' }, () => response.end('done'));
      });
      const thrown = new Error('on purpose');
      const { handler, events, end } = recorder();
      const throwing: Dispatcher.DispatchHandler = {
        ...handler,
        [name]: () => {
          throw thrown;
        },
      };
      const dispatcher = agent().compose(registryAuth());
      dispatcher.dispatch({ origin: url, path: '/v2/x', method: 'PUT', body: 'text' }, throwing);
      expect(await end).toBe(thrown);
      await turn();
      expect(events).toEqual(['start', 'error']);
      expect((await request(`${url}/v2/`, { dispatcher })).statusCode).toBe(200);
    },
  );

  test('what it throws in onRequestStart comes back to it, and nothing is sent', async () => {
    const { registry, auth } = await stage();
    const thrown = new Error('on purpose');
    const { handler, end } = recorder({
      onRequestStart: () => {
        throw thrown;
      },
    });
    agent()
      .compose(registryAuth(auth))
      .dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(thrown);
    await turn();
    expect(registry.count()).toBe(0);
  });

  test('what it throws when it is told of an error reaches nobody', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'status', status: 403 });
    let resolve: () => void = () => {};
    const told = new Promise<void>((done) => {
      resolve = done;
    });
    const handler: Dispatcher.DispatchHandler = {
      ...recorder().handler,
      onResponseError() {
        resolve();
        throw new Error('on purpose');
      },
    };
    agent()
      .compose(registryAuth(auth))
      .dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    await told;
  });

  test('no token: it gets the RegistryAuthError', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'status', status: 403 });
    const error = await request(registry.url + TAGS, {
      dispatcher: agent().compose(registryAuth(auth)),
    }).catch((reason: unknown) => reason);
    expect(isRegistryAuthError(error) && error.failure.kind).toBe('token-refused');
  });

  test('no registry: it gets undici’s own error, which retry and callers decide by', async () => {
    const dispatcher = agent().compose(registryAuth());
    await expect(request('http://127.0.0.1:1/v2/', { dispatcher })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
  });

  test('what the inner dispatch throws is an error of the request', async () => {
    const thrown = new Error('on purpose');
    const dispatch = registryAuth()(() => {
      throw thrown;
    });
    const { handler, events, end } = recorder();
    dispatch({ origin: 'http://127.0.0.1:1', path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(thrown);
    expect(events).toEqual(['start', 'error']);
  });

  test('a dispatcher that is destroyed ends what is on the wire, and takes nothing more', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'registry', kind: 'stall', at: 'before-head' });
    const inner = agent();
    const dispatcher = inner.compose(registryAuth(auth));
    const call = request(registry.url + TAGS, { dispatcher }).catch((error: unknown) => error);
    await until(() => registry.count() === 1);
    await inner.destroy();
    expect(await call).toMatchObject({ code: 'UND_ERR_DESTROYED' });
    const code = 'UND_ERR_DESTROYED';
    await expect(request(registry.url + TAGS, { dispatcher })).rejects.toMatchObject({ code });
  });

  test('over HTTP/2', async () => {
    const server = createHttp2Server();
    server.on('session', (session) => onTestFinished(() => session.destroy()));
    server.on('stream', (stream, { authorization }) => {
      if (authorization === undefined) {
        stream.respond({ ':status': 401, 'www-authenticate': 'Basic realm="r"' });
        stream.end('error');
      } else stream.end(Buffer.alloc(1_048_576));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    const client = closing(new H2CClient(url));
    const dispatcher = client.compose(registryAuth({ keychain: aliceAt(url) }));
    const { statusCode, body } = await request(`${url}/v2/x`, { dispatcher });
    expect([statusCode, (await body.bytes()).length]).toEqual([200, 1_048_576]);
  });

  test('no token server: it gets a RegistryAuthError that says where it ended, with undici’s error as cause', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'registry', kind: 'realm', realm: 'http://127.0.0.1:1/token' });
    const error = await request(registry.url + TAGS, {
      dispatcher: agent().compose(
        registryAuth({
          ...auth,
          policy: {
            realms: { pairs: [{ registry: registry.url, realm: 'http://127.0.0.1:1' }] },
            retry: { attempts: 1 },
          },
        }),
      ),
    }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'ERR_REG_NETWORK',
      failure: { to: 'authority', phase: 'connect', code: 'ECONNREFUSED' },
      cause: { code: 'ECONNREFUSED' },
    });
  });

  test('a redirect is handed over and not followed', async () => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    const dispatcher = agent().compose(registryAuth(auth));
    const path = `/v2/team/app/blobs/${digestOf(Buffer.from('app content'))}`;
    const { statusCode, headers } = await request(registry.url + path, { dispatcher });
    expect(statusCode).toBe(307);
    expect(String(headers['location'])).toMatch(registry.blobsUrl);
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });
});

describe('back-pressure and aborts', () => {
  const large = randomBytes(8 * 1_048_576);

  test('a large body arrives whole, and waits while its reader does', async () => {
    const server = await serve((_, response) => void response.end(large));
    const dispatcher = agent().compose(registryAuth());
    const { body } = await request(`${server.url}/v2/x`, { dispatcher });
    const hash = createHash('sha256');
    for await (const chunk of body) {
      hash.update(chunk);
      await turn();
    }
    expect(hash.digest('hex')).toBe(createHash('sha256').update(large).digest('hex'));
  });

  test('nothing flows while the handler has paused, and everything after', async () => {
    const server = await serve((_, response) => void response.end(large));
    let bytes = 0;
    let seen: Dispatcher.DispatchController | null = null;
    const { handler, end } = recorder({
      onResponseStart: (controller) => {
        seen = controller;
        controller.pause();
      },
      onResponseData: (_, chunk) => {
        bytes += chunk.length;
      },
    });
    agent().compose(registryAuth()).dispatch({ origin: server.url, path: '/v2/x', method: 'GET' }, handler);
    await until(() => seen !== null);
    for (let i = 0; i < 50; i++) await turn();
    expect(bytes).toBe(0);
    (seen as Dispatcher.DispatchController | null)?.resume();
    expect(await end).toBe(null);
    expect(bytes).toBe(large.length);
  });

  test('pause and resume within its own calls lose nothing', async () => {
    const server = await serve((_, response) => void response.end(large));
    let bytes = 0;
    const { handler, end } = recorder({
      onResponseStart: (controller) => {
        controller.pause();
        controller.resume();
        controller.pause();
        queueMicrotask(() => controller.resume());
      },
      onResponseData: (controller, chunk) => {
        bytes += chunk.length;
        controller.pause();
        controller.resume();
      },
    });
    agent().compose(registryAuth()).dispatch({ origin: server.url, path: '/v2/x', method: 'GET' }, handler);
    expect(await end).toBe(null);
    expect(bytes).toBe(large.length);
  });

  test('an abort of a response that has all come, and is held back by a pause, reaches the handler', async () => {
    const server = await serve((_, response) => void response.end('small'));
    let held: Dispatcher.DispatchController | undefined;
    const { handler, events, end } = recorder({
      onResponseStart: (controller) => {
        held = controller;
        controller.pause();
      },
    });
    agent().compose(registryAuth()).dispatch({ origin: server.url, path: '/v2/x', method: 'GET' }, handler);
    await until(() => held !== undefined);
    for (let i = 0; i < 20; i++) await turn();
    const reason = new Error('enough');
    held?.abort(reason);
    expect(await end).toBe(reason);
    expect(events).toEqual(['start', '200', 'error']);
  });

  test('an abort while the beginning of an error is read: the handler sees no response', async () => {
    const server = await serve((_, response) => {
      response.statusCode = 403;
      response.write('x');
    });
    let head = false;
    const watch: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, leg) =>
      dispatch(
        options,
        Object.assign(Object.create(leg), {
          onResponseStart(...given: Parameters<NonNullable<typeof leg.onResponseStart>>) {
            head = true;
            leg.onResponseStart?.(...given);
          },
          onRequestStart: leg.onRequestStart?.bind(leg),
          onResponseData: leg.onResponseData?.bind(leg),
          onResponseError: leg.onResponseError?.bind(leg),
          onResponseStarted: leg.onResponseStarted?.bind(leg),
          onBodySent: leg.onBodySent?.bind(leg),
          onRequestSent: leg.onRequestSent?.bind(leg),
        }),
      );
    let own: Dispatcher.DispatchController | undefined;
    const { handler, events, end } = recorder({
      onRequestStart: (controller) => {
        own = controller;
      },
    });
    agent()
      .compose(watch, registryAuth())
      .dispatch({ origin: server.url, path: '/v2/x', method: 'GET' }, handler);
    await until(() => head);
    const reason = new Error('enough');
    own?.abort(reason);
    expect(await end).toBe(reason);
    expect(events).toEqual(['start', 'error']);
  });

  test('at whatever moment it is aborted, a request ends once', async () => {
    const { registry, auth } = await stage();
    const path = `/v2/team/app/blobs/${digestOf(Buffer.from('app content'))}`;
    for (let moment = 0; moment < 60; moment++) {
      const dispatcher = agent().compose(registryAuth(auth));
      let own: Dispatcher.DispatchController | undefined;
      const { handler, events, end } = recorder({
        onRequestStart: (controller) => {
          own = controller;
        },
      });
      dispatcher.dispatch({ origin: registry.url, path, method: 'GET' }, handler);
      for (let i = 0; i < moment; i++) await turn();
      const reason = new Error('enough');
      own?.abort(reason);
      expect([null, reason]).toContain(await end);
      await turn();
      expect(events.filter((event) => event === 'end' || event === 'error')).toHaveLength(1);
    }
  });

  test('a pause before there is a response holds its body', async () => {
    const server = await serve((_, response) => void response.end('some text'));
    let held: Dispatcher.DispatchController | undefined;
    const { handler, events, end } = recorder({
      onRequestStart: (controller) => {
        held = controller;
        controller.pause();
      },
    });
    agent().compose(registryAuth()).dispatch({ origin: server.url, path: '/v2/x', method: 'GET' }, handler);
    await until(() => events.includes('200'));
    for (let i = 0; i < 50; i++) await turn();
    expect(events).toEqual(['start', '200']);
    held?.resume();
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '200', 'data', 'end']);
  });

  test('an abort while the token is obtained ends the request with its reason, and the next one works', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'stall', at: 'before-head' });
    const dispatcher = agent().compose(registryAuth(auth));
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = request(registry.url + TAGS, { dispatcher, signal: controller.signal });
    await until(() => registry.count({ server: 'token' }) === 1);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
  });

  test('an abort before the request has a connection ends it at once; it is never sent', async () => {
    const seen: (string | undefined)[] = [];
    let release: () => void = () => {};
    const server = await serve((incoming, response) => {
      seen.push(incoming.url);
      release = () => response.end();
    });
    const dispatcher = agent({ connections: 1, pipelining: 1 }).compose(registryAuth());
    const first = request(`${server.url}/v2/first`, { dispatcher, method: 'DELETE' });
    await until(() => seen.length === 1);
    const controller = new AbortController();
    const reason = new Error('enough');
    const second = request(`${server.url}/v2/second`, {
      dispatcher,
      method: 'DELETE',
      signal: controller.signal,
    });
    await turn();
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    release();
    await (await first).body.dump();
    const third = request(`${server.url}/v2/third`, { dispatcher, method: 'DELETE' });
    await until(() => seen.length > 1);
    release();
    await (await third).body.dump();
    expect(seen).toEqual(['/v2/first', '/v2/third']);
  });

  test('a signal that has aborted already: nothing is sent', async () => {
    const { registry, auth } = await stage();
    const reason = new Error('not today');
    const dispatcher = agent().compose(registryAuth(auth));
    const call = request(registry.url + TAGS, { dispatcher, signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toBe(reason);
    await turn();
    expect(registry.count()).toBe(0);
  });

  test('an abort in the middle of a body ends it', async () => {
    const server = await serve((_, response) => void response.write('some'));
    const controller = new AbortController();
    const { body } = await request(`${server.url}/v2/x`, {
      dispatcher: agent().compose(registryAuth()),
      signal: controller.signal,
    });
    const reason = new Error('enough');
    const read = body.text();
    await turn();
    controller.abort(reason);
    await expect(read).rejects.toBe(reason);
  });

  test('abort() without a reason ends with undici’s own error', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'stall', at: 'before-head' });
    let held: Dispatcher.DispatchController | null = null;
    const { handler, end } = recorder({
      onRequestStart: (controller) => {
        held = controller;
      },
    });
    agent()
      .compose(registryAuth(auth))
      .dispatch({ origin: registry.url, path: TAGS, method: 'GET' }, handler);
    await until(() => registry.count({ server: 'token' }) === 1);
    // As undici's body does when it is destroyed.
    (held as { abort(): void } | null)?.abort();
    expect(await end).toMatchObject({ code: 'UND_ERR_ABORTED' });
  });
});

describe('bodies', () => {
  const kinds: readonly [string, number, () => unknown][] = [
    ['text', 3, () => LAYER],
    ['a buffer', 3, () => Buffer.from(LAYER)],
    ['bytes', 3, () => new Uint8Array(Buffer.from(LAYER))],
    ['a blob', 3, () => new Blob([LAYER])],
    ['an async iterable, which the ping spares', 3, () => pieces()],
    ['a Readable, which the ping spares', 3, () => Readable.from([LAYER.slice(0, 5), LAYER.slice(5)])],
  ];

  async function* pieces(): AsyncGenerator<Buffer> {
    yield Buffer.from(LAYER.slice(0, 5));
    yield Buffer.from(LAYER.slice(5));
  }

  test.each(kinds)('%s', async (_, cost, body) => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    const { statusCode } = await request(registry.url + upload, {
      dispatcher,
      method: 'POST',
      // undici takes more than its types say.
      body: body() as Readable,
    });
    expect(statusCode).toBe(201);
    expect(registry.count()).toBe(cost);
  });

  test('a form is sent again', async () => {
    const bodies: string[] = [];
    const server = await serve(async (incoming, response) => {
      let text = '';
      for await (const chunk of incoming) text += chunk;
      bodies.push(text);
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
      }
      response.end();
    });
    const keychain = aliceAt(server.url);
    const form = new FormData();
    form.append('name', 'value');
    const { statusCode } = await request(`${server.url}/v2/x`, {
      dispatcher: agent().compose(registryAuth({ keychain })),
      method: 'POST',
      body: form,
    });
    expect(statusCode).toBe(200);
    expect(bodies).toHaveLength(2);
    for (const body of bodies) expect(body).toContain('name="name"');
  });

  test('undici’s fetch turns text into a stream: the ping spares it', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    const response = await undiciFetch(registry.url + upload, { method: 'POST', body: LAYER, dispatcher });
    expect(response.status).toBe(201);
    expect(registry.requests.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual([
      'GET /v2/',
      'GET /token',
      `POST ${UPLOADS}`,
    ]);
  });

  test('13 MB go up as fast as they are read, and their challenge is met by a ping', async () => {
    const size = 13 * 1_048_576;
    let arrived = 0;
    const server = await serve(async (incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' });
        return response.end();
      }
      for await (const chunk of incoming) {
        arrived += chunk.length;
        expect(made - arrived).toBeLessThan(8 * 1_048_576);
      }
      return response.end();
    });
    let made = 0;
    const body = new Readable({
      read(length) {
        const chunk = Buffer.alloc(Math.min(length, size - made));
        made += chunk.length;
        this.push(chunk.length === 0 ? null : chunk);
      },
    });
    const keychain = aliceAt(server.url);
    const dispatcher = agent().compose(registryAuth({ keychain }));
    const { statusCode } = await request(`${server.url}/v2/x`, { dispatcher, method: 'PUT', body });
    expect([statusCode, arrived]).toEqual([200, size]);
  });

  test.each([
    ['HEAD', 200],
    ['HEAD', 404],
    ['GET', 204],
    ['GET', 304],
  ] as const)('none in the answer to %s with %i', async (method, status) => {
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"', 'Content-Length': 5 });
        return response.end(method === 'HEAD' ? undefined : 'error');
      }
      if (method === 'HEAD') response.setHeader('Content-Length', 1_000);
      response.statusCode = status;
      return response.end();
    });
    const keychain = aliceAt(server.url);
    const dispatcher = agent().compose(registryAuth({ keychain }));
    const { statusCode, body } = await request(`${server.url}/v2/`, { dispatcher, method });
    expect([statusCode, await body.text()]).toEqual([status, '']);
  });

  test('a query given apart counts for the scope (requirement 48)', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    // On a known origin no challenge names the scope: it is read off the request alone.
    await (await request(registry.url + TAGS, { dispatcher })).body.dump();
    const mount = digestOf(Buffer.from('lib content'));
    const { statusCode } = await request(registry.url + UPLOADS, {
      dispatcher,
      method: 'POST',
      query: { mount, from: 'team/lib' },
    });
    expect(statusCode).toBe(201);
    const { url = '' } = registry.requests.findLast(({ server }) => server === 'token') ?? {};
    expect(new URL(url, registry.tokenUrl).searchParams.getAll('scope')).toContain(
      'repository:team/lib:pull',
    );
  });
});

describe('on every dispatcher the password goes to the token server alone', () => {
  const bound: readonly [string, (url: string) => Dispatcher][] = [
    ['Client', (url) => new Client(url)],
    ['Pool', (url) => new Pool(url)],
    ['BalancedPool', (url) => new BalancedPool([url])],
    ['RoundRobinPool', (url) => new RoundRobinPool(url)],
    ['RetryAgent on a Pool', (url) => new RetryAgent(new Pool(url))],
    ['RetryAgent on an Agent', () => new RetryAgent(new Agent())],
    ['EnvHttpProxyAgent', () => new EnvHttpProxyAgent()],
  ];

  test.each(bound)('%s', async (_, create) => {
    const { registry, auth } = await stage();
    const dispatcher = closing(create(registry.url)).compose(registryAuth(auth));
    const { statusCode } = await dispatcher.request({ origin: registry.url, path: TAGS, method: 'GET' });
    expect(statusCode).toBe(200);
    expect(registry.requests.map(({ server }) => server)).toEqual(['registry', 'token', 'registry']);
  });

  test('ProxyAgent: the proxy sees all requests, and its own credential is its own', async () => {
    const seen: string[] = [];
    const proxy = createServer((incoming, answer) => {
      const { method, url = '', headers } = incoming;
      seen.push(`${new URL(url).pathname} ${headers['proxy-authorization']}`);
      const onward = httpRequest(url, { method, headers }, (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      });
      onward.end();
    });
    const uri = await listening(proxy);
    const { registry, auth } = await stage();
    const dispatcher = closing(new ProxyAgent({ uri, token: 'Basic proxy' })).compose(registryAuth(auth));
    const { statusCode, body } = await request(registry.url + TAGS, { dispatcher });
    expect([statusCode, await body.json()]).toEqual([200, { name: 'team/app', tags: ['1'] }]);
    expect(seen).toEqual([`${TAGS} Basic proxy`, '/token Basic proxy', `${TAGS} Basic proxy`]);
  });

  test('a Client has one connection: a large 401 does not keep it from a realm on the same origin', async () => {
    const server = await serve((incoming, response) => {
      if (incoming.url?.startsWith('/token')) return response.end('{"token":"abc"}');
      if (incoming.headers.authorization !== undefined) return response.end('text');
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="/token"' });
      return response.end('x'.repeat(1_048_576));
    });
    const client = closing(new Client(server.url)).compose(registryAuth({ policy: { deadlineMs: 4_000 } }));
    const { statusCode, body } = await client.request({ path: '/v2/x', method: 'GET' });
    expect([statusCode, await body.text()]).toEqual([200, 'text']);
  });

  test('with the tokenDispatcher it is given', async () => {
    const { registry, auth } = await stage();
    const seen: unknown[] = [];
    const tokenDispatcher = agent().compose((dispatch) => (opts, handler) => {
      seen.push(opts.origin);
      return dispatch(opts, handler);
    });
    const pool = closing(new Pool(registry.url)).compose(registryAuth({ ...auth, tokenDispatcher }));
    expect((await pool.request({ path: TAGS, method: 'GET' })).statusCode).toBe(200);
    expect(seen).toEqual([new URL(registry.tokenUrl).origin]);
  });

  test.each<[string, (url: string) => Dispatcher]>([
    ['Client', (url) => new Client(url)],
    ['Pool', (url) => new Pool(url)],
    ['BalancedPool', (url) => new BalancedPool([url])],
    ['RetryAgent on a Pool', (url) => new RetryAgent(new Pool(url))],
  ])('a tokenDispatcher that is a %s of another server gets nothing', async (_, create) => {
    const { registry, auth } = await stage();
    const stranger = await serve((_incoming, response) => response.end('{"token":"abc"}'));
    const tokenDispatcher = closing(create(stranger.url));
    const pool = closing(new Pool(registry.url)).compose(registryAuth({ ...auth, tokenDispatcher }));
    expect((await pool.request({ path: TAGS, method: 'GET' })).statusCode).toBe(200);
    expect(stranger.connections()).toBe(0);
    expect(registry.count({ server: 'token' })).toBe(1);
  });

  test('a tokenDispatcher that is a Pool of the token server is used', async () => {
    const { registry, auth } = await stage();
    const tokens = closing(new Pool(new URL(registry.tokenUrl).origin));
    const seen: string[] = [];
    const tokenDispatcher = tokens.compose((dispatch) => (options, handler) => {
      seen.push(options.path);
      return dispatch(options, handler);
    });
    const pool = closing(new Pool(registry.url)).compose(registryAuth({ ...auth, tokenDispatcher }));
    expect((await pool.request({ path: TAGS, method: 'GET' })).statusCode).toBe(200);
    expect(seen).toEqual([expect.stringMatching(/^\/token\?/)]);
  });

  test('a realm on the registry’s own origin goes through the pool', async () => {
    const { registry, auth, password } = await stage();
    allow(password, registry.url);
    registry.faults.add({
      server: 'registry',
      kind: 'realm',
      realm: '/token',
      times: Number.POSITIVE_INFINITY,
    });
    const tokenDispatcher = agent().compose((_dispatch) => (_options, _handler) => {
      throw new Error('not for others');
    });
    const pool = closing(new Pool(registry.url)).compose(
      registryAuth({ keychain: auth.keychain, tokenDispatcher }),
    );
    expect((await pool.request({ path: TAGS, method: 'GET' })).statusCode).toBe(200);
  });

  test('a grant belongs to the pool’s origin, whatever origin a request names', async () => {
    const { registry, auth } = await stage();
    const pool = closing(new Pool(registry.url)).compose(registryAuth(auth));
    await pool.request({ path: TAGS, method: 'GET' });
    await pool.request({ origin: 'https://elsewhere.test', path: TAGS, method: 'GET' });
    expect(registry.count()).toBe(4);
    expect(registry.requests[3]?.headers['authorization']).toMatch(/^Bearer /);
  });
});

describe('with undici’s own interceptors', () => {
  const retry = () => interceptors.retry({ minTimeout: 1, maxRetries: 3 });

  test.each(['inside', 'outside'] as const)('retry %s: a 503 is tried again', async (where) => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'registry', path: TAGS, after: 1, kind: 'status', status: 503 });
    const own = registryAuth(auth);
    const dispatcher = where === 'inside' ? agent().compose(retry(), own) : agent().compose(own, retry());
    const { statusCode, body } = await request(registry.url + TAGS, { dispatcher });
    expect([statusCode, await body.json()]).toEqual([200, { name: 'team/app', tags: ['1'] }]);
    expect(registry.count({ server: 'token' })).toBe(1);
  });

  test.each(['inside', 'outside'] as const)('retry %s: a broken connection is tried again', async (where) => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'registry', kind: 'reset', at: 'before-head' });
    const own = registryAuth(auth);
    const dispatcher = where === 'inside' ? agent().compose(retry(), own) : agent().compose(own, retry());
    expect((await request(registry.url + TAGS, { dispatcher })).statusCode).toBe(200);
  });

  test('retry outside: errors without end come out as retry’s own', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({
      server: 'registry',
      path: TAGS,
      after: 1,
      kind: 'status',
      status: 503,
      times: Number.POSITIVE_INFINITY,
    });
    const dispatcher = agent().compose(registryAuth(auth), retry());
    await expect(request(registry.url + TAGS, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_REQ_RETRY',
      statusCode: 503,
    });
  });

  test.each(['inside', 'outside'] as const)('decompress %s', async (where) => {
    const server = await serve((incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"', 'Content-Encoding': 'gzip' });
        return response.end(gzipSync('{}'));
      }
      response.writeHead(200, { 'Content-Encoding': 'gzip' });
      return response.end(gzipSync('some text'));
    });
    const keychain = aliceAt(server.url);
    const own = registryAuth({ keychain });
    const decompress = interceptors.decompress();
    const dispatcher =
      where === 'inside' ? agent().compose(decompress, own) : agent().compose(own, decompress);
    const { body } = await request(`${server.url}/v2/`, { dispatcher });
    expect(await body.text()).toBe('some text');
  });

  const dns = () =>
    interceptors.dns({
      lookup: (_origin, _options, done) => done(null, [{ address: '127.0.0.1', ttl: 1_000, family: 4 }]),
    });

  test('dns inside: grants are the name’s', async () => {
    const { registry, password } = await stage();
    const named = `http://registry.test:${new URL(registry.url).port}`;
    const host = new URL(named).host;
    const dispatcher = agent().compose(
      dns(),
      registryAuth({
        keychain: aliceAt(named, password),
        policy: {
          insecureHosts: [host],
          realms: { pairs: [{ registry: named, realm: registry.pair.realm }] },
        },
      }),
    );
    const { statusCode } = await request(named + TAGS, { dispatcher });
    expect(statusCode).toBe(200);
    expect(registry.requests[0]?.headers['host']).toBe(host);
  });

  test('dns outside: refused, and nothing is sent', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth), dns());
    const named = `http://registry.test:${new URL(registry.url).port}`;
    await expect(request(named + TAGS, { dispatcher })).rejects.toMatchObject({
      code: 'ERR_REG_COMPOSED_BELOW_DNS',
      message: expect.stringContaining('compose(dns, registryAuth)'),
    });
    expect(registry.count()).toBe(0);
  });

  test('a Host that is the origin’s own is no sign of dns', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    const headers = { Host: registry.host };
    expect((await request(registry.url + TAGS, { dispatcher, headers })).statusCode).toBe(200);
  });
});

describe('the fetch of Node itself', () => {
  test('a dispatcher handed to it is refused with advice, and does not hang', async () => {
    const { registry, auth } = await stage();
    const dispatcher = agent().compose(registryAuth(auth));
    // Its types are those of the undici inside Node.
    const init = { dispatcher } as unknown as RequestInit;
    await expect(fetch(registry.url + TAGS, init)).rejects.toMatchObject({
      cause: { code: 'ERR_REG_OLD_HANDLER', message: expect.stringContaining('setGlobalDispatcher') },
    });
    expect(registry.count()).toBe(0);
  });

  test('as global dispatcher it works', async () => {
    const before = getGlobalDispatcher();
    onTestFinished(() => setGlobalDispatcher(before));
    const { registry, auth } = await stage();
    setGlobalDispatcher(agent().compose(registryAuth(auth)));
    const response = await fetch(registry.url + TAGS);
    expect([response.status, await response.json()]).toEqual([200, { name: 'team/app', tags: ['1'] }]);
    expect(registry.count()).toBe(3);
  });
});

test('every request has a User-Agent, the caller’s own if it set one (Q57)', async () => {
  const { registry, auth } = await stage();
  const dispatcher = agent().compose(registryAuth(auth));
  await request(registry.url + TAGS, { dispatcher, method: 'POST', body: Readable.from(['x']) });
  const named = registry.requests.map(({ headers }) => headers['user-agent']);
  expect(named).toHaveLength(3);
  for (const name of named) expect(name).toMatch(/^reg-node\/\d+\.\d+\.\d+/);
  await request(registry.url + TAGS, { dispatcher, headers: { 'User-Agent': 'mine/1' } });
  expect(registry.requests.at(-1)?.headers['user-agent']).toBe('mine/1');
});
