/** An abort at every moment of a request: it ends at once and once, and leaves no socket, listener, timer or rejection. */

import { getEventListeners } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { agent, aliceAt, listening, recorder, TAGS, turn, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const UPLOAD = '/v2/team/app/blobs/uploads/1';
const reason = new Error('enough');

type Moment =
  | 'the challenge'
  | 'the body of the challenge'
  | 'the head of the token'
  | 'the body of the token'
  | 'the upload'
  | 'the head'
  | 'the body';

/** A registry and its token server that stop at a moment, until they are told to go on, and tell which sockets wait there. */
async function halting(at: Moment | null) {
  let halted: Moment | null = at;
  const stuck = new Set<Socket>();
  const stops = (moment: Moment, { socket }: IncomingMessage): boolean => {
    if (halted !== moment) return false;
    stuck.add(socket);
    return true;
  };
  const sockets = new Set<Socket>();
  const listen = (answer: (incoming: IncomingMessage, response: ServerResponse) => void) => {
    const server = createServer(answer);
    server.on('connection', (socket) => sockets.add(socket));
    return listening(server);
  };

  const authority = await listen((incoming, response) => {
    if (stops('the head of the token', incoming)) return;
    response.write('{"token":');
    if (stops('the body of the token', incoming)) return;
    response.end('"abc"}');
  });
  const url = await listen((incoming, response) => {
    if (incoming.headers.authorization === undefined) {
      if (stops('the challenge', incoming)) return;
      response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${authority}/token",service="s"` });
      response.write('{"errors":');
      if (stops('the body of the challenge', incoming)) return;
      incoming.on('end', () => response.end('[]}')).resume();
      return;
    }
    if (incoming.method === 'PUT' && stops('the upload', incoming)) return;
    incoming
      .on('end', () => {
        if (stops('the head', incoming)) return;
        response.write('some');
        if (stops('the body', incoming)) return;
        response.end('thing');
      })
      .resume();
  });
  const policy = { realms: { pairs: [{ registry: url, realm: authority }] } };
  const inner = agent();
  return {
    url,
    policy,
    inner,
    dispatcher: inner.compose(registryAuth({ keychain: aliceAt(url), policy })),
    stuck,
    sockets,
    goOn: () => {
      halted = null;
    },
  };
}

/** Timers that keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('an abort while one waits for', () => {
  test.each<[Moment, 'GET' | 'PUT']>([
    ['the challenge', 'GET'],
    ['the challenge', 'PUT'],
    ['the body of the challenge', 'GET'],
    ['the head of the token', 'GET'],
    ['the head of the token', 'PUT'],
    ['the body of the token', 'GET'],
    ['the upload', 'PUT'],
    ['the head', 'GET'],
    ['the head', 'PUT'],
    ['the body', 'GET'],
    ['the body', 'PUT'],
  ])('%s, of a %s', async (moment, method) => {
    const before = timers();
    const { url, inner, dispatcher, stuck, sockets, goOn } = await halting(moment);
    const controller = new AbortController();
    const { signal } = controller;
    // Never ends by itself: where it is, the end of the upload is what the server waits for.
    const body = new Readable({ read() {} });
    body.push('text');
    if (moment !== 'the upload') body.push(null);
    const options = method === 'PUT' ? { method, body } : { method };
    const call = request(url + (method === 'PUT' ? UPLOAD : TAGS), { dispatcher, signal, ...options }).then(
      (answer) => answer.body.text(),
    );
    await until(() => stuck.size === 1);
    for (let i = 0; i < 5; i++) await turn();
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);

    await until(() => [...stuck].every(({ destroyed }) => destroyed));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    if (method === 'PUT') expect(body.destroyed).toBe(true);
    goOn();
    const again = await request(url + TAGS, { dispatcher });
    expect([again.statusCode, await again.body.text()]).toEqual([200, 'something']);
    // It closes when nothing is under way on it.
    await inner.close();
    await until(() => [...sockets].every(({ destroyed }) => destroyed));
    await until(() => timers() <= before);
  });

  test('somebody else to find out about the registry: they go on', async () => {
    const { url, dispatcher, stuck, goOn } = await halting('the challenge');
    const controller = new AbortController();
    const leader = request(url + TAGS, { dispatcher });
    await until(() => stuck.size === 1);
    const second = request(url + TAGS, { dispatcher, signal: controller.signal });
    await turn();
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    goOn();
    const third = request(url + TAGS, { dispatcher });
    for (const socket of stuck) socket.destroy();
    await expect(leader).rejects.toThrow();
    expect((await third).statusCode).toBe(200);
  });

  test('a credential: the look-up is told, and nothing is asked for', async () => {
    const { url, inner } = await halting(null);
    let told: unknown;
    let asked = false;
    const dispatcher = inner.compose(
      registryAuth({
        keychain: {
          find: (_origin, _repository, about) => {
            asked = true;
            return new Promise((_, reject) => {
              about?.signal?.addEventListener('abort', () => {
                told = about.signal?.aborted;
                reject(new Error('ended'));
              });
            });
          },
        },
      }),
    );
    const controller = new AbortController();
    const call = request(url + TAGS, { dispatcher, signal: controller.signal });
    await until(() => asked);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(told).toBe(true);
    await inner.close();
  });

  test('a token with others: it is theirs, and ends with the last of them', async () => {
    const { url, dispatcher, stuck, goOn } = await halting('the head of the token');
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => request(url + TAGS, { dispatcher, signal }));
    const ends = calls.map((call) => call.catch((error: unknown) => error));
    await until(() => stuck.size === 1);
    for (let i = 0; i < 5; i++) await turn();
    const [socket] = stuck;
    controllers[0]?.abort(reason);
    expect(await ends[0]).toBe(reason);
    for (let i = 0; i < 20; i++) await turn();
    expect(socket?.destroyed).toBe(false);
    controllers[1]?.abort(reason);
    expect(await ends[1]).toBe(reason);
    await until(() => socket?.destroyed === true);
    goOn();
    expect((await request(url + TAGS, { dispatcher })).statusCode).toBe(200);
  });
});

test('at whatever moment an upload is aborted, it ends once, and nothing is left on the wire', async () => {
  const { url, policy } = await halting(null);
  let whole = 0;
  // Later and later, until it was over before it could be aborted.
  for (let moment = 0; whole < 3; moment++) {
    const inner = agent();
    const dispatcher = inner.compose(registryAuth({ keychain: aliceAt(url), policy }));
    const body = Readable.from(['some', 'text'], { objectMode: false });
    let own: Dispatcher.DispatchController | undefined;
    const { handler, events, end } = recorder({
      onRequestStart: (controller) => {
        own = controller;
      },
    });
    dispatcher.dispatch({ origin: url, path: UPLOAD, method: 'PUT', body }, handler);
    for (let i = 0; i < moment; i++) await turn();
    own?.abort(reason);
    const ended = await end;
    expect([null, reason]).toContain(ended);
    if (ended === null) whole += 1;
    expect(events.filter((event) => event === 'end' || event === 'error')).toHaveLength(1);
    // It closes when nothing is under way on it.
    await inner.close();
    expect(body.listenerCount('error')).toBeLessThanOrEqual(1);
  }
});

describe('an abort by the handler itself, in', () => {
  type Callback = Exclude<keyof Dispatcher.DispatchHandler, 'onRequestUpgrade'>;
  /** With the events that it is told before its end. */
  const callbacks: readonly [Callback, readonly string[]][] = [
    ['onRequestStart', ['start']],
    ['onBodySent', ['start']],
    ['onRequestSent', ['start']],
    ['onResponseStarted', ['start']],
    ['onResponseStart', ['start', '200']],
    ['onResponseData', ['start', '200', 'data']],
  ];

  test.each(callbacks)('%s: it is told the reason, and nothing more', async (name, events) => {
    const { url, inner, dispatcher } = await halting(null);
    let own: Dispatcher.DispatchController | undefined;
    const told = recorder({
      onRequestStart: (controller) => {
        own = controller;
        if (name === 'onRequestStart') controller.abort(reason);
      },
      onResponseStart: (controller) => void (name === 'onResponseStart' && controller.abort(reason)),
      onResponseData: (controller) => void (name === 'onResponseData' && controller.abort(reason)),
    });
    let aborted = false;
    const after: string[] = [];
    const progress = (callback: Callback) => () => {
      if (aborted) after.push(callback);
      if (callback !== name) return;
      aborted = true;
      own?.abort(reason);
    };
    const handler: Dispatcher.DispatchHandler = {
      ...told.handler,
      onBodySent: progress('onBodySent'),
      onRequestSent: progress('onRequestSent'),
      onResponseStarted: progress('onResponseStarted'),
    };
    dispatcher.dispatch({ origin: url, path: UPLOAD, method: 'PUT', body: 'text' }, handler);
    expect(await told.end).toBe(reason);
    for (let i = 0; i < 20; i++) await turn();
    expect(told.events).toEqual([...events, 'error']);
    expect(after).toEqual([]);
    const again = await request(url + TAGS, { dispatcher });
    expect([again.statusCode, await again.body.text()]).toEqual([200, 'something']);
    await inner.close();
  });

  test('the middle of a body, with a reason that is no Error: it is told that reason', async () => {
    const { url, dispatcher } = await halting(null);
    const { handler, end } = recorder({
      // undici's types want an Error where its signals have anything.
      onResponseData: (controller) => controller.abort('enough' as unknown as Error),
    });
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe('enough');
  });

  test('an interim response', async () => {
    const server = createServer((_, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' }, () => response.end('done'));
    });
    const url = await listening(server);
    const inner = agent();
    const { handler, events, end } = recorder({
      onResponseStart: (controller, status) => void (status < 200 && controller.abort(reason)),
    });
    inner.compose(registryAuth()).dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await end).toBe(reason);
    for (let i = 0; i < 20; i++) await turn();
    expect(events).toEqual(['start', '103', 'error']);
    await inner.close();
  });

  test('onResponseEnd or onResponseError: too late for anything', async () => {
    const { url, inner, dispatcher, sockets } = await halting(null);
    const late = recorder({ onResponseEnd: (controller) => controller.abort(reason) });
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, late.handler);
    expect(await late.end).toBe(null);
    await turn();
    expect(late.events).toEqual(['start', '200', 'data', 'end']);
    const open = sockets.size;
    const failing = recorder({ onResponseStart: (controller) => controller.abort(reason) });
    const handler: Dispatcher.DispatchHandler = {
      ...failing.handler,
      onResponseError: (controller, error) => {
        controller.abort(new Error('again'));
        failing.handler.onResponseError?.(controller, error);
      },
    };
    dispatcher.dispatch({ origin: url, path: TAGS, method: 'GET' }, handler);
    expect(await failing.end).toBe(reason);
    await turn();
    expect(failing.events).toEqual(['start', '200', 'error']);
    // The first one's connection was whole after its end, and the second one used it.
    expect(sockets.size).toBe(open);
    await inner.close();
  });
});
