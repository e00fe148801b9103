/** `registryAgent` behind proxies: what each party is sent, read at its socket. */

import { createServer } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { isRegistryAuthError, type RegistryAuthError } from '@reg/core';
import { staticKeychain } from '@reg/core/driver';
import { canary } from '@reg/testing';
import { type Dispatcher, request } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createRegistryFetch,
  describe as explain,
  type RegistryFetchOptions,
  registryAgent,
} from '../src/index.ts';
import { authority, foldersOf, serveTls } from './certificates.ts';
import { BY_PROXY, startProxy } from './proxies.ts';
import { closing, serve, TAGS, turn } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

const mine = authority();

/** Nobody resolves a name here but for the proxy's own. */
const lookup: LookupFunction = (hostname, options, callback) => {
  if (hostname !== 'proxy.test') return callback(new Error(`${hostname} was looked up`), '', 0);
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

async function rejected(work: Promise<unknown>): Promise<RegistryAuthError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!isRegistryAuthError(error)) throw error ?? new Error('it resolved');
  return error;
}

describe('https', () => {
  /** A registry and its token server under names that only the proxy knows. */
  async function scene() {
    const names = ['registry.test', 'auth.test'];
    const password = canary('password');
    const token = canary('token');
    const tokens = await serveTls(mine.server({ names }), (_, response) =>
      response.end(JSON.stringify({ token })),
    );
    const realm = `https://auth.test:${tokens.port}`;
    const registry = await serveTls(mine.server({ names }), ({ headers }, response) => {
      if (headers.authorization === `Bearer ${token}`) return response.end('text');
      response.setHeader('WWW-Authenticate', `Bearer realm="${realm}/token",service="s"`);
      return response.writeHead(401).end();
    });
    const origin = `https://registry.test:${registry.port}`;
    const trusted = { 'ca.crt': mine.ca };
    const certs = await foldersOf({
      [new URL(origin).host]: trusted,
      [new URL(realm).host]: trusted,
    });
    const login = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
    const options: RegistryFetchOptions = {
      keychain: staticKeychain({ [new URL(origin).host]: { type: 'password', username: 'alice', password } }),
      policy: { realms: { pairs: [{ registry: origin, realm }] } },
    };
    return {
      registry,
      tokens,
      origin,
      realm,
      certs,
      options,
      secrets: [password, token, login.slice(6)],
      login,
      token,
    };
  }

  test('a proxy sees host and port and its own credentials, and nothing of the registry’s (requirement 8)', async () => {
    const proxy = await startProxy();
    const { registry, tokens, origin, realm, certs, options, secrets, login, token } = await scene();
    const env = { https_proxy: `http://pro%40xy:pass@proxy.test:${proxy.port}` };
    const dispatcher = closing(registryAgent({ env, certs: [certs], lookup }));
    const response = await createRegistryFetch({ ...options, dispatcher })(origin + TAGS);
    expect([response.status, await response.text()]).toEqual([200, 'text']);

    expect(proxy.asked).toEqual([`CONNECT ${new URL(origin).host}`, `CONNECT ${new URL(realm).host}`]);
    const own = `Basic ${Buffer.from('pro@xy:pass').toString('base64')}`;
    expect(proxy.authorizations).toEqual([own, own]);
    const heads = proxy.bytes().split('\r\n');
    expect(heads.filter((line) => line.toLowerCase().startsWith('authorization'))).toEqual([]);
    for (const secret of secrets) expect(proxy.bytes()).not.toContain(secret);
    // The registry's own servers saw theirs, and not the proxy's.
    expect([registry.authorized, tokens.authorized]).toEqual([[undefined, `Bearer ${token}`], [login]]);
  });

  test('what a proxy dials for a realm nobody checked, and is told so', async () => {
    const proxy = await startProxy();
    const { origin, certs, options } = await scene();
    const env = { HTTPS_PROXY: `proxy.test:${proxy.port}` };
    const dispatcher = closing(registryAgent({ env, certs: [certs], lookup }));
    const told: string[] = [];
    const onStep: NonNullable<RegistryFetchOptions['onStep']> = (step) => {
      if (!('effect' in step) || step.effect.type !== 'send' || !('address' in step.answer)) return;
      told.push(`${new URL(step.effect.url).hostname} ${step.answer.address}`);
    };
    // Without the pair, and without the credential that needs it.
    const response = await createRegistryFetch({ dispatcher, onStep })(origin + TAGS);
    expect([response.status, told]).toEqual([200, ['auth.test unchecked']]);
    told.splice(0);
    expect((await createRegistryFetch({ ...options, dispatcher, onStep })(origin + TAGS)).status).toBe(200);
    expect(told).toEqual([]);
  });

  test('a proxy over https has its own certificate, and the tunnel the registry’s within it', async () => {
    const proxy = await startProxy({ tls: mine.server({ names: ['proxy.test'] }) });
    const { origin, certs, options, secrets } = await scene();
    const env = { https_proxy: `https://pro:xy@proxy.test:${proxy.port}` };
    const strict = closing(registryAgent({ env, certs: [certs], lookup }));
    const { failure } = await rejected(
      createRegistryFetch({ ...options, dispatcher: strict })(origin + TAGS),
    );
    expect(failure).toMatchObject({ kind: 'network', phase: 'connect', code: 'ERR_PROXY_TUNNEL' });
    expect(proxy.asked).toEqual([]);

    const more = await foldersOf({ [`proxy.test:${proxy.port}`]: { 'ca.crt': mine.ca } });
    const dispatcher = closing(registryAgent({ env, certs: [certs, more], lookup }));
    expect((await createRegistryFetch({ ...options, dispatcher })(origin + TAGS)).status).toBe(200);
    expect(proxy.asked).toHaveLength(2);
    for (const secret of secrets) expect(proxy.bytes()).not.toContain(secret);
  });

  test('a proxy over https at an address, and one connection for what it is handed', async () => {
    const proxy = await startProxy({ tls: mine.server() });
    // This machine is never behind a proxy, but may be one.
    const at = `127.0.0.1:${proxy.port}`;
    const certs = await foldersOf({ [at]: { 'ca.crt': mine.ca } });
    const dispatcher = closing(
      registryAgent({ env: { http_proxy: `https://${at}` }, certs: [certs], lookup }),
    );
    for (const host of ['a.test', 'b.test', 'a.test']) {
      const { body } = await request(`http://${host}/`, { dispatcher });
      expect(await body.text()).toBe(BY_PROXY);
      // undici lends a connection again a turn after its response has ended.
      await turn();
    }
    expect(proxy.asked).toEqual(['GET http://a.test/', 'GET http://b.test/', 'GET http://a.test/']);
    expect(proxy.connections()).toBe(1);
  });

  test('the certificate of a host is verified through a proxy as well (CVE-2022-32210)', async () => {
    const proxy = await startProxy();
    const wrong = await serveTls(mine.server({ names: ['other.test'] }));
    const host = `registry.test:${wrong.port}`;
    const certs = await foldersOf({ [host]: { 'ca.crt': mine.ca } });
    const env = { https_proxy: `http://proxy.test:${proxy.port}` };
    const dispatcher = closing(registryAgent({ env, certs: [certs], lookup }));
    const { failure } = await rejected(createRegistryFetch({ dispatcher })(`https://${host}${TAGS}`));
    expect(failure).toMatchObject({ phase: 'tls', code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(wrong.paths).toEqual([]);
    const lax = closing(registryAgent({ env, certs: [certs], lookup, unverifiedHosts: [host] }));
    expect((await request(`https://${host}/`, { dispatcher: lax })).statusCode).toBe(200);
  });

  test.each([
    [
      '407',
      'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n',
      'it answered 407 to CONNECT',
    ],
    ['503', 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n', 'it answered 503 to CONNECT'],
    ['nothing', '', 'no tunnel through'],
    ['nonsense', 'SSH-2.0-OpenSSH_9\r\n\r\n', 'no tunnel through'],
  ])('a proxy that answers %s to CONNECT is named, and nothing waits', async (_, refusal, words) => {
    const proxy = await startProxy({ refusal });
    const env = { https_proxy: `http://us:hunter2@proxy.test:${proxy.port}` };
    const dispatcher = closing(registryAgent({ env, certs: [], lookup }));
    const { failure, message } = await rejected(
      createRegistryFetch({ dispatcher })('https://registry.test/v2/'),
    );
    expect(failure).toMatchObject({ kind: 'network', phase: 'connect', code: 'ERR_PROXY_TUNNEL' });
    expect(message).toContain(words);
    expect(message).toContain(`http://proxy.test:${proxy.port} (https_proxy)`);
    expect(message).not.toContain('hunter2');
  });

  test('a proxy that is not there is named', async () => {
    const { port } = await startProxy();
    const env = { https_proxy: 'http://127.0.0.1:1' };
    const dispatcher = closing(registryAgent({ env, certs: [], lookup }));
    const { message } = await rejected(
      createRegistryFetch({ dispatcher })(`https://registry.test:${port}/v2/`),
    );
    expect(message).toContain('no tunnel through http://127.0.0.1:1 (https_proxy): connect ECONNREFUSED');
  });

  test('a variable that names no proxy is a fault of the caller’s, and nothing is sent', async () => {
    const dispatcher = closing(registryAgent({ env: { https_proxy: 'socks5://us:hunter2@x' }, certs: [] }));
    const { failure } = await rejected(createRegistryFetch({ dispatcher })('https://registry.test/v2/'));
    expect(failure).toMatchObject({ kind: 'network', phase: 'connect', code: 'ERR_REG_PROXY' });
    expect(explain(failure)).toBe(
      'Nothing was sent to https://registry.test/v2/ (ERR_REG_PROXY: "https_proxy names a proxy that is neither http nor https").',
    );
  });

  test('no_proxy and this machine are reached without', async () => {
    const proxy = await startProxy();
    const registry = await serveTls(mine.server());
    const certs = await foldersOf({ [registry.host]: { 'ca.crt': mine.ca } });
    const env = { https_proxy: `http://proxy.test:${proxy.port}` };
    const dispatcher = closing(registryAgent({ env, certs: [certs], lookup }));
    expect((await request(registry.url, { dispatcher })).statusCode).toBe(200);
    const excepting = closing(registryAgent({ env: { ...env, no_proxy: '.test' }, certs: [], lookup }));
    await expect(request('https://registry.test', { dispatcher: excepting })).rejects.toThrow(
      'registry.test was looked up',
    );
    expect(proxy.asked).toEqual([]);
  });
});

describe('plain http, which a proxy reads', () => {
  async function behind(
    auth = '',
  ): Promise<{ proxy: Awaited<ReturnType<typeof startProxy>>; dispatcher: Dispatcher }> {
    const proxy = await startProxy();
    const env = { http_proxy: `http://${auth}proxy.test:${proxy.port}` };
    return { proxy, dispatcher: closing(registryAgent({ env, certs: [], lookup })) };
  }

  test('what holds no secret is handed over, with the proxy’s own credentials', async () => {
    const { proxy, dispatcher } = await behind('pro:xy@');
    const response = await createRegistryFetch({ dispatcher })(
      'http://registry.test:5000/v2/a/tags/list?n=1',
    );
    expect([response.status, await response.text()]).toEqual([200, BY_PROXY]);
    expect(proxy.asked).toEqual(['GET http://registry.test:5000/v2/a/tags/list?n=1']);
    expect(proxy.authorizations).toEqual([`Basic ${Buffer.from('pro:xy').toString('base64')}`]);
    expect(proxy.bytes()).toContain('\r\nhost: registry.test:5000\r\n');
    const { body } = await request('http://registry.test/x', {
      dispatcher,
      query: { a: 'b' },
      method: 'PATCH',
      headers: new Map([['If-Match', 'x']]),
      body: 'layer',
    });
    await body.text();
    expect(proxy.asked[1]).toBe('PATCH http://registry.test/x?a=b');
    expect(proxy.bytes()).toContain('layer');
  });

  test('a credential, or what may be one, is not sent: the error names the field and the cure', async () => {
    const { proxy, dispatcher } = await behind();
    const password = canary('password');
    const registry = 'http://registry.test:5000';
    const fetch = createRegistryFetch({
      keychain: staticKeychain({ 'registry.test:5000': { type: 'password', username: 'alice', password } }),
      policy: { insecureHosts: ['registry.test:5000'] },
      dispatcher,
    });
    const { failure } = await rejected(
      fetch(registry + TAGS, { headers: { Authorization: `Basic ${btoa(`alice:${password}`)}` } }),
    );
    expect(failure).toMatchObject({ kind: 'network', code: 'ERR_REG_PROXY', phase: 'connect' });
    expect(explain(failure)).toContain(
      `http_proxy names a proxy that would read authorization of a request to ${registry}, plain http: no_proxy may name registry.test:5000`,
    );
    for (const headers of [
      { 'X-Api-Key': password },
      { Cookie: password },
      { 'Content-Type': 'application/x-www-form-urlencoded' },
    ]) {
      const sent = request(registry, { dispatcher, method: 'POST', headers, body: `password=${password}` });
      await expect(sent).rejects.toMatchObject({ code: 'ERR_REG_PROXY' });
    }
    expect(proxy.bytes()).toBe('');
  });

  test.each(['.evil.test/', '@evil.test/', 'http://evil.test/', ''])(
    'a path that would make another host of it is refused: %j',
    async (path) => {
      const { proxy, dispatcher } = await behind();
      const sent = dispatcher.request({ origin: 'http://registry.test', path, method: 'GET' });
      await expect(sent).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' });
      const odd = dispatcher.request({
        origin: 'http://r.test',
        path: '/',
        method: 'GET',
        headers: ['accept'],
      });
      await expect(odd).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' });
      expect(proxy.asked).toEqual([]);
    },
  );

  test('a challenge of a plain registry is not answered through a proxy', async () => {
    const password = canary('password');
    const sent: string[] = [];
    const proxy = createServer(({ headers }, response) => {
      sent.push(JSON.stringify(headers));
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    // A listening TCP server has an address of this kind.
    const env = { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    const fetch = createRegistryFetch({
      keychain: staticKeychain({ 'registry.test:5000': { type: 'password', username: 'alice', password } }),
      policy: { insecureHosts: ['registry.test:5000'] },
      dispatcher: closing(registryAgent({ env, certs: [] })),
    });
    expect((await rejected(fetch(`http://registry.test:5000${TAGS}`))).failure).toMatchObject({
      code: 'ERR_REG_PROXY',
    });
    expect(sent).toHaveLength(1);
    expect(sent.join()).not.toContain('authorization');
  });

  test('no_proxy lets it go there by itself, with its credential', async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.end('text');
    });
    const { port } = new URL(url);
    const env = { http_proxy: 'http://proxy.test:1', no_proxy: `registry.test:${port}` };
    const local: LookupFunction = (_hostname, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    const dispatcher = closing(registryAgent({ env, certs: [], lookup: local }));
    await request(`http://registry.test:${port}`, { dispatcher, headers: { authorization: 'Basic x' } });
    expect(seen).toEqual(['Basic x']);
  });
});
