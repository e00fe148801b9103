import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allow, canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readLimits } from '../src/commands/ratelimit.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const asAlice = { args: ['-u', 'alice'], run: { env: { REG_PASSWORD: password } } };

/** A registry that answers a HEAD with the headers for who asks, and notes what it was asked. */
async function limited(
  headersFor: (who: 'anonymous' | 'alice') => Readonly<Record<string, string>>,
  status = 200,
) {
  const asked: string[] = [];
  const server = createServer(({ method, url, headers }, response) => {
    asked.push(`${method} ${url}`);
    const who = headers.authorization === undefined ? 'anonymous' : 'alice';
    // A registry whose public images need no credential, and whose private ones take Basic.
    if (url === '/v2/') return response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
    if (url?.startsWith('/v2/team/private/') && who === 'anonymous') {
      return response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
    }
    return response.writeHead(status, headersFor(who)).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  allow(password, `http://${host}`);
  return { host, asked };
}

const hub = {
  anonymous: {
    'RateLimit-Limit': '100;w=21600',
    'RateLimit-Remaining': '76;w=21600',
    'Docker-RateLimit-Source': '203.0.113.7',
  },
  alice: {
    'RateLimit-Limit': '200;w=21600',
    'RateLimit-Remaining': '199;w=21600',
    'Docker-RateLimit-Source': '8f1e-account',
  },
};

describe('reg ratelimit', () => {
  test('shows what is left with the credential beside without it (requirements 151, 152)', async () => {
    const { host, asked } = await limited((who) => hub[who]);
    const ran = await run(['ratelimit', `${host}/team/private`, ...asAlice.args], asAlice.run);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toBe('anonymous  no answer\nalice      199 left  of 200 in 6 h  counted by account\n');
    expect(new Set(asked)).toEqual(new Set(['HEAD /v2/team/private/manifests/latest']));
  });

  test('without a credential there is the limit of the address alone, and the address is not printed (requirement 155)', async () => {
    const { host } = await limited((who) => hub[who]);
    const ran = await run(['ratelimit', `${host}/team/public:1`]);
    expect(ran).toEqual({
      code: 0,
      stderr: '',
      stdout: 'anonymous  76 left  of 100 in 6 h  counted by address\n',
    });
  });

  test('-o json', async () => {
    const { host } = await limited((who) => hub[who]);
    const config = JSON.stringify({
      auths: { [host]: { auth: Buffer.from(`alice:${password}`).toString('base64') } },
    });
    const ran = await run(['ratelimit', `${host}/team/private`, '-o', 'json'], {
      env: { DOCKER_AUTH_CONFIG: config },
    });
    expect(ran.code).toBe(0);
    expect(matchesSchema('ratelimit', ran.stdout)).toEqual({
      repository: `${host}/team/private`,
      limits: [
        {
          username: null,
          source: null,
          status: null,
          limit: null,
          remaining: null,
          windowSeconds: null,
          resetAt: null,
          countedBy: null,
          error: expect.stringContaining('401'),
        },
        {
          username: 'alice',
          source: expect.stringContaining('DOCKER_AUTH_CONFIG'),
          status: 200,
          limit: 200,
          remaining: 199,
          windowSeconds: 21_600,
          resetAt: null,
          countedBy: 'account',
          error: null,
        },
      ],
    });
  });

  test.each([
    ['printf %s "$CREDENTIAL"', 0],
    ['exit 3', 8],
  ])('with a helper that does %j it ends with %i, and a credential is asked for once', async (does, code) => {
    const { host } = await limited((who) => hub[who]);
    const home = mkdtempSync(join(tmpdir(), 'reg-ratelimit-'));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const [asked, helper] = [join(home, 'asked'), join(home, 'docker-credential-once')];
    writeFileSync(helper, `#!/bin/sh\ncat > /dev/null; echo asked >> ${asked}; ${does}\n`, { mode: 0o755 });
    const config = JSON.stringify({ credHelpers: { [host]: 'once' } });
    writeFileSync(join(home, 'config.json'), config, { mode: 0o600 });
    const env = {
      PATH: `${home}:/usr/bin:/bin`,
      CREDENTIAL: JSON.stringify({ ServerURL: host, Username: 'alice', Secret: password }),
    };
    const ran = await run(['ratelimit', `${host}/team/private`, '--config', home], { env });
    expect(ran.code).toBe(code);
    if (code === 0) expect(ran.stdout).toContain('alice      199 left');
    if (code === 0) expect(readFileSync(asked, 'utf8')).toBe('asked\n');
  });

  test('a registry that says nothing of a limit is no failure (requirement 153)', async () => {
    const { host } = await registryFor({ auth: 'none', repositories: { 'team/app': { tags: ['latest'] } } });
    const ran = await run(['ratelimit', `${host}/team/app`]);
    expect(ran).toEqual({ code: 0, stderr: '', stdout: `${host} says nothing of a rate limit\n` });
  });

  test('over the limit: what is known is printed, and the code is 7 (requirement 154)', async () => {
    const { host } = await limited(() => ({ ...hub.anonymous, 'RateLimit-Remaining': '0;w=21600' }), 429);
    const ran = await run(['ratelimit', `${host}/team/app`]);
    expect(ran).toMatchObject({ code: 7, stdout: 'anonymous  0 left  of 100 in 6 h  counted by address\n' });
    expect(hintIn(ran)).toMatch(/^reg /);
  });

  test('an image that is not there has no limit to tell', async () => {
    const { host } = await registryFor({ auth: 'none' });
    const ran = await run(['ratelimit', `${host}/team/none`]);
    expect(ran).toMatchObject({ code: 3, stdout: 'anonymous  answered 404\n' });
  });

  test('a refused password is told as such', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { alice: canary('another') } });
    allow(password, `http://${host}`);
    const ran = await run(['ratelimit', `${host}/team/app`, ...asAlice.args], asAlice.run);
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('refused the credential') });
  });

  test('without an argument it is about Docker Hub', async () => {
    const nowhere = ['--resolve', 'registry-1.docker.io:443:127.0.0.1', '--timeout', '1', '--anonymous'];
    const ran = await run(['ratelimit', '-o', 'json', ...nowhere]);
    expect(ran.code).toBe(6);
    expect(matchesSchema('ratelimit', ran.stdout)).toMatchObject({
      repository: 'docker.io/ratelimitpreview/test',
      limits: [{ username: null, error: expect.stringContaining('registry-1.docker.io') }],
    });
  });
});

const now = Date.UTC(2026, 10, 23, 12);
test.each([
  [[], {}],
  [[['ratelimit-limit', '100;w=60']], { limit: 100, windowSeconds: 60 }],
  [[['ratelimit-limit', '100, 100;w=60']], { limit: 100, windowSeconds: 60 }],
  [[['ratelimit-remaining', ' 7 ; x=1; w=3600']], { remaining: 7, windowSeconds: 3_600 }],
  [
    [
      ['x-ratelimit-remaining', '0'],
      ['x-ratelimit-reset', '30'],
    ],
    { remaining: 0, resetAt: new Date(now + 30_000) },
  ],
  [[['x-ratelimit-reset', '1795000000']], { resetAt: new Date(1_795_000_000_000) }],
  [[['ratelimit-reset', '9'.repeat(15)]], {}],
  [
    [
      ['ratelimit-limit', '-1'],
      ['ratelimit-remaining', '1e9'],
      ['ratelimit-reset', '1.5'],
    ],
    { remaining: null },
  ],
  [[['ratelimit-limit', `1;${'w'.repeat(60_000)}`]], { limit: 1 }],
  [[['ratelimit-limit', '9'.repeat(400)]], {}],
  [[['docker-ratelimit-source', '2001:db8::1']], { countedBy: 'address' }],
  [[['docker-ratelimit-source', '']], {}],
] as const)('%j', (headers, said) => {
  const nothing = { limit: null, remaining: null, windowSeconds: null, resetAt: null, countedBy: null };
  expect(readLimits(headers, now)).toEqual({ ...nothing, ...said });
});
