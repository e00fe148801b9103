/** Behind proxies: what each party is sent, read at its socket. */

import { createServer } from 'node:net';
import { join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
// By path: only tests sign certificates of their own.
import { authority, foldersOf, serveTls } from '../../../packages/node/test/certificates.ts';
import { startProxy } from '../../../packages/node/test/proxies.ts';
import { openTransport } from '../src/transport/send.ts';
import { hintIn, registryFor, run } from './run.ts';

const mine = authority();

/** The authority's certificate, in a file. */
async function caFile(): Promise<string> {
  return join(await foldersOf({ a: { 'ca.pem': mine.ca } }), 'a', 'ca.pem');
}

/** A registry and its token server under names that only a proxy knows. */
async function scene() {
  const names = ['registry.test', 'auth.test'];
  const [password, token] = [canary('password'), canary('token')];
  const tokens = await serveTls(mine.server({ names }), (_, response) =>
    response.end(JSON.stringify({ token, expires_in: 300 })),
  );
  const realm = `https://auth.test:${tokens.port}`;
  const registry = await serveTls(mine.server({ names }), ({ headers }, response) => {
    if (headers.authorization === `Bearer ${token}`) return response.end('{"name":"a","tags":["1"]}');
    response.setHeader('WWW-Authenticate', `Bearer realm="${realm}/token",service="s"`);
    return response.writeHead(401).end();
  });
  const host = `registry.test:${registry.port}`;
  const args = [
    'tags',
    `${host}/team/app`,
    '--ca-file',
    await caFile(),
    '--trust-realm',
    realm,
    '-u',
    'alice',
  ];
  const login = Buffer.from(`alice:${password}`).toString('base64');
  return { registry, tokens, host, realm, args, password, token, login };
}

describe('https', () => {
  test('a proxy sees host and port and its own credentials, and nothing of the registry’s (requirement 8)', async () => {
    const proxy = await startProxy();
    const { registry, tokens, host, realm, args, password, token, login } = await scene();
    const https_proxy = `http://pro%40xy:pass@127.0.0.1:${proxy.port}`;
    const ran = await run(args, { env: { https_proxy, REG_PASSWORD: password } });
    expect(ran).toMatchObject({ code: 0, stdout: '1\n', stderr: '' });
    expect(proxy.asked).toEqual([`CONNECT ${host}`, `CONNECT ${new URL(realm).host}`]);
    const own = `Basic ${Buffer.from('pro@xy:pass').toString('base64')}`;
    expect(proxy.authorizations).toEqual([own, own]);
    expect(registry.authorized).toEqual([undefined, `Bearer ${token}`]);
    expect(tokens.authorized).toEqual([`Basic ${login}`]);
    for (const secret of [password, token, login]) expect(proxy.bytes()).not.toContain(secret);
  });

  test('also a proxy that speaks TLS itself', async () => {
    const proxy = await startProxy({ tls: mine.server() });
    const { args, password } = await scene();
    const env = { HTTPS_PROXY: `https://127.0.0.1:${proxy.port}`, REG_PASSWORD: password };
    expect(await run(args, { env })).toMatchObject({ code: 0, stdout: '1\n' });
    expect(proxy.asked).toHaveLength(2);
  });

  test('nobody here looked at the address of a host that a peer named, and the trace says so', async () => {
    const proxy = await startProxy();
    const { args, host, password } = await scene();
    const [, , ...options] = args;
    const env = { https_proxy: `127.0.0.1:${proxy.port}`, REG_PASSWORD: password };
    // Without the pair the realm is a stranger's, asked anonymously.
    const anonymous = [...options.slice(0, 2), '--anonymous'];
    const { stdout } = await run(
      ['trace', `https://${host}/v2/team/app/tags/list`, '-o', 'json', ...anonymous],
      { env },
    );
    expect(stdout).toContain('"address": "unchecked"');
  });

  test.each([
    ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', /it answered 407 to CONNECT registry\.test:/],
    ['HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad', /it answered 502 to CONNECT/],
    ['SSH-2.0-OpenSSH\r\n', /no tunnel through the proxy/],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, /no tunnel through the proxy/],
  ])('a proxy that answers %j is named, without its password', async (refusal, message) => {
    const proxy = await startProxy({ refusal });
    const { args, password } = await scene();
    const secret = canary('proxy password');
    const https_proxy = `http://me:${secret}@127.0.0.1:${proxy.port}`;
    const ran = await run(args, { env: { https_proxy, REG_PASSWORD: password } });
    expect(ran).toMatchObject({ code: 6, stdout: '', stderr: expect.stringMatching(message) });
    expect(ran.stderr).toContain(`http://127.0.0.1:${proxy.port} (https_proxy)`);
    expect(hintIn(ran)).toMatch(/^reg doctor registry\.test:/);
  });

  test('a proxy where nobody listens', async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const address = gone.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await new Promise((resolve) => gone.close(resolve));
    const { args, password } = await scene();
    const https_proxy = `http://me:${canary('proxy password')}@127.0.0.1:${port}`;
    const ran = await run(args, { env: { https_proxy, REG_PASSWORD: password } });
    expect(ran.code).toBe(6);
    expect(ran.stderr).toMatch(
      /the\s+proxy\s+http:\/\/127\.0\.0\.1:\d+ \(https_proxy\): connect ECONNREFUSED/,
    );
  });

  test('a proxy that makes no tunnel is not waited for', async () => {
    const proxy = await startProxy({ refusal: '' });
    const { args, password } = await scene();
    const env = { https_proxy: `http://127.0.0.1:${proxy.port}`, REG_PASSWORD: password };
    const ran = await run([...args, '--timeout', '0.2'], { env });
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringMatching(/no progress for 0\.2 s/) });
  });

  test('Ctrl-C ends the wait for a tunnel', async () => {
    const proxy = await startProxy({ refusal: '' });
    const { args, password } = await scene();
    const stop = new AbortController();
    const env = { https_proxy: `http://127.0.0.1:${proxy.port}`, REG_PASSWORD: password };
    const running = run(args, { env, signal: stop.signal });
    const asked = setInterval(() => proxy.asked.length > 0 && stop.abort(new Error('stop')), 5);
    onTestFinished(() => clearInterval(asked));
    expect((await running).code).not.toBe(0);
  });

  test('a certificate of an unknown authority behind a proxy is refused as without one', async () => {
    const proxy = await startProxy();
    const { host } = await scene();
    const env = { https_proxy: `http://127.0.0.1:${proxy.port}` };
    const ran = await run(['ping', host], { env });
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringMatching(/TLS/) });
  });

  test('a host with an address on the command line is dialled, whatever proxy there is', async () => {
    const proxy = await startProxy();
    const { host, registry } = await scene();
    const ran = await run(['ping', host, '--ca-file', await caFile(), '--resolve', `${host}:127.0.0.1`], {
      env: { https_proxy: `http://127.0.0.1:${proxy.port}` },
    });
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(`401 bearer auth.test:`) });
    expect([proxy.asked, registry.paths]).toEqual([[], ['/v2/']]);
  });

  test('NO_PROXY is heard', async () => {
    const proxy = await startProxy();
    const { host } = await scene();
    const env = { https_proxy: `http://127.0.0.1:${proxy.port}`, NO_PROXY: 'other.example, .test' };
    // Nobody but the proxy knows the name.
    expect(await run(['ping', host], { env })).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/registry\.test/),
    });
    expect(proxy.asked).toEqual([]);
  });
});

describe('plain http', () => {
  test('is handed to the proxy when it holds no secret', async () => {
    const proxy = await startProxy();
    const env = { http_proxy: `http://me:pass@127.0.0.1:${proxy.port}` };
    const ran = await run(['tags', 'registry.test/a', '--plain-http', '--anonymous'], { env });
    expect(ran).toMatchObject({ code: 0, stdout: 'by proxy\n' });
    expect(proxy.asked).toEqual(['GET http://registry.test/v2/a/tags/list']);
    expect(proxy.authorizations).toEqual([`Basic ${Buffer.from('me:pass').toString('base64')}`]);
  });

  test.each([
    [
      { headers: [['authorization', 'Bearer x']] },
      /would read authorization of a request to http:\/\/registry\.test/,
    ],
    [{ headers: [['x-token', 'x']] }, /would read x-token/],
    [
      { headers: [['content-type', 'application/x-www-form-urlencoded']], form: 'a=b', body: 'form' },
      /content-type/,
    ],
  ] as const)('and is not sent when it may: %j', async (more, message) => {
    const proxy = await startProxy();
    const { send, close } = openTransport({
      userAgent: 'reg/test',
      env: { http_proxy: `http://127.0.0.1:${proxy.port}` },
      tls: { env: {}, dirs: [], unverified: new Set() },
    });
    onTestFinished(close);
    const outgoing = {
      to: 'registry',
      method: 'GET',
      url: 'http://registry.test/v2/',
      body: 'none',
      form: null,
      request: null,
      redirect: 'manual',
      addresses: 'any',
      ...more,
    } as const;
    await expect(send(outgoing, new AbortController().signal)).rejects.toMatchObject({
      phase: 'connect',
      code: 'ERR_REG_PROXY',
      message: expect.stringMatching(message),
    });
    expect(proxy.asked).toEqual([]);
  });

  test('to this machine goes directly', async () => {
    const proxy = await startProxy();
    const { host, requests } = await registryFor({ auth: 'none' });
    const env = { http_proxy: `http://127.0.0.1:${proxy.port}`, HTTP_PROXY: 'x', ALL_PROXY: 'x' };
    expect(await run(['ping', host], { env })).toMatchObject({ code: 0 });
    expect([proxy.asked.length, requests.length]).toEqual([0, 1]);
  });
});

test.each([
  ['https_proxy', 'socks5://me:hush@127.0.0.1:1'],
  ['HTTPS_PROXY', 'http://me:hush@'],
  ['https_proxy', 'http://me:hush@[::1'],
])('%s=%s names no proxy, and its value is not shown', async (name, value) => {
  const ran = await run(['ping', 'registry.test'], { env: { [name]: value } });
  expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining(name) });
  expect(ran.stderr).not.toContain('hush');
});
