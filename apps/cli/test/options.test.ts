/** What the options of every command that talks to a registry take, and what they say to what they do not. */

import { createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { allow, canary } from '@reg/testing';
import { afterAll, describe, expect, test } from 'vitest';
// By path: only tests sign certificates of their own.
import { authority } from '../../../packages/node/test/certificates.ts';
import { givenCredential } from '../src/registry/given.ts';
import { hintIn, registryFor, run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'reg-options-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this in it. */
function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const mine = authority();
const { cert, key } = mine.client('alice');
const [certFile, keyFile, caFile] = [file('a.cert', cert), file('a.key', key), file('ca.pem', mine.ca)];
const otherKey = file('b.key', mine.client('bob').key);
const torn = file('torn.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
const tornKey = file('torn.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hush' } as const;
const locked = file('locked.key', createPrivateKey(key).export(encrypted));
const text = file('text', 'text');
const large = file('large', Buffer.alloc(5_000_000));
const none = join(folder, 'none');
const withBreak = join(folder, 'a\n\u001b[31mb');
const loop = join(folder, 'loop');
symlinkSync(loop, loop);

describe('what no option takes is a complaint about it, with a hint and no stack', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--ca-file', none], /--ca-file: .* does not exist/],
    [['--ca-file', folder], /--ca-file: .* cannot be read \(EISDIR\)/],
    [['--ca-file', ''], /--ca-file names no file/],
    [['--ca-file', text], /--ca-file: .* holds no certificate in PEM/],
    [['--ca-file', torn], /--ca-file holds a certificate that cannot be read/],
    [['--ca-file', large], /larger than 4 MiB/],
    [['--ca-file', loop], /\(ELOOP\)/],
    [['--ca-file', withBreak], /--ca-file: .*a\\n\\u\{1b\}\[31mb does not exist/],
    [['--ca-file', 'a\u0000b'], /--ca-file: /],
    [['--cert', certFile], /--cert needs its key/],
    [['--key', keyFile], /--key needs its certificate/],
    [['--cert', none, '--key', keyFile], /--cert: .* does not exist/],
    [['--cert', certFile, '--key', otherKey], /--key is not the key of --cert/],
    [['--cert', keyFile, '--key', certFile], /--cert: .* holds no certificate in PEM/],
    [['--cert', torn, '--key', keyFile], /--cert holds a certificate that cannot be read/],
    [['--cert', certFile, '--key', tornKey], /--key holds a private key that cannot be read/],
    [['--cert', certFile, '--key', locked], /--key is locked by a passphrase/],
    [['--resolve', 'r.example'], /--resolve takes a host name, a port and an address/],
    [['--resolve', 'r.example:443'], /--resolve takes/],
    [['--resolve', 'r.example:443:host'], /--resolve takes/],
    [['--resolve', 'r.example:0:10.0.0.1'], /--resolve takes/],
    [['--resolve', 'r.example:70000:10.0.0.1'], /--resolve takes/],
    [['--resolve', '10.0.0.2:443:10.0.0.1'], /--resolve takes/],
    [['--resolve', '[::1]:443:10.0.0.1'], /--resolve takes/],
    [['--resolve', 'u@r.example:443:10.0.0.1'], /--resolve takes/],
    [['--resolve', `${'r'.repeat(300)}:443:10.0.0.1`], /--resolve takes/],
    [['--timeout', '0'], /--timeout takes seconds, more than 0/],
    [['--timeout', '-1'], /--timeout takes/],
    [['--timeout', '1e3'], /--timeout takes/],
    [['--timeout', 'Infinity'], /--timeout takes/],
    [['--timeout', '0x10'], /--timeout takes/],
    [['--timeout', ' 1'], /--timeout takes/],
    [['--timeout', '86401'], /--timeout takes/],
    [['--timeout', '9'.repeat(500_000)], /--timeout takes/],
    [['--retries', '-1'], /--retries takes a whole number from 0 to 100/],
    [['--retries', '1.5'], /--retries takes/],
    [['--retries', '101'], /--retries takes/],
    [['--retries', ''], /--retries takes/],
    [['--trust-realm', 'auth.example'], /--trust-realm takes the origin of a token server/],
    [['--trust-realm', 'https://a.example/token'], /--trust-realm takes/],
    [['--trust-realm', 'ftp://a.example'], /--trust-realm takes/],
    [['--config', none], /--config: .* does not exist/],
    [['--config', text], /--config: .* is no folder/],
    [['--authfile', none], /--authfile: .* does not exist/],
    [['--authfile', folder], /--authfile: .* is no file/],
    [['--authfile', ''], /--authfile names no file/],
    [['--authfile', text, '--config', folder], /cannot be used with/],
    [['--password-stdin'], /a password on stdin needs a user name/],
    [['--password-file', text], /--password-file needs a user name/],
    [['-u', ''], /-u names no user/],
    [['-u', 'a:b'], /a user name has no colon in it/],
    [['-u', 'alice'], /-u needs a password/],
    [['-u', 'alice', '--password-file', none], /--password-file: .* does not exist/],
    [['-u', 'alice', '--password-file', folder], /--password-file: .* cannot be read \(EISDIR\)/],
    [['-u', 'alice', '--password-file', ''], /--password-file names no file/],
    [['-u', 'alice', '--password-file', large], /too long for a password/],
    [['-u', 'alice', '--password-file', file('empty', '\n')], /is empty/],
    [['-u', 'alice', '--password-file', file('latin1', Buffer.from([0xe4, 0x0a]))], /is not UTF-8/],
    [['-u', 'alice', '--password-file', text, '--password-stdin'], /cannot be used with/],
    [['-u', 'alice', '--password-file', text, '--anonymous'], /cannot be used with/],
  ];

  test.each(cases)('%j', async (args, message) => {
    const { host, requests } = await registryFor({ auth: 'none' });
    const ran = await run(['tags', `${host}/a`, ...args]);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    expect(ran.stderr).not.toMatch(/\n\s+at /);
    expect(ran.stderr).not.toContain('\u001b');
    expect(ran.stderr.length).toBeLessThan(3_000);
    expect(hintIn(ran)).toMatch(/^reg /);
    expect(requests).toEqual([]);
  });

  test('a realm that may hold a password is not repeated', async () => {
    const { stderr } = await run(['tags', 'r.example/a', '--trust-realm', 'https://me:hush@a.example']);
    expect(stderr).toContain('not what was given');
    expect(stderr).not.toContain('hush');
  });
});

describe('a password', () => {
  const password = canary('password');

  async function withPassword(args: readonly string[], more: Parameters<typeof run>[1] = {}) {
    const { host, url } = await registryFor({
      auth: 'basic',
      users: { alice: password },
      repositories: { a: { tags: ['1'] } },
    });
    allow(password, url);
    return run(['tags', `${host}/a`, '-u', 'alice', ...args], more);
  }

  test.each(['', '\n', '\r\n'])('in a file is used without the line end %j', async (end) => {
    const path = file('password', password + end);
    expect(await withPassword(['--password-file', path])).toEqual({ code: 0, stdout: '1\n', stderr: '' });
  });

  test('of spaces alone is one', async () => {
    const ran = await withPassword(['--password-file', file('spaces', '  ')]);
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('refused the credential') });
  });

  test.each([
    ['hush', { username: 'alice', password: 'hush', source: '-u and the terminal' }],
    ['', 'no password was typed'],
  ])('is asked for on a terminal: %j', async (typed, expected) => {
    const raw: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (on: boolean) => raw.push(on),
    });
    let asked = '';
    const output = {
      isTTY: true,
      write: (text: string) => {
        asked += text;
      },
    };
    const { signal } = new AbortController();
    const surroundings = { stdin, stdout: output, stderr: output, env: {}, signal };
    stdin.write(`${typed}\r`);
    const given = await givenCredential({ username: 'alice' }, surroundings, 'reg tags r/a').catch(
      (error: Error) => error.message,
    );
    expect(given).toEqual(expected);
    expect(asked).toContain('password of alice:');
    expect(asked).not.toContain('hush');
    expect(raw).toEqual([true, false]);
  });

  test('with --no-input is not asked for', async () => {
    const ran = await withPassword(['--no-input'], { stdin: 'terminal', terminal: 80 });
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('-u needs a password') });
  });
});

describe('where credentials are', () => {
  const password = canary('password');
  const config = (host: string, user = 'alice') =>
    JSON.stringify({ auths: { [host]: { auth: Buffer.from(`${user}:${password}`).toString('base64') } } });

  async function scene() {
    const registry = await registryFor({
      auth: 'basic',
      users: { alice: password },
      repositories: { a: { tags: ['1'] } },
    });
    allow(password, registry.url);
    return { tags: ['tags', `${registry.host}/a`], host: registry.host };
  }

  test('--authfile names the file, and no other is looked into', async () => {
    const { tags, host } = await scene();
    const env = { DOCKER_AUTH_CONFIG: config(host) };
    expect(await run(tags, { env })).toMatchObject({ code: 0 });
    expect(await run([...tags, '--authfile', file('right.json', config(host))])).toMatchObject({ code: 0 });
    const ran = await run([...tags, '--authfile', file('other.json', config('other.example'))], { env });
    expect(ran).toMatchObject({ code: 4 });
    expect(hintIn(ran)).toContain('--authfile');
  });

  test('--config names the folder, before what the environment names', async () => {
    const { tags, host } = await scene();
    const at = join(folder, 'config');
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, 'config.json'), config(host), { mode: 0o600 });
    const env = {
      DOCKER_AUTH_CONFIG: config(host, 'mallory'),
      REGISTRY_AUTH_FILE: file('other.json', config('other.example')),
      DOCKER_CONFIG: '/nowhere',
    };
    expect(await run([...tags, '--config', at], { env })).toMatchObject({ code: 0, stdout: '1\n' });
  });

  test('a file that is no config is told as such, and exits with 8', async () => {
    const { tags } = await scene();
    const ran = await run([...tags, '--authfile', text]);
    expect(ran).toMatchObject({ code: 8, stderr: expect.stringContaining(text) });
  });
});

describe('a trust file', () => {
  const password = canary('password');

  async function scene(content: (pair: { readonly registry: string; readonly realm: string }) => string) {
    const registry = await registryFor({
      auth: 'bearer',
      users: { alice: password },
      repositories: { a: { tags: ['1'], access: { alice: ['pull'] } } },
    });
    const home = mkdtempSync(join(folder, 'home-'));
    mkdirSync(join(home, '.config', 'reg'), { recursive: true });
    writeFileSync(join(home, '.config', 'reg', 'trust.json'), content(registry.pair));
    const env = { HOME: home, REG_PASSWORD: password };
    return { ran: await run(['tags', `${registry.host}/a`, '-u', 'alice'], { env }), registry };
  }

  test('says where a credential may go', async () => {
    const { ran } = await scene((pair) => JSON.stringify({ version: 1, pairs: [pair] }));
    expect(ran).toEqual({ code: 0, stdout: '1\n', stderr: '' });
  });

  test.each(['', '{"version":1}', '{"version":2,"pairs":[]}', '[', '\u0000'])(
    'that holds %j is an error that names it, and nothing is sent',
    async (content) => {
      const { ran, registry } = await scene(() => content);
      expect(ran).toMatchObject({ code: 8, stdout: '', stderr: expect.stringContaining('trust.json') });
      expect(hintIn(ran)).toMatch(/^reg trust list {3}#/);
      expect(registry.requests).toEqual([]);
    },
  );
});

describe('--timeout and --retries', () => {
  test('a registry that says nothing is given up after --timeout', async () => {
    const { host, faults } = await registryFor({ auth: 'none' });
    faults.add({ kind: 'stall', at: 'before-head' });
    const ran = await run(['tags', `${host}/a`, '--timeout', '0.1']);
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('no progress for 0.1 s') });
  });

  test.each([
    ['0', 1],
    ['2', 3],
  ])('--retries %s makes %i token requests of a token server that is down', async (retries, requests) => {
    const password = canary('password');
    const { host, pair, faults, count } = await registryFor({ auth: 'bearer', users: { alice: password } });
    faults.add({ kind: 'status', status: 503, server: 'token', times: 9 });
    const args = ['tags', `${host}/a`, '-u', 'alice', '--trust-realm', pair.realm, '--retries', retries];
    expect(await run(args, { env: { REG_PASSWORD: password } })).toMatchObject({ code: 6 });
    expect(count({ server: 'token' })).toBe(requests);
  });
});

test('a certificate and its key are taken', async () => {
  const { host } = await registryFor({ auth: 'none', repositories: { a: { tags: ['1'] } } });
  const args = ['tags', `${host}/a`, '--cert', certFile, '--key', keyFile, '--ca-file', caFile];
  expect(await run(args)).toEqual({ code: 0, stdout: '1\n', stderr: '' });
});

test('a hint repeats how to connect and where credentials are, and nothing that is secret', async () => {
  const { host } = await registryFor({ auth: 'basic', users: {} });
  const name = `${host}/a`;
  const at = file("it's.json", '{}');
  const args = [
    '--authfile',
    at,
    '--ca-file',
    caFile,
    '--resolve',
    'r.example:443:10.0.0.1',
    '--timeout',
    '9',
  ];
  const ran = await run(['tags', name, ...args]);
  expect(ran.code).toBe(4);
  const quoted = `'${at.replace("'", "'\\''")}'`;
  expect(hintIn(ran)).toBe(
    `reg login ${host} --ca-file ${caFile} --authfile ${quoted} --resolve r.example:443:10.0.0.1`,
  );
});
