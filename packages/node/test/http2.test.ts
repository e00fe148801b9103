/** The interceptor over HTTP/2 with TLS: all legs are streams of one session, and what ends one leaves the others alone. */

import { constants, createSecureServer, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createServerCertificate } from '@reg/testing';
import { type Dispatcher, request, upgrade } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { agent, aliceAt, recorder, rest, TAGS, turn, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const MiB = 1_048_576;
const certificate = createServerCertificate();

interface Stream {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly stream: ServerHttp2Stream;
  readonly session: number;
  /** Bytes of a body that came with what the registry answered by itself. */
  readonly refused: () => number;
}

/** A registry whose token server is itself; `answer` is for those that bring a token. */
async function h2Registry(answer: (asked: Stream) => void) {
  const streams: Stream[] = [];
  const sessions: Http2Session[] = [];
  const { key, cert, ca } = certificate;
  const server = createSecureServer({ key, cert, settings: { enableConnectProtocol: true } });
  server.on('session', (session) => {
    sessions.push(session);
    onTestFinished(() => session.destroy());
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const { ':method': method = '', ':path': path = '', authorization } = headers;
    const session = stream.session === undefined ? -1 : sessions.indexOf(stream.session);
    let refused = 0;
    const asked: Stream = { method, path, authorization, stream, session, refused: () => refused };
    streams.push(asked);
    const mine = path.startsWith('/token') || authorization === undefined;
    if (mine) {
      stream.on('data', ({ length }) => {
        refused += length;
      });
    }
    if (method === 'CONNECT') stream.respond({ ':status': 200 });
    else if (path.startsWith('/token')) {
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.end('{"token":"abc"}');
    } else if (authorization === undefined) {
      stream.respond({ ':status': 401, 'www-authenticate': 'Bearer realm="/token",service="s"' });
      stream.end('{"errors":[]}');
    } else answer(asked);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  const plain = () => agent({ allowH2: true, connect: { ca } });
  const dispatcher = plain().compose(registryAuth({ keychain: aliceAt(url) }));
  /** Who received what: session, method, and the scheme of its `Authorization`. */
  const received = () =>
    streams.map(({ session, method, authorization }) => {
      const [scheme = 'bare'] = authorization?.split(' ') ?? [];
      return `${session} ${method} ${scheme}`;
    });
  return { url, dispatcher, plain, streams, sessions, received };
}

const respond = ({ stream }: Stream, body: string | Buffer = 'text'): void => {
  stream.respond({ ':status': 200 });
  stream.end(body);
};

test('the challenge, the token and the answer are three streams of one session', async () => {
  const { url, dispatcher, sessions, received } = await h2Registry((asked) =>
    respond(asked, Buffer.alloc(MiB)),
  );
  const { statusCode, body } = await request(url + TAGS, { dispatcher });
  expect([statusCode, (await body.bytes()).length]).toEqual([200, MiB]);
  expect(received()).toEqual(['0 GET bare', '0 GET Basic', '0 GET Bearer']);
  expect(sessions).toHaveLength(1);
});

test('a hundred cold calls to ten repositories are 111 streams of one session', async () => {
  const { url, dispatcher, streams, sessions } = await h2Registry((asked) => respond(asked));
  const ask = async (i: number) => {
    const path = `${url}/v2/team/app${i % 10}/tags/list`;
    return (await request(path, { dispatcher })).body.text();
  };
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i)));
  expect(new Set(answers)).toEqual(new Set(['text']));
  expect(streams).toHaveLength(111);
  expect(sessions).toHaveLength(1);
});

describe('what the handler is told', () => {
  test('interim responses and trailers, in order, with their raw fields, and one start', async () => {
    const { url, dispatcher } = await h2Registry(({ stream }) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' });
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc' }));
      stream.end('text');
    });
    let trailers: unknown;
    const raw: unknown[] = [];
    const { handler, events, end, body } = recorder({
      onResponseStart: (controller) => void raw.push(controller.rawHeaders),
      onResponseEnd: (_, fields) => {
        trailers = fields;
      },
    });
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '103', '200', 'data', 'end']);
    expect(body()).toBe('text');
    expect(trailers).toMatchObject({ 'x-checksum': 'abc' });
    expect(raw[0]).toMatchObject({ link: '</a>; rel=preload' });
  });

  test('a stream that is refused is sent again by undici, and the request has begun once', async () => {
    let refused = false;
    const { url, dispatcher, received } = await h2Registry((asked) => {
      if (refused) return respond(asked);
      refused = true;
      return asked.stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    const { handler, events, end } = recorder();
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '200', 'data', 'end']);
    expect(received()).toEqual(['0 GET bare', '0 GET Basic', '0 GET Bearer', '0 GET Bearer']);
  });

  test('a session that goes away after the challenge: the answer comes on another', async () => {
    let gone = false;
    const { url, dispatcher, streams, received } = await h2Registry((asked) => {
      if (gone) return respond(asked);
      gone = true;
      // Everything after the challenge was not looked at.
      return asked.stream.session?.goaway(constants.NGHTTP2_NO_ERROR, streams[1]?.stream.id ?? 0);
    });
    const { handler, events, end } = recorder();
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(null);
    expect(events).toEqual(['start', '200', 'data', 'end']);
    expect(received()).toEqual(['0 GET bare', '0 GET Basic', '0 GET Bearer', '1 GET Bearer']);
  });

  test('a stream that is reset in its body is an error, once', async () => {
    const { url, dispatcher } = await h2Registry(({ stream }) => {
      stream.respond({ ':status': 200, 'content-length': 100 });
      stream.write('some', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    });
    const { handler, events, end } = recorder();
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBeInstanceOf(Error);
    await turn();
    expect(events).toEqual(['start', '200', 'data', 'error']);
  });

  test.each([
    'onBodySent',
    'onRequestSent',
    'onResponseStarted',
    'onResponseStart',
    'onResponseData',
    'onResponseEnd',
  ] as const)('what it throws in %s ends the request with it, and reaches nobody else', async (name) => {
    const { url, dispatcher } = await h2Registry((asked) => respond(asked));
    const thrown = new Error('on purpose');
    const { handler, events, end } = recorder();
    const throwing: Dispatcher.DispatchHandler = {
      ...handler,
      [name]: () => {
        throw thrown;
      },
    };
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'PUT', body: 'text' }, throwing);
    expect(await end).toBe(thrown);
    await turn();
    expect(events.filter((event) => event === 'error' || event === 'end')).toEqual(['error']);
    expect((await request(url + TAGS, { dispatcher })).statusCode).toBe(200);
  });
});

describe('bodies', () => {
  const LAYER = Buffer.alloc(3 * MiB, 'layer');

  test('bytes are sent again, a stream is sent once after a ping', async () => {
    const lengths: number[] = [];
    const { url, dispatcher, received } = await h2Registry((asked) => {
      let length = 0;
      asked.stream.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      asked.stream.on('end', () => {
        lengths.push(length);
        respond(asked);
      });
    });
    const put = async (to: Dispatcher, body: Buffer | Readable) =>
      (await request(`${url}/v2/x`, { dispatcher: to, method: 'PUT', body })).statusCode;
    expect(await put(dispatcher, LAYER)).toBe(200);
    expect(received()).toEqual(['0 PUT bare', '0 GET Basic', '0 PUT Bearer']);
    expect(await put(dispatcher, Readable.from([LAYER]))).toBe(200);
    expect(received().slice(3)).toEqual(['0 PUT Bearer']);
    expect(lengths).toEqual([LAYER.length, LAYER.length]);
  });

  test('with expectContinue no byte of it goes to a registry that answers 401 in its place', async () => {
    let bytes = 0;
    const { url, dispatcher, streams, received } = await h2Registry((asked) => {
      asked.stream.on('data', ({ length }) => {
        bytes += length;
      });
      asked.stream.on('end', () => respond(asked));
      asked.stream.additionalHeaders({ ':status': 100 });
    });
    const options = { dispatcher, method: 'PUT', body: LAYER, expectContinue: true } as const;
    expect((await request(`${url}/v2/x`, options)).statusCode).toBe(200);
    expect(received()).toEqual(['0 PUT bare', '0 GET Basic', '0 PUT Bearer']);
    expect([streams[0]?.refused(), bytes]).toEqual([0, LAYER.length]);
  });

  test('50 MiB for a reader that reads none of it are not read ahead, and all arrive when it does', async () => {
    const size = 50 * MiB;
    let written = 0;
    const { url, dispatcher } = await h2Registry(({ stream }) => {
      stream.respond({ ':status': 200 });
      const write = (): void => {
        while (written < size) {
          written += 65_536;
          if (!stream.write(Buffer.alloc(65_536))) return void stream.once('drain', write);
        }
        stream.end();
      };
      write();
    });
    const { body } = await request(url + TAGS, { dispatcher });
    await rest(() => written);
    expect(written).toBeLessThan(8 * MiB);
    let read = 0;
    for await (const chunk of body) {
      read += chunk.length;
      expect(written - read).toBeLessThan(8 * MiB);
    }
    expect(read).toBe(size);
  });

  test('50 MiB from a writer wait for a server that reads none of them', async () => {
    const size = 50 * MiB;
    let asked: Stream | undefined;
    const { url, dispatcher } = await h2Registry((one) => {
      asked = one;
    });
    let made = 0;
    const body = new Readable({
      read() {
        const chunk = Buffer.alloc(Math.min(65_536, size - made));
        made += chunk.length;
        this.push(chunk.length === 0 ? null : chunk);
      },
    });
    const call = request(`${url}/v2/x`, { dispatcher, method: 'PUT', body });
    await until(() => asked !== undefined);
    await rest(() => made);
    expect(made).toBeLessThan(8 * MiB);
    let taken = 0;
    asked?.stream.on('data', ({ length }) => {
      taken += length;
      expect(made - taken).toBeLessThan(8 * MiB);
    });
    asked?.stream.on('end', () => asked !== undefined && respond(asked));
    expect((await call).statusCode).toBe(200);
    expect(taken).toBe(size);
  });
});

describe('an abort resets its stream and leaves the session to the others', () => {
  test.each(['while the token is obtained', 'before the head', 'in the middle of the body'])(
    '%s',
    async (when) => {
      const held: Stream[] = [];
      const { url, dispatcher, streams, sessions } = await h2Registry((asked) => {
        if (asked.path !== TAGS) return respond(asked);
        held.push(asked);
        if (when === 'in the middle of the body') {
          asked.stream.respond({ ':status': 200 });
          asked.stream.write('some');
        }
        return undefined;
      });
      const controller = new AbortController();
      const reason = new Error('enough');
      const call = request(url + TAGS, { dispatcher, signal: controller.signal }).then(({ body }) =>
        body.text(),
      );
      if (when === 'while the token is obtained') await until(() => streams.length === 2);
      else await until(() => held.length === 1);
      const other = request(`${url}/v2/other`, { dispatcher });
      if (when === 'in the middle of the body') for (let i = 0; i < 20; i++) await turn();
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
      expect((await other).statusCode).toBe(200);
      await until(() =>
        streams.every(({ stream }) => stream.closed || !held.some((one) => one.stream === stream)),
      );
      for (const { stream } of held) expect(stream.closed).toBe(true);
      expect((await request(`${url}/v2/another`, { dispatcher })).statusCode).toBe(200);
      expect(sessions).toHaveLength(1);
      expect(sessions[0]?.closed).toBe(false);
    },
  );
});

test('at whatever moment an upload is aborted, it ends once, and the next request is answered', async () => {
  const { url, plain } = await h2Registry((asked) => {
    asked.stream.on('end', () => respond(asked)).resume();
  });
  const reason = new Error('enough');
  let whole = 0;
  // Later and later, until it was over before it could be aborted.
  for (let moment = 0; whole < 3; moment++) {
    const inner = plain();
    const dispatcher = inner.compose(registryAuth({ keychain: aliceAt(url) }));
    let own: Dispatcher.DispatchController | undefined;
    const { handler, events, end } = recorder({
      onRequestStart: (controller) => {
        own = controller;
      },
    });
    const body = moment % 2 === 0 ? 'some text' : Readable.from(['some', 'text'], { objectMode: false });
    dispatcher.dispatch({ origin: url, path: '/v2/x', method: 'PUT', body }, handler);
    for (let i = 0; i < moment; i++) await turn();
    own?.abort(reason);
    const ended = await end;
    expect([null, reason]).toContain(ended);
    if (ended === null) whole += 1;
    expect(events.filter((event) => event === 'end' || event === 'error')).toHaveLength(1);
    expect((await request(url + TAGS, { dispatcher })).statusCode).toBe(200);
    await inner.close();
  }
});

test('a WebSocket over HTTP/2 goes on as it came', async () => {
  const { url, dispatcher, streams } = await h2Registry(() => {});
  // undici knows what the server offers once it has asked it something.
  await (await request(`${url}/`, { dispatcher })).body.dump();
  const { socket } = await upgrade(`${url}/v2/`, { dispatcher, protocol: 'websocket' });
  expect(streams.map(({ method, authorization }) => [method, authorization])).toEqual([
    ['GET', undefined],
    ['CONNECT', undefined],
  ]);
  socket.destroy();
});
