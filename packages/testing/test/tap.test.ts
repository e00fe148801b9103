import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { activate, createTap, type RegistryOptions, startRegistry, type Tap } from '../src/index.ts';
import { canariesIn } from '../src/tap.ts';
import { basic, parsed, send } from './wire.ts';

/** A tap of its own, so that what is planted here does not fail this file. */
function ownTap(): Tap {
  const tap = createTap();
  onTestFinished(activate(tap));
  return tap;
}

async function start(options: RegistryOptions) {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

describe('finds a canary', () => {
  const secret = createTap().mint('password');
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const everyCharacter = (spell: (code: string) => string) =>
    [...secret].map((char) => spell(char.charCodeAt(0).toString(16).padStart(2, '0'))).join('');

  test.each([
    ['plain', `x${secret}y`],
    ['as the first and only bytes', secret],
    ['base64, first alignment', base64(`abc${secret}`)],
    ['base64, second alignment', base64(`a${secret}`)],
    ['base64, third alignment', base64(`ab${secret}`)],
    ['base64, followed by more', base64(`user:${secret}:more and more`)],
    ['base64, first in the text', base64(secret)],
    ['base64url', Buffer.from(`{"jti":"${secret}"}`).toString('base64url')],
    ['base64 with its padding percent-encoded', encodeURIComponent(base64(`a${secret}`))],
    ['percent-encoded where needed', encodeURIComponent(`p=${secret}&`)],
    ['percent-encoded throughout', everyCharacter((code) => `%${code}`)],
    ['JSON with escapes throughout', everyCharacter((code) => `\\u00${code}`)],
  ])('%s', (_, text) => {
    expect([...canariesIn(text)]).toEqual([secret]);
  });

  test('of several, each', () => {
    const other = createTap().mint('token');
    expect(canariesIn(`${secret} ${base64(`ab${other}`)} ${secret}`)).toEqual(new Set([secret, other]));
  });

  test.each(['canary-', 'canary-xyz', secret.slice(0, -1), `${secret.slice(0, -1)}g`, 'Y2FuYXJ5L'])(
    'and not in %s',
    (text) => {
      expect(canariesIn(text).size).toBe(0);
    },
  );

  test('however the bytes are cut into chunks', () => {
    for (const text of [
      `GET /${secret} x`,
      base64(`user:${secret}`),
      everyCharacter((code) => `\\u00${code}`),
    ]) {
      for (let cut = 0; cut <= text.length; cut++) {
        const tap = createTap();
        const read = tap.reader('stdout');
        read(Buffer.from(text.slice(0, cut)));
        read(text.slice(cut));
        expect(tap.leaks()).toHaveLength(1);
      }
    }
  });
});

describe('verdict', () => {
  test('a canary is a leak wherever it was not allowed; a URL stands for its origin', () => {
    const tap = createTap();
    const secret = tap.mint('password');
    tap.allow(`Basic ${Buffer.from(`user:${secret}`).toString('base64')}`, 'https://auth.test/token');
    tap.reader('https://auth.test')(secret);
    expect(tap.leaks()).toEqual([]);
    tap.reader('https://auth.test:8443')(secret);
    tap.reader('stdout')(secret);
    tap.reader('stdout')(secret);
    expect(tap.leaks()).toEqual([
      { kind: 'password', place: 'https://auth.test:8443', allowed: ['https://auth.test'] },
      { kind: 'password', place: 'stdout', allowed: ['https://auth.test'] },
    ]);
  });

  test('it may be allowed at several places', () => {
    const tap = createTap();
    const secret = tap.mint('token');
    for (const place of ['https://a.test', 'https://b.test', 'stdout']) {
      tap.allow(secret, place);
      tap.reader(place)(secret);
    }
    expect(tap.leaks()).toEqual([]);
  });
});

describe.each([false, true])('on the servers of a registry, tls %s', (tls) => {
  const repositories = { 'a/b': { tags: ['1'] } };
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

  test('a password at its token server and a token at its registry are right', async () => {
    const tap = ownTap();
    const password = tap.mint('password');
    const registry = await start({ auth: 'bearer', users: { alice: password }, repositories, tls });
    const ca = registry.ca ?? '';
    const answer = await send(registry.tokenUrl, { ca, headers: basic('alice', password) });
    const { token } = parsed<{ token: string }>(answer);
    await send(`${registry.url}/v2/`, { ca, headers: bearer(token) });
    expect(tap.leaks()).toEqual([]);
  });

  test.each<
    [string, 'opaque' | 'jwt', (password: string, token: string) => Parameters<typeof send>[1], string]
  >([
    [
      'a password at the registry',
      'opaque',
      (password) => ({ headers: basic('alice', password) }),
      'password',
    ],
    ['a password in a body', 'opaque', (password) => ({ method: 'POST', body: `p=${password}` }), 'password'],
    ['a token of another registry', 'opaque', (_, token) => ({ headers: bearer(token) }), 'token'],
    ['a signed token of another registry', 'jwt', (_, token) => ({ headers: bearer(token) }), 'token'],
  ])('%s is a leak', async (_, format, sent, kind) => {
    const tap = ownTap();
    const password = tap.mint('password');
    const registry = await start({ auth: 'bearer', users: { alice: password }, repositories, tls });
    const other = await start({ auth: 'bearer', users: {}, tokens: { format }, tls });
    const request = sent(password, other.issueToken(null, ''));
    await send(`${registry.url}/v2/x/blobs/uploads/?digest=y`, { ca: registry.ca ?? '', ...request });
    expect(tap.leaks()).toMatchObject([{ kind, place: registry.url }]);
  });

  test('basic: the password belongs at the registry', async () => {
    const tap = ownTap();
    const password = tap.mint('password');
    const registry = await start({ auth: 'basic', users: { alice: password }, repositories, tls });
    await send(`${registry.url}/v2/`, { ca: registry.ca ?? '', headers: basic('alice', password) });
    expect(tap.leaks()).toEqual([]);
    await send(`${registry.blobsUrl}/`, { ca: registry.ca ?? '', headers: basic('alice', password) });
    expect(tap.leaks()).toMatchObject([{ place: registry.blobsUrl }]);
  });
});

test('the setup file fails a test file whose tests pass but leak, and only that', async () => {
  const script = fileURLToPath(new URL('leaks/run.ts', import.meta.url));
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [script], (error, out) => (error === null ? resolve(out) : reject(error)));
  });
  const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as [string, string, string][];
  expect(outcome.sort()).toEqual([
    ['clean.ts', 'passed', ''],
    ['console.ts', 'failed', expect.stringMatching(/password at stderr \(allowed at no place\)/)],
    ['server.ts', 'failed', expect.stringMatching(/password at http:.* \(allowed at http:/)],
    ['stdout.ts', 'failed', expect.stringMatching(/token at stdout/)],
  ]);
});
