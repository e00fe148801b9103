/** What those who listen are told of operations, exchanges and the tokens in memory, and what it costs when nobody does. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import type {
  AuthorizerOptions,
  CacheMessage,
  Channel,
  Channels,
  ExchangeMessage,
  HandshakeMessage,
  StoreEntry,
  TokenStore,
} from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain } from '../../src/driver/index.ts';
import type { RegistryRequest } from '../../src/message.ts';
import { idle } from './clock.ts';
import { World, type WorldOptions } from './world.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };

function get(url: string): RegistryRequest {
  return { method: 'GET', url, headers: [], body: 'none' };
}

/** A channel that keeps what it is told, and can be left. */
function open<M>(): Channel<M> & { hasSubscribers: boolean; readonly messages: M[] } {
  const messages: M[] = [];
  return { hasSubscribers: true, messages, publish: (message) => void messages.push(message) };
}

function set(options: WorldOptions = {}, more: Partial<AuthorizerOptions<string>> = {}) {
  const world = new World(options);
  const channels = {
    handshake: open<HandshakeMessage>(),
    exchange: open<ExchangeMessage>(),
    cache: open<CacheMessage>(),
  };
  const { send, clock } = world;
  const keychain = staticKeychain({ [new URL(world.registry).host]: alice });
  const authorizer = createAuthorizer<string>({
    send,
    now: clock.now,
    sleep: clock.sleep,
    keychain,
    channels,
    ...more,
  });
  const fetch = (url: string, signal?: AbortSignal) =>
    authorizer.request(get(url), signal === undefined ? {} : { signal });
  return { world, channels, authorizer, fetch, run: <T>(work: Promise<T>) => clock.run(work) };
}

const users = ['alice:wonderland'];

/** What a message is about, in a word. */
function word(message: HandshakeMessage | ExchangeMessage): string {
  return message.type === 'step' ? message.step.phase : message.type;
}

describe('an operation', () => {
  it('is told from its beginning to its end, under one object, with times', async () => {
    const { world, channels, fetch, run } = set({ users, latencyMs: 20 });
    const at = world.clock.now();
    const answered = fetch(`${world.url('team/app')}?n=5&_state=SIGNED`);
    expect(channels.handshake.messages).toEqual([
      {
        type: 'start',
        operation: {
          id: expect.any(Number),
          kind: 'request',
          startedAt: at,
          method: 'GET',
          url: `${world.url('team/app')}?n=5&_state=redacted-0`,
          registry: world.registry,
          repository: 'team/app',
        },
      },
    ]);
    await run(answered);
    const { messages } = channels.handshake;
    expect(messages.map(word)).toEqual(['start', 'sending', 'credential', 'obtaining', 'sending', 'end']);
    expect(new Set(messages.map(({ operation }) => operation)).size).toBe(1);
    expect(messages.at(-1)).toMatchObject({
      outcome: 'answered',
      status: 200,
      failure: null,
      endedAt: at + 60,
    });
    expect(messages.flatMap((m) => (m.type === 'step' ? [m.step.at - at] : []))).toEqual([0, 20, 20, 40]);
  });

  it('has a number of its own, and says whether it was to send or to authorize', async () => {
    const { world, channels, authorizer, fetch, run } = set({ users });
    await run(fetch(world.url('a/b')));
    await run(authorizer.authorize({ url: world.url('a/b') }));
    const ends = channels.handshake.messages.filter((message) => message.type === 'end');
    const [first, second] = ends.map(({ operation }) => operation);
    expect((second?.id ?? 0) - (first?.id ?? 0)).toBe(1);
    expect(ends.map(({ outcome, operation }) => [operation.kind, outcome])).toEqual([
      ['request', 'answered'],
      ['authorize', 'authorized'],
    ]);
  });

  it('is told when it fails, when its answer is final, and when the caller gives up', async () => {
    const refused = set({ users: [] });
    await expect(refused.run(refused.fetch(refused.world.url('a/b')))).rejects.toThrow();
    expect(refused.channels.handshake.messages.at(-1)).toMatchObject({
      outcome: 'failed',
      status: null,
      failure: { kind: 'credential-rejected' },
    });
    expect(refused.channels.exchange.messages.at(-1)).toMatchObject({
      outcome: 'failed',
      granted: null,
      expiresAt: null,
      failure: { kind: 'credential-rejected' },
    });

    const denied = set({ scheme: 'none', onRegistry: () => ({ status: 403 }) });
    await denied.run(denied.fetch(denied.world.url('a/b')));
    expect(denied.channels.handshake.messages.at(-1)).toMatchObject({
      outcome: 'answered',
      status: 403,
      failure: { kind: 'denied' },
    });

    const abort = new AbortController();
    const left = set({ users, onToken: () => new Promise<null>(() => {}) });
    const call = left.fetch(left.world.url('a/b'), abort.signal);
    await idle();
    abort.abort();
    await expect(left.run(call)).rejects.toThrow();
    const nothing = { outcome: 'aborted', failure: null };
    expect(left.channels.handshake.messages.at(-1)).toMatchObject({ ...nothing, status: null });
    expect(left.channels.exchange.messages.at(-1)).toMatchObject({ ...nothing, granted: null });
  });
});

describe('an exchange', () => {
  it('is told once, however many wait for it', async () => {
    const { world, channels, fetch, run } = set({ users, latencyMs: 20, expiresIn: 300 });
    const at = world.clock.now();
    await run(Promise.all([1, 2, 3].map(() => fetch(world.url('a/b')))));
    const { messages } = channels.exchange;
    expect(messages.map(word)).toEqual(['start', 'begin', 'getting', 'end']);
    expect(new Set(messages.map(({ exchange }) => exchange)).size).toBe(1);
    expect(messages[0]?.exchange).toEqual({
      id: expect.any(Number),
      operation: expect.objectContaining({ kind: 'request' }),
      reason: 'missing',
      startedAt: at + 20,
      registry: world.registry,
      repository: 'a/b',
      realm: world.realm,
      service: 'world',
      scopes: 'repository:a/b:pull',
      principal: 1,
    });
    expect(messages[1]).toMatchObject({ step: { exchange: messages[0]?.exchange.id } });
    expect(messages.at(-1)).toEqual({
      type: 'end',
      exchange: messages[0]?.exchange,
      endedAt: at + 40,
      outcome: 'granted',
      granted: 'repository:a/b:pull',
      expiresAt: at + 20 + 300_000,
      failure: null,
    });
    // Everyone's own steps hold it, as they hold it for `onStep`; the channel does not repeat it.
    expect(
      channels.handshake.messages.filter((m) => m.type === 'step' && m.step.phase === 'obtaining'),
    ).toHaveLength(3);
  });

  it('says what a challenge leaves out', async () => {
    const { world, channels, fetch, run } = set({
      users,
      onRegistry: (n, _out, { realm }) =>
        n === 1 ? { status: 401, headers: [['www-authenticate', `Bearer realm="${realm}"`]] } : null,
    });
    await run(fetch(world.url('a/b')));
    expect(channels.exchange.messages[0]?.exchange).toMatchObject({ service: null });
  });

  it('that is repeated says so', async () => {
    const onToken = (n: number) => (n === 1 ? { status: 503 } : null);
    const { world, channels, fetch, run } = set({ users, onToken });
    await run(fetch(world.url('a/b')));
    expect(channels.exchange.messages.map(word)).toEqual(['start', 'begin', 'retry', 'getting', 'end']);
    expect(channels.handshake.messages.map(word)).not.toContain('retry');
  });

  it('says why: nothing was held, it was refused, or it is about to end', async () => {
    const { world, channels, fetch, run } = set({ users, expiresIn: 100 });
    await run(fetch(world.url('a/b')));
    world.tokens.clear();
    await run(fetch(world.url('a/b')));
    world.clock.skip(91_000);
    await run(fetch(world.url('a/b')));
    await idle();
    const begun = channels.exchange.messages.filter(({ type }) => type === 'start');
    expect(begun.map(({ exchange }) => exchange.reason)).toEqual(['missing', 'refused', 'refresh']);
    // A refresh has steps of its own on this channel, and in nobody's transcript.
    expect(channels.exchange.messages.slice(-3).map(word)).toEqual(['begin', 'getting', 'end']);
  });
});

describe('the tokens in memory', () => {
  const types = (messages: readonly CacheMessage[]) => messages.map(({ type }) => type);

  it('miss, stored, hit, superset, refresh', async () => {
    const { world, channels, authorizer, fetch, run } = set({ users, expiresIn: 100 });
    const { messages } = channels.cache;
    const push = { ...get(world.url('a/b', 'manifests/1')), method: 'PUT', body: 'replayable' } as const;
    await run(authorizer.request(push));
    const at = world.clock.now();
    expect(types(messages)).toEqual(['miss', 'stored']);
    expect(messages[0]).toEqual({
      type: 'miss',
      operation: expect.objectContaining({ method: 'PUT' }),
      at,
      registry: world.registry,
      repository: 'a/b',
      realm: world.realm,
      service: 'world',
      scopes: 'repository:a/b:pull,push',
      principal: 1,
      joined: false,
    });
    expect(messages[1]).toMatchObject({ from: 'exchange', expiresAt: at + 100_000 });
    messages.length = 0;
    await run(authorizer.request(push));
    await run(fetch(world.url('a/b')));
    world.clock.skip(91_000);
    await run(authorizer.request(push));
    await idle();
    expect(types(messages)).toEqual(['hit', 'superset', 'hit', 'refresh', 'stored']);
    expect(messages[0]).toMatchObject({ expiresAt: at + 100_000 });
  });

  it('a miss says whether an exchange was joined', async () => {
    const { world, channels, fetch, run } = set({ users, latencyMs: 20 });
    await run(Promise.all([1, 2].map(() => fetch(world.url('a/b')))));
    const joined = channels.cache.messages.flatMap((m) => (m.type === 'miss' ? [m.joined] : []));
    expect(joined).toEqual([false, true]);
  });

  it('a token from the store says so', async () => {
    const entries = new Map<string, StoreEntry>();
    const store: TokenStore = {
      read: async ({ kind }) => entries.get(kind) ?? null,
      write: async ({ kind }, entry) => void entries.set(kind, entry),
      forget: async ({ kind }) => void entries.delete(kind),
    };
    const first = set({ users }, { store });
    await first.run(first.fetch(first.world.url('a/b')));
    const second = set({ users }, { store, send: first.world.send });
    await second.run(second.fetch(first.world.url('a/b')));
    expect(types(second.channels.cache.messages)).toEqual(['miss', 'stored']);
    expect(second.channels.cache.messages[1]).toMatchObject({ from: 'store' });
  });
});

describe('those who listen', () => {
  it('get no secret, also where a challenge repeats one', async () => {
    const { world, channels, fetch, run } = set({
      users,
      onRegistry: (n, out, w) => {
        if (n !== 3) return null;
        const [, token] = out.headers.find(([name]) => name === 'authorization')?.[1].split(' ') ?? [];
        return {
          status: 401,
          headers: [['www-authenticate', `Bearer realm="${w.realm}",service="${token}",scope="${token}"`]],
        };
      },
      onToken: async () => ({ status: 200, body: JSON.stringify({ token: `tok-CANARY-${world.count()}` }) }),
    });
    for (let i = 0; i < 2; i++) await run(fetch(world.url('a/b')).catch(() => {}));
    const told = JSON.stringify(Object.values(channels).map(({ messages }) => messages));
    expect(world.seen.filter(({ authorization }) => authorization?.includes('CANARY'))).not.toEqual([]);
    expect(told).toContain('redacted-');
    expect(told).not.toContain('CANARY');
    expect(told).not.toContain('wonderland');
    expect(told).not.toContain(btoa('alice:wonderland'));
  });

  it('may throw: the request goes on, and `onStep` hears all the same', async () => {
    const steps: string[] = [];
    const deaf = {
      hasSubscribers: true,
      publish() {
        throw new Error('not my day');
      },
    };
    const { world, fetch, run } = set(
      { users },
      {
        channels: { handshake: deaf, exchange: deaf, cache: deaf },
        onStep: ({ phase }) => void steps.push(phase),
      },
    );
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(steps).toEqual(['sending', 'credential', 'begin', 'getting', 'obtaining', 'sending']);
  });

  it.each([
    ['handshake', 'exchange', 'cache'],
    ['exchange', 'cache', 'handshake'],
    ['cache', 'handshake', 'exchange'],
  ] as const)('to %s alone are told of nothing else', async (heard, ...others) => {
    const { world, channels, fetch, run } = set({ users });
    for (const other of others) channels[other].hasSubscribers = false;
    await run(fetch(world.url('a/b')));
    expect(channels[heard].messages).not.toEqual([]);
    for (const other of others) expect(channels[other].messages).toEqual([]);
  });

  it('are looked for once an operation when there are none', async () => {
    let looks = 0;
    const silent: Channel<unknown> = {
      get hasSubscribers() {
        looks += 1;
        return false;
      },
      publish() {
        throw new Error('nobody listens');
      },
    };
    const channels: Channels = { handshake: silent, exchange: silent, cache: silent };
    const { world, fetch, run } = set({ users }, { channels });
    await run(fetch(world.url('a/b')));
    expect(looks).toBe(3);
  });
});
