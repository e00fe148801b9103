import { stripVTControlCharacters } from 'node:util';
import { canary, type Fault, type RegistryOptions } from '@reg/testing';
import { describe, expect, test, vi } from 'vitest';
import { Stop, stopCode } from '../src/surroundings.ts';
import { traceFormats } from '../src/tree/names.ts';
import { ended, start } from './process.ts';
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

describe('what is told of it', () => {
  test('first who sends it, when, and as whom', async () => {
    const { stdout } = await traced('$host/team/app', [], { env: { REG_PASSWORD: password } });
    expect(stdout.split('\n')[0]).toMatch(
      /^reg \d\S* {2}\d{4}-\d\d-\d\dT[\d:.]+Z {3}credential: alice, from -u and REG_PASSWORD$/,
    );
    const { host } = await registryFor({ auth: 'none', repositories: { a: { tags: ['1'] } } });
    expect((await run(['trace', `${host}/a`, '--anonymous'])).stdout).toContain(
      'credential: none was asked for\n',
    );
    const basic = await registryFor({
      auth: 'basic',
      users: { alice: password },
      repositories: { a: { tags: ['1'] } },
    });
    const env = { REG_PASSWORD: password };
    const asAlice = await run(['trace', `${basic.host}/a`, '-u', 'alice'], { env });
    expect(asAlice.stdout).toContain('credential: alice, from -u and REG_PASSWORD\n');
    expect((await run(['trace', `${basic.host}/a`, '--anonymous'])).stdout).toMatch(/credential: none/);
  });

  test('and on what, where it is a process', async () => {
    const { host } = await registryFor({ auth: 'none', repositories: { a: { tags: ['1'] } } });
    const { code, stdout } = await ended(start('main.ts', ['trace', `${host}/a`, '--anonymous']));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^reg \d\S* {2}node \d+\.\d+\.\d+ {2}\w+\/\w+ {2}\d{4}-\d\d-\d\dT/);
  });

  test('last how many requests, how long, where that went, and how it ended', async () => {
    const { stdout } = await traced('$host/team/app');
    expect(stdout).toMatch(/\n\n3 requests {2}\d+ ms {2}\(tcp \d+ · server \d+\) {3}result: authorized\n$/);
    expect(stdout.match(/ {3}← \d+ \w+ {2}\d+ ms {2}\((tcp \d+ · )?server \d+\)/g)).toHaveLength(3);
    expect((await traced('$host/team/none')).stdout).toMatch(/ {3}result: denied\n$/);
  });

  test('of headers and bodies what bears on authorization; with -v all, and on stdout alone', async () => {
    const brief = await traced('$host/team/app:1');
    expect(brief.stdout).not.toContain('accept: ');
    expect(brief.stdout).toContain('content-type: application/vnd.oci.image.manifest.v1+json');
    const { code, stdout, stderr } = await traced('$host/team/app:1', ['-v']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const part of [
      'accept: application/vnd.oci',
      '"code": "UNAUTHORIZED"',
      '"token": "•••"',
      '"layers": [',
    ]) {
      expect(stdout).toContain(part);
    }
  });

  test('what of a scope was not granted, by what the token says', async () => {
    const { code, stdout } = await traced('$host/team/app', ['--push'], {}, bobReads());
    expect(code).toBe(5);
    expect(stdout).toMatch(
      /asked for repository:team\/app:pull,push, got a token for repository:team\/app:pull, .*not granted: push\n/,
    );
    // Its other claims are for who asks for them.
    expect(stdout).not.toContain('the token says');
  });

  test('--show-claims: what the token says of itself, never its signature', async () => {
    const { stdout } = await traced('$host/team/app', ['--show-claims'], {}, bobReads());
    expect(stdout).toContain(
      '» the token says: issued by issuer; for bob; to be shown to a, b; not shown: jti\n',
    );
    const json = await traced('$host/team/app', ['--show-claims', '-o', 'json'], {}, bobReads());
    expect(json.stdout).toContain('"issuer": "issuer"');
    for (const { stdout: text } of [{ stdout }, json]) expect(text).not.toMatch(/signature|handle|eyJ/);
    const plain = await traced('$host/team/app', ['-o', 'json'], {}, bobReads());
    expect(plain.stdout).not.toContain('"issuer": "issuer"');
    const opaque = await traced('$host/team/app', ['--show-claims']);
    expect(opaque.stdout).toContain('» the token is opaque: only its registry can read it\n');
  });

  /** A token for pulling alone. */
  function bobReads(): Fault {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }];
    const claims = { iss: 'issuer', sub: 'bob', aud: ['a', 'b'], jti: 'handle', access };
    const token = `${part({ alg: 'RS256' })}.${part(claims)}.${Buffer.from('signature').toString('base64url')}`;
    return { kind: 'status', status: 200, server: 'token', body: JSON.stringify({ token }), times: 9 };
  }
});

describe('--push', () => {
  const seen = ({
    requests,
  }: {
    requests: readonly { method: string; status: number | null; server: string }[];
  }) =>
    requests.filter(({ server }) => server === 'registry').map(({ method, status }) => `${method} ${status}`);

  test('begins an upload and takes it back, which is no part of the trace', async () => {
    const { code, stdout, stderr, registry } = await traced('$host/team/app:1', ['--push']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(requestsIn(stdout)).toEqual([
      `#1 → POST ${registry.url}/v2/team/app/blobs/uploads/`,
      `#2 → GET ${registry.tokenUrl}`,
      `#3 → POST ${registry.url}/v2/team/app/blobs/uploads/`,
    ]);
    expect(stdout).toContain('scope: repository:team/app:pull,push');
    expect(stdout).not.toContain('DELETE');
    expect(seen(registry).filter((request) => !request.endsWith('401'))).toEqual(['POST 202', 'DELETE 204']);
  });

  test.each<[string, Fault, RegExp]>([
    [
      'it may not be deleted',
      { kind: 'status', status: 405, method: 'DELETE' },
      /^warning: the upload that was begun could not be taken back: DELETE was answered with 405\. Registries/,
    ],
    [
      'it is said to be elsewhere',
      {
        kind: 'status',
        status: 202,
        method: 'POST',
        after: 1,
        headers: { Location: 'http://127.0.0.1:1/upload' },
      },
      /its Location is at another origin, http:\/\/127\.0\.0\.1:1\./,
    ],
    ['it is nowhere', { kind: 'status', status: 202, method: 'POST', after: 1 }, /it has no Location\./],
    [
      'what is there may be a blob, and no upload',
      {
        kind: 'status',
        status: 201,
        method: 'POST',
        after: 1,
        headers: { Location: '/v2/team/app/blobs/x' },
      },
      /POST was answered with 201, and not with 202\./,
    ],
    [
      'the connection breaks',
      { kind: 'reset', at: 'before-head', method: 'DELETE', times: 9 },
      /could not be taken back: No answer from /,
    ],
  ])('what cannot be taken back is told: %s', async (_, fault, words) => {
    const { code, stdout, stderr, registry } = await traced(
      '$host/team/app',
      ['--push'],
      {},
      { ...fault, server: 'registry' },
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/result: authorized\n$/);
    expect(stderr).toMatch(words);
    expect(registry.requests.every(({ url }) => !url.includes('127.0.0.1:1/'))).toBe(true);
    expect(registry.count({ method: 'DELETE' }) > 0).toBe(fault.method === 'DELETE');
  });

  test('why it could not be taken back is told in one sentence', async () => {
    const { stderr } = await traced(
      '$host/team/app',
      ['--push'],
      {},
      { kind: 'status', status: 403, method: 'DELETE', server: 'registry', times: 9 },
    );
    expect(stderr).toMatch(/^warning: .*403.*[^.]\. Registries forget it after a while\.\n$/);
  });

  test.each([
    ['POST', 1],
    ['DELETE', 0],
  ])('that is stopped while its %s is under way says what may be left', async (method, after) => {
    const stop = new AbortController();
    const fault: Fault = { kind: 'stall', at: 'before-head', method, server: 'registry', after };
    const registry = await registryFor({ ...options, faults: [fault] });
    const args = ['trace', `${registry.host}/team/app`, '--push', '-u', 'alice'];
    const running = run([...args, '--trust-realm', registry.pair.realm], {
      env: { REG_PASSWORD: password },
      signal: stop.signal,
    });
    await vi.waitUntil(
      () => registry.requests.filter((request) => request.method === method).length > after,
      5_000,
    );
    stop.abort(new Stop(stopCode.interrupted));
    expect(await running).toEqual({
      code: 130,
      stdout: '',
      stderr: 'warning: an upload that was begun may be left. Registries forget it after a while.\n',
    });
  });

  test('that may not be begun leaves nothing to take back', async () => {
    const denied: Fault = {
      kind: 'status',
      status: 403,
      method: 'POST',
      after: 1,
      server: 'registry',
      body: '{"errors":[{"code":"DENIED","message":"read-only"}]}',
    };
    const ran = await traced('$host/team/app', ['--push'], {}, denied);
    expect(ran).toMatchObject({ code: 5, stderr: expect.stringContaining('read-only') });
    expect(seen(ran.registry)).toEqual(['POST 401', 'POST 403']);
    expect(hintIn(ran)).toMatch(/^reg doctor \S+\/team\/app .*--push/);
  });

  test('needs a repository', async () => {
    const ran = await run(['trace', 'https://ghcr.io/v2/', '--push']);
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('name one') });
  });
});

describe('--scope', () => {
  test('asks for a token for it, and sends nothing else', async () => {
    const flags = ['--scope', 'repository:team/app:pull', '--scope', 'repository:x:pull'];
    const { code, stdout, registry } = await traced('$host/team/app', flags);
    expect(requestsIn(stdout)).toEqual([`#1 → GET ${registry.url}/v2/`, `#2 → GET ${registry.tokenUrl}`]);
    expect(stdout).toContain('for repository:team/app:pull repository:x:pull, service test-registry');
    expect(stdout).toMatch(/2 requests .* result: authorized\n$/);
    // The token is opaque, and its server says nothing.
    expect(code).toBe(0);
  });

  test('with --push for what a push needs as well; what was not granted is told', async () => {
    const jwt = await registryFor({ ...options, tokens: { format: 'jwt' } });
    const args = ['trace', `${jwt.host}/team/app`, '-u', 'alice', '--trust-realm', jwt.pair.realm];
    const ran = await run([...args, '--push', '--scope', 'repository:x:pull'], {
      env: { REG_PASSWORD: password },
    });
    expect(ran.stdout).toContain('scope: repository:team/app:pull,push\n     scope: repository:x:pull\n');
    expect(ran.stdout).toMatch(/result: not all granted\n$/);
    expect(ran).toMatchObject({ code: 5, stderr: expect.stringContaining('not granted: repository:x:pull') });
    expect(jwt.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
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

describe('the hint of a trace that failed', () => {
  test.each([
    ['$url/v2/team/none/tags/list', [], '$host/team/none --plain-http'],
    ['$url/v2/', ['--scope', 'repository:x:pull,push'], '$host --plain-http'],
    ['$host/team/none:1', [], '$host/team/none:1'],
    ['$host/team/none', ['--push'], '$host/team/none --push'],
  ])('of %s %j can be run', async (argument, flags, about) => {
    const no: Fault = { kind: 'status', status: 403, server: 'token', times: 9 };
    const ran = await traced(argument, flags, {}, no);
    const { host, pair } = ran.registry;
    expect(ran.code).toBe(5);
    expect(hintIn(ran)).toBe(
      `reg doctor ${about.replace('$host', host)} --trust-realm ${pair.realm}   # finds out why`,
    );
  });
});
