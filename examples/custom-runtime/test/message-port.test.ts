/** The page's and the worker's end of a port, in two threads of Node. */

import { createServer, type RequestListener } from 'node:http';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { allow, canary, digestOf, type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { fetchOver, PortError } from '../message-port/page.ts';
import type { Answered, Port } from '../message-port/protocol.ts';
import { serve } from '../message-port/serve.ts';
import { secretsIn } from './secrets.ts';

const password = canary('password');
const layer = 'x'.repeat(3_000_000);
const repositories = {
  'team/app': { tags: { '1.0': layer }, access: { alice: ['pull', 'push'] } },
} as const;

interface Stage {
  /** Both ends' messages, as they went by. */
  readonly seen: unknown[];
  readonly port: MessagePort;
  readonly ask: ReturnType<typeof fetchOver>;
}

function startWorker(): Worker {
  return new Worker(new URL('thread.ts', import.meta.url), { execArgv: ['--conditions=@reg/source'] });
}

const shared = startWorker();
afterAll(() => shared.terminate());

/** A page's end of a port whose other end is a worker with alice's password for `registry`. */
function staged({ host, pair }: Pick<Registry, 'host' | 'pair'>, worker = shared): Stage {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  worker.postMessage({ ...pair, host, username: 'alice', password, port: port2 }, [port2]);
  const seen: unknown[] = [];
  return { seen, port: port1, ask: fetchOver(tapped(port1, seen)) };
}

/** A thread starts slowly where other tests run beside it. */
function until(holds: () => void): Promise<void> {
  return vi.waitFor(holds, { timeout: 20_000, interval: 10 });
}

/** `port`, with what goes through it put into `seen`. */
function tapped(port: MessagePort, seen: unknown[]): Port<Answered> {
  port.on('message', (message: unknown) => void seen.push(message));
  return {
    postMessage(message, transfer) {
      seen.push(structuredClone({ ...Object(message), body: null }));
      // A stream as the DOM declares it is none as Node does.
      Reflect.apply(port.postMessage, port, [message, transfer]);
    },
    addEventListener: (type: string, listener: (event: never) => void) => {
      if (type === 'message')
        port.on('message', (data: unknown) => Reflect.apply(listener, null, [{ data }]));
      else port.on(type, () => Reflect.apply(listener, null, []));
    },
    start: () => port.start(),
  };
}

async function started(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const registry = await startRegistry({
    auth: 'bearer',
    users: { alice: password },
    repositories,
    ...options,
  });
  onTestFinished(() => registry.close());
  return registry;
}

async function refused(work: Promise<unknown>): Promise<PortError> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(error instanceof PortError)) throw new Error(`no refusal: ${String(error)}`);
  return error;
}

describe('a page asks, and the worker does the handshake', () => {
  test('the registry answers the page, and no secret came by', async () => {
    const registry = await started();
    const { ask, seen } = staged(registry);
    const response = await ask(`${registry.url}/v2/team/app/tags/list`);
    expect([response.status, await response.json()]).toEqual([200, { name: 'team/app', tags: ['1.0'] }]);
    expect(registry.count({ server: 'token' })).toBe(1);
    expect(seen.length).toBe(2);
    expect(secretsIn(...seen, response, [...response.headers])).toEqual([]);
  });

  test('the tap sees what is there to be seen', () => {
    const bearer = Buffer.from(`alice:${password}`).toString('base64');
    expect(secretsIn({ deep: { password } })).toEqual(['canary-']);
    expect(secretsIn(new Error('it failed', { cause: bearer }))).toHaveLength(1);
    expect(secretsIn(`?u=${password}`, { fine: true })).toEqual(['canary-']);
  });

  test('what a token buys serves every request that follows', async () => {
    const registry = await started();
    const { ask } = staged(registry);
    const url = `${registry.url}/v2/team/app/tags/list`;
    await (await ask(url)).text();
    await Promise.all([1, 2, 3].map(async () => (await ask(url)).text()));
    expect(registry.count({ server: 'token' })).toBe(1);
  });

  test('a body is handed over as it comes', async () => {
    const registry = await started();
    const { ask } = staged(registry);
    const response = await ask(`${registry.url}/v2/team/app/blobs/${digestOf(Buffer.from(layer))}`);
    expect(await response.text()).toBe(layer);
  });

  test.each([
    ['text', () => layer],
    ['bytes', () => new TextEncoder().encode(layer)],
    ['a stream', () => new Blob([layer]).stream()],
  ])('an upload of %s arrives whole', async (_, body) => {
    const registry = await started();
    const { ask, seen } = staged(registry);
    const begun = await ask(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    const at = new URL(begun.headers.get('location') ?? '', registry.url);
    at.searchParams.set('digest', digestOf(Buffer.from(layer)));
    const headers = { 'content-type': 'application/octet-stream' };
    const stored = await ask(at, { method: 'PUT', body: body(), headers });
    expect(stored.status).toBe(201);
    expect(secretsIn(...seen)).toEqual([]);
  });

  test("a registry's own 401 and 404 are answers", async () => {
    const registry = await started();
    const { ask, seen } = staged(registry);
    expect((await ask(`${registry.url}/v2/team/app/manifests/2.0`)).status).toBe(404);
    expect((await ask(`${registry.url}/v2/other/app/tags/list`)).status).toBe(401);
    expect(secretsIn(...seen)).toEqual([]);
  });
});

describe('when it fails', () => {
  test('a refused password is a failure as data, and stays where it was', async () => {
    const registry = await started({ users: { alice: canary('the right password') } });
    allow(password, registry.tokenUrl);
    const { ask, seen } = staged(registry);
    const error = await refused(ask(`${registry.url}/v2/team/app/tags/list`));
    expect([error.code, error.failure?.kind]).toEqual(['ERR_PORT_HANDSHAKE', 'credential-rejected']);
    expect(error.message).toContain(registry.host);
    expect(secretsIn(error, ...seen)).toEqual([]);
  });

  test('a token that is none, and a token server that is gone', async () => {
    const registry = await started();
    registry.faults.add({ server: 'token', kind: 'wrong-json', times: 1 });
    const { ask, seen } = staged(registry);
    const invalid = await refused(ask(`${registry.url}/v2/team/app/tags/list`));
    await registry.close();
    const gone = await refused(ask(`${registry.url}/v2/team/app/tags/list`));
    expect([invalid.failure?.kind, gone.failure?.kind]).toEqual(['token-invalid', 'network']);
    expect(secretsIn(invalid, gone, ...seen)).toEqual([]);
  });

  test('an error of the keychain or of a parser is not repeated: it may quote what it read', async () => {
    const { port1, port2 } = new MessageChannel();
    const quoting = () => Promise.reject(new SyntaxError(`Unexpected token in "${password}"`));
    serve(tapped(port2, []), quoting);
    onTestFinished(() => port1.close());
    const error = await refused(fetchOver(tapped(port1, []))('https://registry.example/v2/'));
    expect([error.code, secretsIn(error)]).toEqual(['ERR_PORT_REQUEST', []]);
  });

  test('a worker that ends, ends what waits for it and what is asked later', async () => {
    const registry = await started();
    registry.faults.add({ server: 'registry', kind: 'stall', at: 'before-head' });
    const worker = startWorker();
    const { ask } = staged(registry, worker);
    const waiting = refused(ask(`${registry.url}/v2/team/app/tags/list`));
    await until(() => expect(registry.requests.length).toBe(1));
    await worker.terminate();
    expect((await waiting).code).toBe('ERR_PORT_CLOSED');
    expect((await refused(ask(`${registry.url}/v2/`))).code).toBe('ERR_PORT_CLOSED');
  });
});

/** A registry that asks for nothing and does as `answer` says; `ended` counts connections that the client gave up. */
async function open(answer: RequestListener) {
  const about = { url: '', ended: 0, asked: 0 };
  const server = createServer((request, response) => {
    about.asked += 1;
    response.on('close', () => {
      if (!response.writableEnded) about.ended += 1;
    });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  about.url = `http://127.0.0.1:${address.port}`;
  const { url } = about;
  return { about, stage: staged({ host: new URL(url).host, pair: { registry: url, realm: url } }) };
}

describe('an abort travels', () => {
  test('before the head', async () => {
    const { about, stage } = await open(() => {});
    const controller = new AbortController();
    const asking = stage.ask(`${about.url}/v2/`, { signal: controller.signal });
    await until(() => expect(about.asked).toBe(1));
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(asking).rejects.toBe(reason);
    await until(() => expect(about.ended).toBe(1));
  });

  test('within the body', async () => {
    const { about, stage } = await open((_, response) => void response.write('x'));
    const controller = new AbortController();
    const response = await stage.ask(`${about.url}/v2/`, { signal: controller.signal });
    const reason = new Error('enough');
    const reading = response.text();
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await until(() => expect(about.ended).toBe(1));
  });

  test('as a body that is cancelled', async () => {
    const { about, stage } = await open((_, response) => void response.write('x'));
    const response = await stage.ask(`${about.url}/v2/`);
    await response.body?.cancel();
    await until(() => expect(about.ended).toBe(1));
  });

  test('with a port that is closed', async () => {
    const { about, stage } = await open(() => {});
    const asking = refused(stage.ask(`${about.url}/v2/`));
    await until(() => expect(about.asked).toBe(1));
    stage.port.close();
    expect((await asking).code).toBe('ERR_PORT_CLOSED');
    await until(() => expect(about.ended).toBe(1));
  });

  test('and one from before asks for nothing', async () => {
    const { about, stage } = await open(() => {});
    await expect(stage.ask(`${about.url}/v2/`, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    expect([about.asked, stage.seen]).toEqual([0, []]);
  });
});

describe('a hostile page', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['text', 'GET /'],
    ['no id', { type: 'request' }],
    ['an id that is none', { type: 'request', id: '1' }],
    ['a type that is none', { type: 'reveal', id: 1 }],
    ['no URL', { type: 'request', id: 1, method: 'GET', headers: [], body: null }],
    [
      'headers that are none',
      { type: 'request', id: 1, method: 'GET', url: 'x', headers: [['a']], body: null },
    ],
    ['a body that is none', { type: 'request', id: 1, method: 'GET', url: 'x', headers: [], body: { a: 1 } }],
    ['a prototype', JSON.parse('{"__proto__":{"type":"request","id":1}}')],
  ])('that sends %s gets a refusal', async (_, message) => {
    const { port } = staged(await started());
    const answer = new Promise((resolve) => port.on('message', resolve));
    port.postMessage(message);
    expect(await answer).toMatchObject({ type: 'refusal', id: null, code: 'ERR_PORT_MESSAGE' });
  });

  test('that uses an id twice gets one refusal and one answer', async () => {
    const { about, stage } = await open((_, response) => void setImmediate(() => response.end('ok')));
    const answers: unknown[] = [];
    stage.port.on('message', (answer: unknown) => void answers.push(answer));
    const message = {
      type: 'request',
      id: 7,
      method: 'GET',
      url: `${about.url}/v2/`,
      headers: [],
      body: null,
    };
    stage.port.postMessage(message);
    stage.port.postMessage(message);
    await until(() => expect(answers.length).toBe(2));
    expect(answers).toEqual([
      expect.objectContaining({ type: 'refusal', id: null, code: 'ERR_PORT_MESSAGE' }),
      expect.objectContaining({ type: 'response', id: 7, status: 200 }),
    ]);
  });

  test.each<[string, (registry: Registry) => readonly [string, Record<string, string>?]]>([
    ['another origin', () => ['https://evil.example/v2/team/app/tags/list']],
    ['the token server', ({ tokenUrl }) => [`${tokenUrl}?scope=repository:team/app:pull`]],
    [
      "a token endpoint on the registry's own origin",
      ({ url }) => [`${url}/token?scope=repository:team/app:pull`],
    ],
    ['the same by a path that only looks like the API', ({ url }) => [`${url}/v2/../token?scope=x`]],
    ['the same behind a prefix', ({ url }) => [`${url}/token/v2/team/app/tags/list`]],
    ['an endpoint that is none', ({ url }) => [`${url}/v2/auth?scope=repository:team/app:pull`]],
    ['a name and a password of its own', ({ url }) => [`${url.replace('//', '//a:b@')}/v2/`]],
    ['an authorization of its own', ({ url }) => [`${url}/v2/`, { Authorization: 'Bearer x' }]],
    ['no URL', () => ['v2/']],
    ['a file', () => ['file:///etc/passwd']],
  ])('that asks for %s is not served, and nothing is sent', async (_, of) => {
    const registry = await started();
    const { ask, seen } = staged(registry);
    const [url, headers = {}] = of(registry);
    const error = await refused(ask(url, { headers }));
    expect([error.code, error.failure]).toEqual(['ERR_PORT_NOT_SERVED', null]);
    expect([registry.requests, secretsIn(error, ...seen)]).toEqual([[], []]);
  });

  test('that asks for what no platform sends is refused as that', async () => {
    const registry = await started();
    const { ask } = staged(registry);
    const url = `${registry.url}/v2/`;
    expect((await refused(ask(url, { body: 'a GET has none' }))).code).toBe('ERR_PORT_REQUEST');
    expect((await refused(ask(url, { headers: { 'x y': 'z' } }))).code).toBe('ERR_PORT_REQUEST');
  });
});
