/** `registryAgent` at the sockets: whose certificates are used where, and which addresses are dialled. */

import { createSecureServer } from 'node:http2';
import type { AddressInfo, LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { isRegistryAuthError, type RegistryAuthError } from '@reg/core';
import { canary, startTokenServer } from '@reg/testing';
import { Agent, Client, type Dispatcher, getGlobalDispatcher, request, setGlobalDispatcher } from 'undici';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
// By path: a program that only tests start is no part of what @reg/testing offers.
import { isMissing, startDistribution } from '../../testing/test/docker-registry.ts';
import { type Dialling, dialling } from '../src/agent.ts';
import {
  createRegistryFetch,
  describe as explain,
  type RegistryAgentOptions,
  type RegistryFetchOptions,
  registryAgent,
  registryAuth,
} from '../src/index.ts';
import { authority, foldersOf, put, serveTls } from './certificates.ts';
import { agent, aliceAt, closing, recorder, serve, stage, TAGS } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

/** An agent on nothing of this machine's but what it is given. */
function isolated(options: RegistryAgentOptions = {}): Dispatcher {
  return closing(registryAgent({ env: {}, certs: [], ...options }));
}

async function rejected(work: Promise<unknown>): Promise<RegistryAuthError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!isRegistryAuthError(error)) throw error ?? new Error('it resolved');
  return error;
}

/** Every request in what `onStep` was told, with what is said of its address. */
function watching() {
  const sent: string[] = [];
  const onStep: NonNullable<RegistryFetchOptions['onStep']> = (step) => {
    if (!('effect' in step) || step.effect.type !== 'send') return;
    const { hostname } = new URL(step.effect.url);
    sent.push('address' in step.answer ? `${hostname} ${step.answer.address}` : hostname);
  };
  return { sent, onStep };
}

/** Whether this machine has ::1. */
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);
if (!hasIpv6) console.log('skipped: certificates of an IPv6 address (this machine has no ::1)');

const mine = authority();
const server = mine.server();

describe('certificates are a host’s own', () => {
  test('the registry’s authority is trusted for it and not for its token server (requirement 94)', async () => {
    const { registry, auth } = await stage({ tls: true });
    const dir = await foldersOf({ [registry.host]: { 'ca.crt': registry.ca ?? '' } });
    const fetch = createRegistryFetch({ ...auth, dispatcher: isolated({ certs: [dir] }) });
    const tokens = new URL(registry.tokenUrl).host;

    const { failure } = await rejected(fetch(registry.url + TAGS));
    expect(failure).toMatchObject({
      kind: 'network',
      to: 'authority',
      phase: 'tls',
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
    expect(explain(failure)).toContain(`into ${join(dir, tokens)}/ca.crt`);
    expect(registry.count({ server: 'token' })).toBe(0);

    await put(dir, tokens, { 'ca.crt': registry.ca ?? '' });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
  });

  test('a client certificate is shown to its registry, and never to the realm at another origin', async () => {
    const alice = mine.client('alice');
    const asking = { ...server, ca: mine.ca, requestCert: true };
    const tokens = await serveTls({ ...asking, rejectUnauthorized: false }, (_, response) =>
      response.end('{"token":"abc"}'),
    );
    const registry = await serveTls(asking, ({ headers }, response) => {
      if (headers.authorization !== undefined) return response.end('text');
      response.setHeader('WWW-Authenticate', `Bearer realm="${tokens.url}/token"`);
      return response.writeHead(401).end();
    });
    const dir = await foldersOf({
      [registry.host]: { 'ca.crt': mine.ca, 'client.cert': alice.cert, 'client.key': alice.key },
      [tokens.host]: { 'ca.crt': mine.ca },
    });
    const fetch = createRegistryFetch({
      keychain: aliceAt(registry.url),
      policy: { realms: { pairs: [{ registry: registry.url, realm: tokens.url }] } },
      dispatcher: isolated({ certs: [dir] }),
    });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
    expect([registry.presented, tokens.presented]).toEqual([['alice', 'alice'], [null]]);
  });

  const yesterday = Date.now() - 86_400_000;
  test.each([
    ['an issuer nobody knows', {}, null, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['another’s authority', {}, authority('Other').ca, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['an expired certificate', { until: yesterday }, mine.ca, 'CERT_HAS_EXPIRED'],
    ['a certificate for another host', { names: ['other.test'] }, mine.ca, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('%s fails as TLS, and the issuer’s place is named where that is what is missing', async (...row) => {
    const [, about, trusted, code] = row;
    const registry = await serveTls(mine.server(about));
    const dir = await foldersOf(trusted === null ? {} : { [registry.host]: { 'ca.crt': trusted } });
    const dispatcher = isolated({ certs: [dir] });
    const { failure } = await rejected(createRegistryFetch({ dispatcher })(registry.url + TAGS));
    expect(failure).toMatchObject({ kind: 'network', to: 'registry', phase: 'tls', code });
    const place = `put the issuer's certificate into ${join(dir, registry.host)}/ca.crt`;
    expect(explain(failure).includes(place)).toBe(code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    expect(registry.paths).toEqual([]);
    // Users of undici alone know the error by its code as well.
    await expect(request(registry.url, { dispatcher })).rejects.toMatchObject({ code });
  });

  test('without a folder the first place is named', async () => {
    const registry = await serveTls(server);
    const dispatcher = closing(registryAgent({ env: {}, home: '/home/alice' }));
    const { failure } = await rejected(createRegistryFetch({ dispatcher })(registry.url + TAGS));
    expect(explain(failure)).toContain(`into /home/alice/.docker/certs.d/${registry.host}/ca.crt`);
  });

  test('Node’s own authorities are trusted beside those of a folder', async () => {
    const before = getCACertificates('default');
    onTestFinished(() => setDefaultCACertificates(before));
    const known = authority('Known to Node');
    setDefaultCACertificates([...before, known.ca]);
    const registry = await serveTls(known.server());
    const dir = await foldersOf({ [registry.host]: { 'ca.crt': mine.ca } });
    const { statusCode, body } = await request(registry.url, { dispatcher: isolated({ certs: [dir] }) });
    expect([statusCode, await body.text()]).toEqual([200, 'text']);
  });

  test.skipIf(!hasIpv6)('an IPv6 address has a folder with brackets', async () => {
    const registry = await serveTls(server, undefined, '::1');
    const dir = await foldersOf({ [registry.host]: { 'ca.crt': mine.ca } });
    expect(registry.host).toMatch(/^\[::1\]:\d+$/);
    expect((await request(registry.url, { dispatcher: isolated({ certs: [dir] }) })).statusCode).toBe(200);
  });

  test('a renewed client certificate counts for the next connection', async () => {
    const registry = await serveTls({ ...server, ca: mine.ca, requestCert: true });
    const files = (name: string) => {
      const { cert, key } = mine.client(name);
      return { 'client.cert': cert, 'client.key': key };
    };
    const dir = await foldersOf({ [registry.host]: { 'ca.crt': mine.ca, ...files('old') } });
    const dispatcher = isolated({ certs: [dir] });
    // Each request ends its connection, so that the next one makes another.
    const ask = () => request(registry.url, { dispatcher, reset: true }).then(({ body }) => body.text());
    await ask();
    await put(dir, registry.host, files('new'));
    await ask();
    expect(registry.presented).toEqual(['old', 'new']);
  });

  test('a folder that cannot be used is said before anything is sent, once', async () => {
    const { registry, auth } = await stage({ tls: true });
    const tokens = new URL(registry.tokenUrl).host;
    const dir = await foldersOf({
      [registry.host]: { 'ca.crt': registry.ca ?? '' },
      [tokens]: { 'client.cert': 'x' },
    });
    const { sent, onStep } = watching();
    const fetch = createRegistryFetch({ ...auth, onStep, dispatcher: isolated({ certs: [dir] }) });
    const { failure } = await rejected(fetch(registry.url + TAGS));
    expect(failure).toMatchObject({ kind: 'network', to: 'authority', phase: 'tls', code: 'ERR_REG_CERTS' });
    expect(explain(failure)).toContain(`${join(dir, tokens, 'client.cert')}: has no key beside it`);
    expect(registry.count({ server: 'token' })).toBe(0);
    expect(sent).toHaveLength(2);
  });

  test('unverifiedHosts are not verified, and no other host is let off', async () => {
    const [lax, strict, own] = [
      await serveTls(mine.server({ names: ['x.test'] })),
      await serveTls(server),
      await serveTls(server),
    ];
    const wrong = { 'ca.crt': authority('Other').ca };
    const dir = await foldersOf({ [lax.host]: wrong, [own.host]: wrong });
    const dispatcher = isolated({ certs: [dir], unverifiedHosts: [lax.host] });
    expect((await request(lax.url, { dispatcher })).statusCode).toBe(200);
    for (const { url } of [strict, own]) {
      await expect(request(url, { dispatcher })).rejects.toMatchObject({
        code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      });
    }
    expect(() => registryAgent({ unverifiedHosts: ['a b'] })).toThrow(TypeError);
  });

  test('HTTP/2 is spoken where the server does', async () => {
    const { cert, key } = server;
    const h2 = createSecureServer({ cert, key, allowHTTP1: true }, (incoming, response) =>
      response.end(incoming.httpVersion),
    );
    await new Promise<void>((resolve) => h2.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void h2.close());
    // A listening TCP server has an address of this kind.
    const host = `127.0.0.1:${(h2.address() as AddressInfo).port}`;
    const dir = await foldersOf({ [host]: { 'ca.crt': mine.ca } });
    const dispatcher = isolated({ certs: [dir] });
    const { body } = await request(`https://${host}`, { dispatcher });
    expect(await body.text()).toBe('2.0');
    await dispatcher.destroy();
  });
});

/** A resolver that gives each name its answers in turn, the last one for ever, and counts. */
function names(answers: Readonly<Record<string, readonly string[]>>) {
  const asked: string[] = [];
  const lookup: LookupFunction = (hostname, options, callback) => {
    const turn = asked.filter((name) => name === hostname).length;
    asked.push(hostname);
    const all = answers[hostname] ?? [];
    const address = all[Math.min(turn, all.length - 1)];
    if (address === undefined)
      return callback(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), '', 0);
    const family = address.includes(':') ? 6 : 4;
    if (options.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
  return { asked, lookup };
}

/** A registry on loopback that names a token server by a name, and one that redirects its blobs to a name. */
async function naming(host: string) {
  const hidden = await serve((_, response) => void response.end('{"token":"stolen"}'));
  const { port } = new URL(hidden.url);
  const registry = await serve(({ url = '', headers }, response) => {
    if (url.includes('/blobs/')) {
      return response.writeHead(307, { Location: `http://${host}:${port}/blob` }).end();
    }
    if (headers.authorization !== undefined) return response.end('text');
    const challenge = `Bearer realm="http://${host}:${port}/token"`;
    return response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
  });
  return { hidden, registry, origin: `http://${host}:${port}` };
}

describe('the address behind a name that a peer gave', () => {
  const blob = '/v2/team/app/blobs/sha256:00';

  test.each([['127.0.0.1'], ['169.254.169.254'], ['::ffff:127.0.0.1'], ['0.0.0.0']])(
    'a realm that stands for %s is not asked, and not tried again',
    async (address) => {
      const { hidden, registry } = await naming('auth.evil.test');
      const { asked, lookup } = names({ 'auth.evil.test': [address] });
      const { sent, onStep } = watching();
      const fetch = createRegistryFetch({ onStep, dispatcher: isolated({ lookup }) });
      const { failure } = await rejected(fetch(registry.url + TAGS));
      expect(failure).toMatchObject({
        kind: 'network',
        to: 'authority',
        phase: 'lookup',
        code: 'ERR_REG_BLOCKED_ADDRESS',
      });
      expect(explain(failure)).toMatch(/^Nothing was sent to the token server http:\/\/auth\.evil\.test/);
      expect([hidden.connections(), asked]).toEqual([0, ['auth.evil.test']]);
      expect(sent).toEqual(['127.0.0.1', 'auth.evil.test']);
    },
  );

  test.each([['127.0.0.1'], ['169.254.169.254']])(
    'DNS rebinding: public when it is looked at, %s a moment later: no byte reaches it',
    async (address) => {
      const { hidden, registry } = await naming('auth.evil.test');
      // Nobody is there (multicast), so that the dial fails at once and the token request is tried again.
      const { asked, lookup } = names({ 'auth.evil.test': ['224.0.0.1', address] });
      const fetch = createRegistryFetch({ dispatcher: isolated({ lookup }) });
      const { failure } = await rejected(fetch(registry.url + TAGS));
      expect(failure).toMatchObject({ kind: 'network', to: 'authority', code: 'ERR_REG_BLOCKED_ADDRESS' });
      expect([hidden.connections(), asked.length]).toEqual([0, 2]);
    },
  );

  test('a redirect’s target that stands for this machine is not asked', async () => {
    const { hidden, registry } = await naming('cdn.evil.test');
    const { lookup } = names({ 'cdn.evil.test': ['127.0.0.1'] });
    const fetch = createRegistryFetch({ dispatcher: isolated({ lookup }) });
    const { failure } = await rejected(fetch(registry.url + blob));
    expect(failure).toMatchObject({ kind: 'network', to: 'registry', code: 'ERR_REG_BLOCKED_ADDRESS' });
    expect(hidden.connections()).toBe(0);
  });

  test('a pair of the user, and the caller’s own name, may stand for anything', async () => {
    const { registry, origin } = await naming('auth.corp.test');
    const { lookup } = names({ 'auth.corp.test': ['127.0.0.1'] });
    const dispatcher = isolated({ lookup });
    const policy = { realms: { pairs: [{ registry: registry.url, realm: origin }] } };
    const fetch = createRegistryFetch({ policy, dispatcher });
    expect(await (await fetch(registry.url + TAGS)).text()).toBe('text');
    expect((await fetch(registry.url + blob)).status).toBe(200);
    expect((await fetch(`${origin}/v2/`)).status).toBe(200);
  });

  test('a connection that nobody checked is not lent to a request that wants it checked', async () => {
    const { hidden, registry, origin } = await naming('shared.evil.test');
    const { lookup } = names({ 'shared.evil.test': ['127.0.0.1'] });
    const fetch = createRegistryFetch({ dispatcher: isolated({ lookup }) });
    await (await fetch(`${origin}/v2/`)).text();
    expect(hidden.connections()).toBe(1);
    const { failure } = await rejected(fetch(registry.url + TAGS));
    expect(failure).toMatchObject({ code: 'ERR_REG_BLOCKED_ADDRESS' });
    expect(hidden.connections()).toBe(1);
  });

  test('an agent that composed interceptors stand before checks as well', async () => {
    const { hidden, registry } = await naming('auth.evil.test');
    const { lookup } = names({ 'auth.evil.test': ['127.0.0.1'] });
    const dispatcher = isolated({ lookup }).compose(
      (dispatch) => (options, handler) => dispatch({ ...options, reset: true }, handler),
    );
    await rejected(createRegistryFetch({ dispatcher })(registry.url + TAGS));
    expect(hidden.connections()).toBe(0);
  });

  test('says that it looked, where it is who dials', async () => {
    const asked = async (env: Record<string, string>) => {
      const wanted: Dialling = { addresses: 'unblocked', checked: false };
      const { handler, end } = recorder();
      const options = {
        origin: 'https://nowhere.test',
        path: '/',
        method: 'GET',
        [dialling]: wanted,
      } as const;
      isolated({ env, lookup: names({}).lookup }).dispatch(options, handler);
      await end;
      return wanted.checked;
    };
    expect(await asked({})).toBe(true);
    expect(await asked({ https_proxy: 'http://127.0.0.1:1' })).toBe(false);
  });

  test('under the interceptor a realm is checked too, and the registry, which the caller named, is not', async () => {
    const { hidden, registry } = await naming('auth.evil.test');
    const { port } = new URL(registry.url);
    const { asked, lookup } = names({ 'auth.evil.test': ['127.0.0.1'], 'registry.corp.test': ['127.0.0.1'] });
    const policy = { insecureHosts: [`registry.corp.test:${port}`] };
    const dispatcher = isolated({ lookup }).compose(registryAuth({ policy }));
    const error = await rejected(request(`http://registry.corp.test:${port}${TAGS}`, { dispatcher }));
    expect(error.failure).toMatchObject({ to: 'authority', code: 'ERR_REG_BLOCKED_ADDRESS' });
    expect([hidden.connections(), asked]).toEqual([0, ['registry.corp.test', 'auth.evil.test']]);
  });

  test('a dispatcher that cannot look is told apart (design §5)', async () => {
    const { registry } = await naming('auth.corp.test');
    const { lookup } = names({ 'auth.corp.test': ['127.0.0.1'] });
    const { sent, onStep } = watching();
    const dispatcher = agent({ connect: { lookup } });
    const fetch = createRegistryFetch({ onStep, dispatcher });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
    expect(sent).toEqual(['127.0.0.1', 'auth.corp.test unchecked', '127.0.0.1']);
  });
});

describe('which dispatcher sends', () => {
  async function sentBy(options: RegistryFetchOptions = {}): Promise<string[]> {
    const { registry, auth } = await stage();
    const { sent, onStep } = watching();
    expect((await createRegistryFetch({ ...auth, onStep, ...options })(registry.url + TAGS)).status).toBe(
      200,
    );
    return sent;
  }

  /** Sets the global dispatcher for one test. Returns what counts its requests. */
  function globally(create: (count: () => void) => Dispatcher): () => number {
    const before = getGlobalDispatcher();
    onTestFinished(() => setGlobalDispatcher(before));
    let count = 0;
    setGlobalDispatcher(create(() => void count++));
    return () => count;
  }

  test('none given, and none set: the agent of all', async () => {
    const { hidden, registry } = await naming('localhost.localdomain');
    const { failure } = await rejected(createRegistryFetch()(registry.url + TAGS));
    expect(failure).toMatchObject({ kind: 'realm-forbidden', reason: 'host-alias' });
    expect(hidden.connections()).toBe(0);
    expect(await sentBy()).toHaveLength(3);
  });

  test('a global one of the program’s, composed or plain, is used', async () => {
    const composed = globally((count) =>
      agent().compose((dispatch) => (options, handler) => {
        count();
        return dispatch(options, handler);
      }),
    );
    await sentBy();
    expect(composed()).toBe(3);
    const plain = globally((count) => {
      class Counting extends Agent {
        override dispatch(options: Agent.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
          count();
          return super.dispatch(options, handler);
        }
      }
      return closing(new Counting());
    });
    await sentBy();
    expect(plain()).toBe(3);
  });

  test.each<[string, Agent.Options]>([
    ['a resolver', { connect: { lookup: names({}).lookup } }],
    ['a connector', { connect: () => {} }],
    ['limits', { connections: 1 }],
    ['one origin at a time', { maxOrigins: 1 }],
    ['clients of its own', { factory: (origin, options) => new Client(origin, options) }],
  ])('one that was set before this was loaded is used: an Agent with %s', async (_, options) => {
    const own = agent(options);
    globally(() => own);
    vi.resetModules();
    const { dispatcherFor } = await import('../src/origin.ts');
    expect(dispatcherFor(undefined)('https://registry.test/v2/', 'registry')).toBe(own);
  });

  test('one without options that was set before this was loaded is as good as undici’s own', async () => {
    const own = agent();
    globally(() => own);
    vi.resetModules();
    const { dispatcherFor } = await import('../src/origin.ts');
    const { defaultAgent } = await import('../src/agent.ts');
    expect(dispatcherFor(undefined)('https://registry.test/v2/', 'registry')).toBe(defaultAgent());
  });

  test('the one that is given comes first', async () => {
    const global = globally((count) => {
      count();
      return agent();
    });
    await sentBy({ dispatcher: agent() });
    expect(global()).toBe(1);
  });
});

describe('an agent’s end', () => {
  test('close lets requests end, destroy ends them; both by promise and by callback', async () => {
    const { url } = await serve((_, response) => void response.end('text'));
    for (const end of ['close', 'destroy'] as const) {
      const dispatcher = isolated();
      const { body } = await request(url, { dispatcher });
      await body.text();
      await dispatcher[end]();
      await expect(request(url, { dispatcher })).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
      await new Promise<void>((resolve) => isolated()[end](resolve));
    }
    const dispatcher = isolated();
    const never = await serve(() => {});
    const waiting = request(never.url, { dispatcher });
    const refused = expect(waiting).rejects.toThrow('enough');
    await new Promise<void>((resolve) => dispatcher.destroy(new Error('enough'), resolve));
    await refused;
  });

  test('a request without an origin is refused as by undici', async () => {
    await expect(isolated().request({ path: '/', method: 'GET' })).rejects.toMatchObject({
      code: 'UND_ERR_INVALID_ARG',
    });
  });
});

const missing = isMissing('docker-registry');

describe.skipIf(missing)('docker-registry over TLS with a private authority in certs.d', () => {
  test('token server and registry each have theirs; without it nothing is sent', async () => {
    const password = canary('password');
    const tokens = await startTokenServer({
      users: { alice: password },
      repositories: { 'team/app': { access: { alice: ['*'] } } },
      tls: true,
    });
    onTestFinished(() => tokens.close());
    const registry = await startDistribution({ token: tokens }, { ...server, ca: mine.ca });
    const dir = await foldersOf({
      [registry.host]: { 'ca.crt': mine.ca },
      [new URL(tokens.url).host]: { 'ca.crt': tokens.ca ?? '' },
    });
    const pairs = [{ registry: registry.url, realm: new URL(tokens.url).origin }];
    const client = { keychain: aliceAt(registry.url, password), policy: { realms: { pairs } } };
    const url = `${registry.url}/v2/team/app/tags/list`;

    const stranger = createRegistryFetch({ ...client, dispatcher: isolated() });
    expect((await rejected(stranger(url))).failure).toMatchObject({ kind: 'network', phase: 'tls' });
    expect(await registry.answered()).toEqual([]);

    const fetch = createRegistryFetch({ ...client, dispatcher: isolated({ certs: [dir] }) });
    expect((await fetch(url)).status).toBe(404);
    const begun = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    expect(begun.status).toBe(202);
    expect(await registry.answered()).toEqual([
      'GET /v2/team/app/tags/list 401',
      'GET /v2/team/app/tags/list 404',
      'POST /v2/team/app/blobs/uploads/ 202',
    ]);
  });

  test('a client certificate that it wants is shown; without one it ends the TLS session', async () => {
    const registry = await startDistribution(null, { ...server, ca: mine.ca, clients: mine.ca });
    const dir = await foldersOf({ [registry.host]: { 'ca.crt': mine.ca } });
    const asking = () =>
      createRegistryFetch({ dispatcher: isolated({ certs: [dir] }) })(`${registry.url}/v2/`);
    const { failure } = await rejected(asking());
    expect(failure).toMatchObject({
      kind: 'network',
      phase: 'tls',
      code: expect.stringMatching(/^ERR_SSL_/),
    });
    const { cert, key } = mine.client('alice');
    await put(dir, registry.host, { 'client.cert': cert, 'client.key': key });
    expect((await asking()).status).toBe(200);
  });
});
