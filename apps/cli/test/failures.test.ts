import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Failure, FailureKind } from '@reg/core';
import { allow, canary, type Fault, type RegistryOptions } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Again } from '../src/registry/argument.ts';
import { hintFor } from '../src/registry/hint.ts';
import { codeOfFailure, codeOfStatus } from '../src/report/exit-code.ts';
import { hintIn, type RunOptions, registryFor, run } from './run.ts';

const password = canary('password');
const wrongPassword = canary('wrong password');
const repositories = { 'team/app': { tags: ['1'], access: { alice: ['pull'] } } };
const users = { alice: password, bob: password };

const own = (origin: string): Fault => ({
  kind: 'realm',
  realm: `${origin}/token`,
  server: 'registry',
  path: /^\/v2\//,
  times: Number.POSITIVE_INFINITY,
});

interface Case {
  readonly auth?: RegistryOptions['auth'];
  readonly fault?: Fault;
  readonly args?: readonly string[];
  readonly run?: RunOptions;
  readonly code: number;
  readonly says: RegExp;
  /** `$tags`, `$doctor` and `$login` are the commands on this registry. */
  readonly hint: string;
}

const asAlice = { args: ['-u', 'alice'], run: { env: { REG_PASSWORD: password } } };
const asBob = { args: ['-u', 'bob'], run: { env: { REG_PASSWORD: password } } };

const cases: Readonly<Record<string, Case>> = {
  'not found': {
    fault: {
      kind: 'status',
      status: 404,
      body: '{"errors":[{"code":"NAME_UNKNOWN","message":"no such\\nname"}]}',
    },
    code: 3,
    says: /answered 404 Not Found\n {5}NAME_UNKNOWN: no such\\nname\n/,
    hint: '$doctor   # finds out why',
  },
  'no credential (Basic)': {
    auth: 'basic',
    args: ['--anonymous'],
    code: 4,
    says: /none was found/,
    hint: '$login',
  },
  'a token that is not enough, anonymously': {
    auth: 'bearer',
    args: ['--anonymous'],
    code: 4,
    says: /answered 401/,
    hint: '$login',
  },
  'a wrong password': {
    auth: 'bearer',
    args: ['-u', 'alice'],
    run: { env: { REG_PASSWORD: wrongPassword } },
    code: 4,
    says: /refused the credential with 401/,
    hint: '$tags --anonymous   # what is public needs no credential',
  },
  'a good password of somebody without access': {
    auth: 'bearer',
    ...asBob,
    code: 5,
    says: /the account has no access/,
    hint: '$doctor   # finds out why',
  },
  forbidden: {
    auth: 'basic',
    ...asBob,
    code: 5,
    says: /answered 403/,
    hint: '$doctor   # finds out why',
  },
  'a registry that is down': {
    fault: { kind: 'status', status: 503 },
    code: 6,
    says: /answered 503 Service Unavailable/,
    hint: '$doctor   # finds out why',
  },
  'a token server that is down': {
    auth: 'bearer',
    ...asAlice,
    fault: { kind: 'status', status: 500, path: '/token', times: 9 },
    code: 6,
    says: /answered 500/,
    hint: '$doctor   # finds out why',
  },
  'a registry that wants less': {
    fault: { kind: 'retry-after', value: 30 },
    code: 7,
    says: /answered 429 Too Many Requests\n {5}TOOMANYREQUESTS/,
    hint: '$doctor   # finds out why',
  },
  'a token server that wants less': {
    auth: 'bearer',
    ...asAlice,
    fault: { kind: 'retry-after', value: 90, path: '/token', times: 9 },
    code: 7,
    says: /asks to wait 90 s/,
    hint: 'sleep 90; $tags',
  },
  'a token server that wants nothing for ever': {
    auth: 'bearer',
    ...asAlice,
    fault: { kind: 'retry-after', value: 'Fri, 31 Dec 9999 23:59:59 GMT', path: '/token', times: 9 },
    code: 7,
    says: /answered 429/,
    hint: '$doctor   # finds out why',
  },
  'a 401 without a challenge': {
    fault: { kind: 'status', status: 401 },
    code: 9,
    says: /without a WWW-Authenticate header/,
    hint: '$doctor   # finds out why',
  },
  'a registry that gives the password back': {
    auth: 'basic',
    ...asAlice,
    fault: {
      kind: 'status',
      status: 403,
      body: JSON.stringify({ errors: [{ code: 'DENIED', message: `no ${password} here` }] }),
      after: 1,
    },
    code: 5,
    says: /answered 403 \("DENIED: no ••• here"\)/,
    hint: '$doctor   # finds out why',
  },
  'a scheme nobody speaks': {
    fault: { kind: 'challenge', values: ['Negotiate'] },
    code: 4,
    says: /offers "negotiate"/,
    hint: '$doctor   # finds out why',
  },
  'a token that is none': {
    auth: 'bearer',
    ...asAlice,
    fault: { kind: 'missing-fields', fields: ['token', 'access_token'], path: '/token' },
    code: 9,
    says: /without a token in it/,
    hint: '$doctor   # finds out why',
  },
};

describe('a command that fails says what happened, what can be run next, and exits with its code', () => {
  test.each(Object.entries(cases))(
    '%s',
    async (_, { auth = 'none', fault, args = [], run: options, code, says, hint }) => {
      const registry = await registryFor({ auth, users, repositories });
      if (auth === 'bearer') registry.faults.add(own(registry.url));
      // The realm is the registry's own, and that is where a wrong password goes too.
      for (const secret of [password, wrongPassword]) allow(secret, registry.url);
      if (fault !== undefined) registry.faults.add(fault);
      const name = `${registry.host}/team/app`;
      const ran = await run(['tags', name, ...args], options);
      expect(ran).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(says) });
      expect(ran.stderr).toMatch(/^reg: /);
      expect(ran.stderr).not.toMatch(/\n\s+at /);
      expect(hintIn(ran)).toBe(
        hint
          .replace('$tags', `reg tags ${name}`)
          .replace('$doctor', `reg doctor ${name}`)
          .replace('$login', `reg login ${registry.host}`),
      );
    },
  );

  test('a redirect to a registry with passwords: which to name itself', async () => {
    const target = await registryFor({ auth: 'basic', users, repositories });
    const registry = await registryFor({ auth: 'none', users, repositories });
    const away: Fault = {
      kind: 'redirect',
      status: 308,
      location: `${target.url}/v2/team/app/tags/list`,
      times: Number.POSITIVE_INFINITY,
    };
    registry.faults.add(away);
    const ran = await run(['tags', `${registry.host}/team/app`, ...asAlice.args], asAlice.run);
    expect(ran).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(
        /offers "basic", .* A redirect target gets no credential: ask \S+ itself\./,
      ),
    });
    expect(ran.stderr).not.toContain('must offer');
    expect(hintIn(ran)).toBe(`reg doctor ${target.host}   # the registry itself`);
    const looked = await run(['doctor', `${registry.host}/team/app`, ...asAlice.args], asAlice.run);
    expect(looked.stdout).toMatch(/challenge\.parse .*a redirect target gets none/);
    expect(looked.stdout).toContain(`reg doctor ${target.host}`);
  });

  test('a realm that only a trusted registry may name: with the hint followed, it works', async () => {
    const { host, pair, count } = await registryFor({ auth: 'bearer', users, repositories });
    const name = `${host}/team/app`;
    const ran = await run(['tags', name, ...asAlice.args], asAlice.run);
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('an address of this machine') });
    expect(count({ server: 'token' })).toBe(0);
    const hint = `reg trust add ${host} ${pair.realm}`;
    expect(hintIn(ran)).toBe(`${hint}   # if that server may see your credential`);
    const home = await mkdtemp(join(tmpdir(), 'reg-trust-'));
    onTestFinished(() => rm(home, { recursive: true }));
    const env = { ...asAlice.run.env, HOME: home };
    expect(await run(hint.split(' ').slice(1), { env })).toMatchObject({ code: 0 });
    expect(await run(['tags', name, ...asAlice.args], { env })).toMatchObject({ code: 0 });
  });

  test('a port where nobody listens', async () => {
    const { host, close } = await registryFor({ auth: 'none' });
    await close();
    const ran = await run(['tags', `${host}/team/app`, '--anonymous']);
    expect(ran).toMatchObject({ code: 6, stdout: '', stderr: expect.stringContaining('ECONNREFUSED') });
    expect(hintIn(ran)).toBe(`reg doctor ${host}/team/app   # finds out why`);
  });

  test('https where http is spoken', async () => {
    const { host } = await registryFor({ auth: 'none' });
    const ran = await run(['trace', `https://${host}/v2/`]);
    expect(ran.code).toBe(6);
    expect(hintIn(ran)).toBe(`reg trace http://${host}/v2/ --plain-http   # the port does not speak TLS`);
  });

  test('on a terminal the message is broken between words, and the hint is not', async () => {
    const { host } = await registryFor({ auth: 'bearer', users, repositories });
    const { stderr } = await run(['tags', `${host}/team/app`, ...asAlice.args], {
      ...asAlice.run,
      terminal: 44,
    });
    const lines = stripVTControlCharacters(stderr).trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(4);
    for (const line of lines.slice(1, -1)) expect(line).toMatch(/^ {5}\S/);
    expect(
      Math.max(
        ...lines
          .slice(0, -1)
          .filter((line) => line.includes(' ', 6))
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(44);
  });
});

describe('codes', () => {
  const base = {
    registry: 'https://r',
    realm: 'https://r/token',
    url: 'https://r/v2/',
    problems: [],
  } as const;
  const denied = { ...base, kind: 'denied', asked: '', challenged: '', granted: null } as const;
  const refused = { ...base, kind: 'token-refused', asked: '', anonymous: false } as const;
  const table: readonly (readonly [number, Failure])[] = [
    [4, { ...base, kind: 'credential-missing', scheme: 'basic', status: 401 }],
    [4, { ...base, kind: 'credential-rejected', scheme: 'basic', status: 401, anonymousPull: false }],
    [
      4,
      {
        ...base,
        kind: 'realm-untrusted',
        reason: 'unrelated',
        pair: { registry: 'https://r', realm: 'https://s' },
      },
    ],
    [4, { ...base, kind: 'insecure-transport', host: 'r' }],
    [4, { ...denied, status: 401, reason: 'insufficient-scope', anonymous: true }],
    [5, { ...denied, status: 401, reason: 'insufficient-scope', anonymous: false }],
    [5, { ...denied, status: 403, reason: 'forbidden', anonymous: true }],
    [5, { ...refused, status: 400 }],
    [5, { ...refused, status: 403 }],
    [6, { ...refused, status: 502 }],
    [9, { ...refused, status: 404 }],
    [6, { ...base, kind: 'network', to: 'registry', phase: 'tls', code: 'X', message: '' }],
    [6, { ...base, kind: 'deadline', ms: 1 }],
    [7, { ...base, kind: 'rate-limited', retryAfterMs: null }],
    [8, { ...base, kind: 'credential-unusable', scheme: 'basic', reason: 'empty' }],
    [8, { ...base, kind: 'credential-unavailable', message: 'no such helper' }],
    [9, { ...base, kind: 'challenge-unusable', reason: 'malformed', offered: [] }],
    [4, { ...base, kind: 'challenge-unusable', reason: 'unsupported-scheme', offered: ['ntlm'] }],
    [9, { ...base, kind: 'challenge-hidden', line: 'Access-Control-Expose-Headers: WWW-Authenticate' }],
    [9, { ...base, kind: 'scheme-downgrade' }],
    [9, { ...base, kind: 'realm-forbidden', reason: 'not-https' }],
    [4, { ...base, kind: 'realm-forbidden', reason: 'loopback' }],
    [9, { ...base, kind: 'realm-forbidden', reason: 'metadata' }],
    [9, { ...base, kind: 'token-invalid', status: 200, reason: 'not-json' }],
    [9, { ...base, kind: 'token-redirected', status: 302, location: null }],
    [
      9,
      { ...base, kind: 'redirect-refused', from: 'https://r', to: 'http://r', reason: 'downgrade', hops: 0 },
    ],
    [9, { ...base, kind: 'limit', limit: 'grants', max: 3 }],
    [1, { ...base, kind: 'body-spent' }],
  ];

  test.each(table)('%i for %j', (code, failure) => {
    expect(codeOfFailure(failure)).toBe(code);
  });

  test('every kind of failure is in the table', () => {
    const listed: Record<FailureKind, boolean> = Object.fromEntries(
      table.map(([, { kind }]) => [kind, true]),
    ) as never;
    const all = {
      'challenge-unusable': true,
      'challenge-hidden': true,
      'scheme-downgrade': true,
      'realm-forbidden': true,
      'realm-untrusted': true,
      'insecure-transport': true,
      'credential-missing': true,
      'credential-rejected': true,
      'credential-unusable': true,
      'credential-unavailable': true,
      'token-refused': true,
      'token-invalid': true,
      'token-redirected': true,
      'rate-limited': true,
      denied: true,
      'body-spent': true,
      'redirect-refused': true,
      limit: true,
      network: true,
      deadline: true,
    } satisfies Record<FailureKind, true>;
    expect(listed).toEqual(all);
  });

  test.each([
    [200, 0],
    [206, 0],
    [302, 1],
    [400, 1],
    [401, 4],
    [403, 5],
    [404, 3],
    [429, 7],
    [500, 6],
    [503, 6],
  ])('a registry’s own %i is %i', (status, code) => {
    expect(codeOfStatus(status)).toBe(code);
  });
});

describe('a hint is safe to paste', () => {
  const again: Again = {
    command: 'reg tags r/a',
    plainHttp: 'reg tags r/a --plain-http',
    trace: 'reg trace r/a',
    doctor: 'reg doctor r/a',
    login: 'reg login r',
  };

  test.each([
    ['EPROTO', 'sslv3 alert bad certificate'],
    ['EPROTO', 'tlsv1 alert protocol version'],
    ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'sslv3 alert handshake failure'],
  ])('a TLS server that refuses this client (%s, %s) is never a reason to leave TLS', (code, message) => {
    const about = { kind: 'network', to: 'registry', phase: 'tls', url: 'https://r/v2/' } as const;
    expect(hintFor({ ...about, code, message }, again)).toBe('reg doctor r/a   # finds out why');
  });

  test('no hint says to trust the place where a cloud keeps its credentials', () => {
    const realm = 'http://169.254.169.254/token';
    const failure: Failure = { kind: 'realm-forbidden', registry: 'https://r', realm, reason: 'metadata' };
    expect(hintFor(failure, again)).toBe('reg doctor r/a   # finds out why');
    expect(hintFor(failure, { ...again, command: again.doctor })).toBe(
      'reg trace r/a   # the whole handshake',
    );
  });

  test('a host may hold a command: what a registry chose is quoted', () => {
    const realm = new URL("https://a$(touch$x)'b.example/token").origin;
    const failure: Failure = {
      kind: 'realm-untrusted',
      registry: 'https://r',
      realm,
      reason: 'unrelated',
      pair: { registry: 'https://r', realm },
    };
    expect(hintFor(failure, again)).toContain(`reg trust add r 'https://a$(touch$`);
    expect(hintFor(failure, again)).toContain(`'\\''b.example'   #`);
  });

  test('a registry whose host no reference can have is named by its origin', () => {
    const [registry, realm] = ['https://a_b.example', 'https://auth.example'];
    const pair = { registry, realm };
    const failure: Failure = { kind: 'realm-untrusted', registry, realm, reason: 'unrelated', pair };
    expect(hintFor(failure, again)).toContain(`reg trust add ${registry} ${realm}`);
  });
});
