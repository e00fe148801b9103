/** What subscribers of the three channels are told, by the interceptor, by fetch and by authorize(), against a registry. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type CacheMessage,
  createRegistryAuthorizer,
  createRegistryFetch,
  type ExchangeMessage,
  type HandshakeMessage,
  registryAuth,
} from '../src/index.ts';
import { agent, clientOf, stage, TAGS } from './stage.ts';

interface Messages {
  readonly 'reg:handshake': HandshakeMessage;
  readonly 'reg:exchange': ExchangeMessage;
  readonly 'reg:cache': CacheMessage;
}

/** All that is told on `name` until the test ends. */
function listen<N extends keyof Messages>(
  name: N,
  also: (message: Messages[N]) => void = () => {},
): Messages[N][] {
  const messages: Messages[N][] = [];
  const hear = (message: unknown): void => {
    // What a channel's name says its messages are.
    messages.push(message as Messages[N]);
    also(message as Messages[N]);
  };
  subscribe(name, hear);
  onTestFinished(() => void unsubscribe(name, hear));
  return messages;
}

function listenToAll() {
  return {
    handshake: listen('reg:handshake'),
    exchange: listen('reg:exchange'),
    cache: listen('reg:cache'),
  };
}

type Scene = Awaited<ReturnType<typeof stage>>;

/** A client of each kind: what it returns makes one call and reads the answer. */
const clients = {
  fetch({ auth, registry }: Scene) {
    const fetch = createRegistryFetch(auth);
    return async (path = TAGS) => (await fetch(registry.url + path)).text();
  },
  interceptor({ auth, registry }: Scene) {
    const dispatcher = agent().compose(registryAuth(auth));
    return async (path = TAGS) => (await request(registry.url + path, { dispatcher })).body.text();
  },
};

describe.each(Object.entries(clients))('%s', (_name, create) => {
  test('tells of a cold request: its steps, its exchange and its look for a token', async () => {
    const told = listenToAll();
    const scene = await stage();
    const before = performance.timeOrigin + performance.now();
    await create(scene)();

    const [start] = told.handshake;
    const end = told.handshake.at(-1);
    if (start?.type !== 'start' || end?.type !== 'end') throw new Error('it has no beginning and no end');
    const { operation } = start;
    expect(operation).toMatchObject({
      kind: 'request',
      method: 'GET',
      url: scene.registry.url + TAGS,
      registry: scene.registry.url,
      repository: 'team/app',
    });
    expect(end).toMatchObject({ outcome: 'answered', status: 200, failure: null });
    expect(operation.startedAt).toBeGreaterThanOrEqual(before);
    expect(end.endedAt).toBeGreaterThan(operation.startedAt);
    const sent = told.handshake.flatMap((message) =>
      message.type === 'step' && message.step.phase === 'sending' ? [message.step] : [],
    );
    expect(sent.map(({ answer }) => (answer.type === 'response' ? answer.head.status : answer.code))).toEqual(
      [401, 200],
    );
    for (const { at, answer } of sent) expect(answer.at).toBeGreaterThan(at);

    expect(told.exchange.map((m) => (m.type === 'step' ? m.step.phase : m.type))).toEqual([
      'start',
      'begin',
      'getting',
      'end',
    ]);
    expect(told.exchange[0]?.exchange).toMatchObject({
      reason: 'missing',
      registry: scene.registry.url,
      repository: 'team/app',
      realm: scene.registry.tokenUrl,
      service: 'test-registry',
      scopes: 'repository:team/app:pull',
    });
    expect(told.exchange[0]?.exchange.operation).toBe(operation);
    expect(told.cache.map(({ type }) => type)).toEqual(['miss', 'stored']);
  });

  test('tells of a warm request whole, to who listens only now', async () => {
    const scene = await stage();
    const call = create(scene);
    for (let i = 0; i < 3; i++) await call();
    const told = listenToAll();
    await call();
    expect(told.handshake.map((m) => (m.type === 'step' ? m.step.phase : m.type))).toEqual([
      'start',
      'credential',
      'obtaining',
      'sending',
      'end',
    ]);
    expect(told.exchange).toEqual([]);
    expect(told.cache.map(({ type }) => type)).toEqual(['hit']);
  });

  test('tells of what ends before an answer', async () => {
    const handshake = listen('reg:handshake');
    const scene = await stage();
    const auth = clientOf(scene.registry, 'not hers');
    await expect(create({ ...scene, auth })()).rejects.toThrow();
    expect(handshake.at(-1)).toMatchObject({ outcome: 'failed', failure: { kind: 'credential-rejected' } });
  });

  test('shows no secret', async () => {
    const told = listenToAll();
    const scene = await stage();
    await create(scene)(`${TAGS}?n=1&last=0&sig=SIGNATURE`);
    const text = JSON.stringify(told);
    expect(text).toContain('redacted-1');
    expect(text).not.toContain('canary-');
    expect(text).not.toContain(Buffer.from(`alice:${scene.password}`).toString('base64'));
    expect(text).not.toContain('SIGNATURE');
  });

  test('begins in the asynchronous context of its caller, where a trace finds its parent', async () => {
    const caller = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    listen('reg:handshake', ({ type }) => void (type === 'start' && seen.push(caller.getStore())));
    listen('reg:exchange', ({ type }) => void (type === 'start' && seen.push(caller.getStore())));
    const scene = await stage();
    await caller.run('a request of mine', create(scene));
    expect(seen).toEqual(['a request of mine', 'a request of mine']);
  });
});

test('authorize() is an operation as well', async () => {
  const handshake = listen('reg:handshake');
  const { registry, auth } = await stage();
  await createRegistryAuthorizer(auth).authorize({ url: registry.url + TAGS });
  expect(handshake.at(-1)).toMatchObject({ outcome: 'authorized', operation: { kind: 'authorize' } });
});

test('a subscriber that throws hurts no request and no other subscriber: its error is an uncaughtException', async () => {
  const { registry } = await stage({
    repositories: { 'team/app': { tags: ['1'], visibility: 'public' } },
  });
  const program = `
    import { subscribe } from 'node:diagnostics_channel';
    import { createRegistryFetch } from './src/index.ts';
    let heard = 0, thrown = 0;
    process.on('uncaughtException', ({ message }) => { if (message === 'mine') thrown++; });
    for (const name of ['reg:handshake', 'reg:exchange', 'reg:cache']) {
      subscribe(name, () => { throw new Error('mine'); });
      subscribe(name, () => { heard++; });
    }
    const fetch = createRegistryFetch({ policy: { realms: { pairs: [${JSON.stringify(registry.pair)}] } } });
    const response = await fetch('${registry.url}${TAGS}');
    await response.text();
    console.log(response.status, heard, thrown === heard);`;
  const flags = ['--conditions=@reg/source', '--input-type=module', '--eval', program];
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, flags, { cwd });
  expect({ stdout, stderr }).toEqual({ stdout: '200 12 true\n', stderr: '' });
});
