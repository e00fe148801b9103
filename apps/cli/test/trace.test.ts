import { stripVTControlCharacters } from 'node:util';
import { canary, type Fault, type RegistryOptions } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { traceFormats } from '../src/tree/trace-format.ts';
import { hintIn, type Ran, type RunOptions, registryFor, run } from './run.ts';

const password = canary('password');
const options: RegistryOptions = {
  auth: 'bearer',
  users: { alice: password },
  repositories: { 'team/app': { tags: ['1', '2'] } },
};

/** `reg trace` as alice, on a registry of its own. */
async function traced(
  argument: string,
  flags: readonly string[] = [],
  more: RunOptions = {},
  ...faults: Fault[]
) {
  const registry = await registryFor({ ...options, faults });
  const { host, url, pair } = registry;
  const about = argument.replace('$host', host).replace('$url', url);
  const args = ['trace', about, '-u', 'alice', '--trust-realm', pair.realm, ...flags];
  const ran: Ran = await run(args, { env: { REG_PASSWORD: password }, ...more });
  return { ...ran, registry };
}

/** The request lines of a trace in text. */
const requestsIn = (text: string) => text.split('\n').filter((line) => line.startsWith('#'));

describe('reg trace', () => {
  test('of a repository shows all of the handshake: challenge, token, tags', async () => {
    const { code, stdout, stderr, registry } = await traced('$host/team/app');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(requestsIn(stdout)).toEqual([
      `#1 → GET ${registry.url}/v2/team/app/tags/list`,
      `#2 → GET ${registry.tokenUrl}`,
      `#3 → GET ${registry.url}/v2/team/app/tags/list`,
    ]);
    for (const part of [
      '401 Unauthorized',
      `www-authenticate: Bearer realm="${registry.tokenUrl}",service="test-registry",scope="repository:team/app:pull"`,
      'UNAUTHORIZED: authentication required',
      'scope: repository:team/app:pull',
      'service: test-registry',
      'account: alice',
      'authorization: Basic alice:•••',
      '{"token":"•••",',
      '-u and REG_PASSWORD',
      'authorization: Bearer •••',
      '200 OK',
      '3 requests',
      'result: authorized',
    ]) {
      expect(stdout).toContain(part);
    }
    expect(registry.count()).toBe(3);
  });

  test.each([
    ['$host/team/app:1', '/v2/team/app/manifests/1', 200],
    ['$url/v2/', '/v2/', 200],
    ['$url/v2/team/app/tags/list?n=1', '/v2/team/app/tags/list?n=1', 200],
  ])('of %s asks for %s', async (argument, path) => {
    const { code, registry } = await traced(argument);
    expect(code).toBe(0);
    expect(registry.requests.at(-1)).toMatchObject({ url: path, status: 200 });
  });

  test('of an image names the types it takes', async () => {
    const { registry } = await traced('$host/team/app:1');
    expect(registry.requests.at(-1)?.headers['accept']).toContain('application/vnd.oci.image.index.v1+json');
  });

  test.each(traceFormats)('prints %s, with no secret in it', async (format) => {
    const { code, stdout, stderr } = await traced('$host/team/app', ['-o', format]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/[^\n]\n$/);
    const signs = {
      text: /^#1 → GET/m,
      json: /"version": ?1/,
      har: /"version": ?"1\.2"/,
      mermaid: /^sequenceDiagram\n/,
      curl: /curl /,
    } satisfies Record<(typeof traceFormats)[number], RegExp>;
    expect(stdout).toMatch(signs[format]);
    if (format === 'json' || format === 'har') expect(() => JSON.parse(stdout)).not.toThrow();
  });

  test('that fails prints what was said until then, then why, and exits with the code of the failure', async () => {
    const down: Fault = { kind: 'status', status: 404, server: 'token', body: 'not here', times: 9 };
    const ran = await traced('$host/team/app', [], {}, down);
    expect(ran.code).toBe(9);
    expect(requestsIn(ran.stdout)).toHaveLength(2);
    expect(ran.stdout).toContain('404 Not Found');
    // Said once, and on stderr.
    expect(ran.stderr).toMatch(/\/token.* answered 404/);
    expect(ran.stdout).not.toContain('answered 404');
    expect(hintIn(ran)).toMatch(/^reg doctor \S+ --trust-realm \S+ {3}# finds out why$/);
  });

  test('of a failure in JSON holds the failure', async () => {
    const down: Fault = { kind: 'status', status: 404, server: 'token', times: 9 };
    const { code, stdout } = await traced('$host/team/app', ['-o', 'json'], {}, down);
    expect(code).toBe(9);
    expect(JSON.parse(stdout)).toMatchObject({ failure: { kind: 'token-refused', status: 404 } });
  });

  test('shows what a registry that refuses says', async () => {
    const ran = await traced('$host/team/other');
    expect(ran).toMatchObject({ code: 5, stderr: expect.stringContaining('the account has no access') });
    expect(requestsIn(ran.stdout)).toHaveLength(3);
  });
});

describe('what a server writes cannot write to the terminal', () => {
  const control = '\u001b]0;owned\u0007\u001b[2J\u202e';
  const hostile = JSON.stringify({ errors: [{ code: 'DENIED', message: control }], tags: [control] });
  const answer: Fault = {
    kind: 'status',
    status: 403,
    body: hostile,
    headers: { 'X-Odd': 'a\u009b2Jb', 'Content-Type': 'application/json' },
    times: 9,
  };

  test.each(traceFormats)('in %s', async (format) => {
    const { stdout, stderr } = await traced('$host/team/app', ['-o', format], {}, answer);
    expect(controlsIn(stdout + stderr)).toEqual([]);
  });

  test('in a raw body that is no JSON', async () => {
    const raw: Fault = { kind: 'status', status: 404, body: `${control}\nowned`, times: 9 };
    const { stdout, stderr } = await traced('$host/team/app', [], {}, raw);
    expect(controlsIn(stdout + stderr)).toEqual([]);
  });

  /** Every character but a line feed that a terminal obeys, and the one that turns text around. */
  function controlsIn(text: string): string[] {
    return [...text].filter((char) => char !== '\n' && (/\p{Cc}/u.test(char) || char === '\u202e'));
  }
});

describe('a terminal', () => {
  test('gets colours, and lines no wider than it is', async () => {
    const { stdout } = await traced('$host/team/app', [], { terminal: 80 });
    const plain = stripVTControlCharacters(stdout);
    expect(plain).not.toBe(stdout);
    const widths = plain.split('\n').map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(80);
  });

  test.each([
    ['no terminal', {}],
    ['NO_COLOR', { terminal: 80, env: { REG_PASSWORD: password, NO_COLOR: '1' } }],
    ['TERM=dumb', { terminal: 80, env: { REG_PASSWORD: password, TERM: 'dumb' } }],
  ])('%s: no colours', async (_, more) => {
    const { stdout, stderr } = await traced('$host/team/none', [], more);
    expect(stripVTControlCharacters(stdout + stderr)).toBe(stdout + stderr);
    expect(stderr).not.toBe('');
  });

  test('NO_COLOR that is empty says nothing', async () => {
    const more = { terminal: 80, env: { REG_PASSWORD: password, NO_COLOR: '' } };
    const { stdout } = await traced('$host/team/app', [], more);
    expect(stripVTControlCharacters(stdout)).not.toBe(stdout);
  });
});
