/** TLS as the command line and the folders of Docker and Podman have it, with servers that note whom they saw. */

import { join } from 'node:path';
import { allow, canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
// By path: only tests sign certificates of their own.
import { authority, foldersOf, type Signed, serveTls } from '../../../packages/node/test/certificates.ts';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { run } from './run.ts';

const mine = authority();
const other = authority('Another authority');

type Files = Readonly<Record<string, string>>;

/** A home with a folder of certificates for a host. */
async function homeWith(host: string, files: Files): Promise<{ readonly HOME: string }> {
  return { HOME: await foldersOf({ [join('.docker', 'certs.d', host)]: files }) };
}

async function filesOf(files: Files): Promise<(name: string) => string> {
  const root = await foldersOf({ files });
  return (name) => join(root, 'files', name);
}

const asFiles = ({ cert, key }: Signed): Files => ({ 'client.cert': cert, 'client.key': key });

describe('the folder of a host', () => {
  test('has the authority that is trusted for it, beside the known ones', async () => {
    const { host, url } = await serveTls(mine.server());
    const env = await homeWith(host, { 'ca.crt': mine.ca });
    expect(await run(['ping', url], { env })).toMatchObject({ code: 0, stderr: '' });
    expect(await run(['ping', url])).toMatchObject({ code: 6 });
  });

  test('is not for another port of that host', async () => {
    const [one, two] = [await serveTls(mine.server()), await serveTls(mine.server())];
    const env = await homeWith(one.host, { 'ca.crt': mine.ca });
    expect(await run(['ping', two.url], { env })).toMatchObject({
      code: 6,
      stdout: expect.stringMatching('unreachable'),
    });
  });

  test('has the client certificate that is shown', async () => {
    const server = await serveTls({ ...mine.server(), requestCert: true, ca: other.ca });
    const env = await homeWith(server.host, { 'ca.crt': mine.ca, ...asFiles(other.client('alice')) });
    expect(await run(['ping', server.url], { env })).toMatchObject({ code: 0 });
    expect(server.presented).toEqual(['alice']);
  });

  test.each<[string, Files, RegExp]>([
    [
      'a certificate without its key',
      { 'client.cert': other.client('a').cert },
      /client\.cert: has no key beside it/,
    ],
    ['no certificate in ca.crt', { 'ca.crt': 'text' }, /ca\.crt: holds no certificate in PEM/],
  ])('with %s is an error that names the file, but not with --ca-file', async (_, files, message) => {
    const { host, url } = await serveTls(mine.server());
    const env = await homeWith(host, files);
    const ran = await run(['ping', url], { env });
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringMatching(message) });
    expect(ran.stderr).toContain('ERR_REG_CERTS');
    const at = await filesOf({ 'ca.pem': mine.ca });
    expect(await run(['ping', url, '--ca-file', at('ca.pem')], { env })).toMatchObject({ code: 0 });
  });
});

describe('--cert and --key', () => {
  test('are shown in place of what the folder has', async () => {
    const server = await serveTls({ ...mine.server(), requestCert: true, ca: other.ca });
    const env = await homeWith(server.host, { 'ca.crt': mine.ca, ...asFiles(other.client('folder')) });
    const at = await filesOf(asFiles(other.client('command line')));
    const args = ['ping', server.url, '--cert', at('client.cert'), '--key', at('client.key')];
    expect(await run(args, { env })).toMatchObject({ code: 0 });
    expect(server.presented).toEqual(['command line']);
  });

  test('are for the registry alone, and not for its token server (GHSA-whvf-jp7m-59f3)', async () => {
    const [password, token] = [canary('password'), canary('token')];
    const asking = { ...mine.server(), requestCert: true, ca: other.ca };
    const tokens = await serveTls({ ...asking, rejectUnauthorized: false }, (_, response) =>
      response.end(JSON.stringify({ token })),
    );
    const registry = await serveTls(asking, ({ headers }, response) => {
      if (headers.authorization === `Bearer ${token}`) return response.end('{"name":"a","tags":["1"]}');
      return response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${tokens.url}/token"` }).end();
    });
    const at = await filesOf({ 'ca.pem': mine.ca, ...asFiles(other.client('alice')) });
    const connection = ['--ca-file', at('ca.pem'), '--cert', at('client.cert'), '--key', at('client.key')];
    const args = ['trace', `${registry.url}/v2/a/tags/list`, '-u', 'alice', '--trust-realm', tokens.url];
    const ran = await run([...args, ...connection], { env: { REG_PASSWORD: password } });
    expect(ran.code).toBe(0);
    expect(registry.presented).toEqual(['alice', 'alice']);
    expect(tokens.presented).toEqual([null]);
  });
});

describe('-k', () => {
  async function scene() {
    const [password, token] = [canary('password'), canary('token')];
    const tokens = await serveTls(other.server(), (_, response) => response.end(JSON.stringify({ token })));
    const registry = await serveTls(mine.server(), ({ headers }, response) => {
      if (headers.authorization === `Bearer ${token}`) return response.end('{"name":"a","tags":["1"]}');
      return response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${tokens.url}/token"` }).end();
    });
    const args = ['trace', `${registry.url}/v2/a/tags/list`, '-k', '-u', 'alice'];
    return { registry, tokens, args, env: { REG_PASSWORD: password } };
  }

  test('is for the registry and the token servers that were named', async () => {
    const { args, tokens, env } = await scene();
    expect(await run([...args, '--trust-realm', tokens.url], { env })).toMatchObject({ code: 0 });
  });

  test('and for no other: a password does not go to whoever is on the way', async () => {
    const { args, registry, tokens, env } = await scene();
    const HOME = await foldersOf({
      [join('.config', 'reg')]: {
        'trust.json': JSON.stringify({ version: 1, pairs: [{ registry: registry.url, realm: tokens.url }] }),
      },
    });
    const ran = await run(args, { env: { ...env, HOME } });
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('the token server') });
    expect([registry.paths.length, tokens.paths]).toEqual([1, []]);
  });
});

test('a name is sent as SNI and checked, an address is not sent', async () => {
  const names: (string | false | null)[] = [];
  const server = await serveTls(mine.server({ names: ['registry.test', '127.0.0.1'] }));
  server.server.on('secureConnection', ({ servername }: { readonly servername: string | false | null }) => {
    names.push(servername);
  });
  const at = await filesOf({ 'ca.pem': mine.ca });
  const ca = ['--ca-file', at('ca.pem')];
  const resolve = (name: string) => ['--resolve', `${name}:${server.port}:127.0.0.1`];
  expect(
    await run(['ping', `registry.test:${server.port}`, ...resolve('registry.test'), ...ca]),
  ).toMatchObject({ code: 0 });
  const wrong = await run(['ping', `another.test:${server.port}`, ...resolve('another.test'), ...ca]);
  expect(wrong).toMatchObject({ code: 6, stderr: expect.stringMatching(/ERR_TLS_CERT_ALTNAME_INVALID/) });
  await run(['ping', server.url, ...ca]);
  expect(names).toEqual(['registry.test', false]);
});

const missing = isMissing('docker-registry', 'htpasswd');

describe.skipIf(missing)('docker-registry with TLS', () => {
  test('and htpasswd, under an authority in certs.d', async () => {
    const password = canary('password');
    const { cert, key } = mine.server();
    const registry = await startDistribution({ htpasswd: { alice: password } }, { cert, key, ca: mine.ca });
    allow(password, registry.url);
    const env = { ...(await homeWith(registry.host, { 'ca.crt': mine.ca })), REG_PASSWORD: password };
    expect(await run(['ping', registry.url], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ {2}401 basic {2}\d+ ms\n$/),
    });
    const ran = await run(['trace', `${registry.url}/v2/`, '-u', 'alice'], { env });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/tls \d/);
    expect(await registry.answered()).toEqual(['GET /v2/ 401', 'GET /v2/ 401', 'GET /v2/ 200']);
  });

  test('that wants a client certificate', async () => {
    const { cert, key } = mine.server();
    const registry = await startDistribution(null, { cert, key, ca: mine.ca, clients: other.ca });
    const at = await filesOf({ 'ca.pem': mine.ca, ...asFiles(other.client('alice')) });
    const ca = ['--ca-file', at('ca.pem')];
    const shown = ['--cert', at('client.cert'), '--key', at('client.key')];
    expect(await run(['ping', registry.url, ...ca, ...shown])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ {2}200 {2}\d+ ms\n$/),
    });
    const refused = await run(['ping', registry.url, ...ca]);
    expect(refused).toMatchObject({ code: 6, stderr: expect.stringMatching(/No answer from https:/) });
  });
});
