/** `reg doctor` as a command: what it asks for, what it prints, and how it ends. What it finds is in `doctor-cases.test.ts`. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { allow, canary, type Registry, type RegistryOptions } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authority, serveTls } from '../../../packages/node/test/certificates.ts';
import { programs } from '../../../packages/node/test/programs.ts';
import { type CauseId, checkIds, type Diagnosis, type Finding } from '../src/doctor/finding.ts';
import { Stop } from '../src/surroundings.ts';
import { type Ran, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');

/** Alice may pull and push `team/app`, everyone pull `library/busybox`. */
const declared = {
  auth: 'bearer',
  users: { alice: password },
  repositories: {
    'team/app': { tags: ['1.0'], access: { alice: ['pull', 'push'] } },
    'library/busybox': { visibility: 'public', tags: ['latest'] },
  },
} as const satisfies RegistryOptions;

/** A home, whose Docker config has these entries. */
function homeWith(auths: Readonly<Record<string, object>>): string {
  const home = mkdtempSync(join(tmpdir(), 'home-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  mkdirSync(join(home, '.docker'));
  writeFileSync(configIn(home), JSON.stringify({ auths }, null, 2), { mode: 0o600 });
  return home;
}

const configIn = (home: string): string => join(home, '.docker', 'config.json');

const login = (username: string, secret: string) => ({
  auth: Buffer.from(`${username}:${secret}`).toString('base64'),
});

interface Seen extends Ran {
  readonly diagnosis: Diagnosis;
  readonly check: (id: Finding['id']) => Finding | undefined;
}

/** Runs it with JSON, which is held against its schema. */
async function doctor(args: readonly string[], home = homeWith({})): Promise<Seen> {
  const ran = await run(['doctor', ...args, '-o', 'json'], { env: { HOME: home } });
  if (ran.stdout === '') throw new Error(ran.stderr);
  const diagnosis = matchesSchema('doctor', ran.stdout) as Diagnosis;
  expect(ran.code).toBe(diagnosis.exitCode);
  return { ...ran, diagnosis, check: (id) => diagnosis.checks.find((check) => check.id === id) };
}

const requestsOf = ({ requests }: Registry): readonly string[] =>
  requests.map(({ method, url, status }) => `${method} ${url.replace(/\?.*/, '')} ${status}`);

/** Somebody at a registry who trusts its token server, which on loopback is on a port of its own. */
async function aliceAt(options: RegistryOptions = declared): Promise<{
  readonly registry: Registry;
  readonly home: string;
  readonly trust: readonly string[];
}> {
  const registry = await registryFor(options);
  const home = homeWith({ [registry.host]: login('alice', password) });
  return { registry, home, trust: ['--trust-realm', registry.pair.realm] };
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('what it asks for', () => {
  test('a repository costs the handshake of /v2/, a token and the repository', async () => {
    const { registry, home, trust } = await aliceAt();
    const { diagnosis, code } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(diagnosis).toMatchObject({
      about: `${registry.host}/team/app`,
      registry: registry.url,
      repository: 'team/app',
      problems: 0,
      warnings: 0,
    });
    expect(code).toBe(0);
    expect(requestsOf(registry)).toEqual([
      'GET /v2/ 401',
      'GET /token 200',
      'GET /v2/ 200',
      'GET /token 200',
      'GET /v2/team/app/tags/list 200',
    ]);
  });

  test('a push needs no other token than its own, and takes back the upload that it begins', async () => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      tokens: { format: 'jwt' },
      repositories: { 'team/app': { tags: ['1.0'] } },
    });
    const { diagnosis, check } = await doctor([`${registry.host}/team/app`, '--push', ...trust], home);
    expect(diagnosis.problems).toBe(0);
    expect(check('scope.grant')?.summary).toContain('got all of it');
    expect(check('upload.location')?.summary).toContain('begun and taken back');
    expect(requestsOf(registry).slice(3)).toEqual([
      'GET /token 200',
      'GET /v2/team/app/tags/list 200',
      'POST /v2/team/app/blobs/uploads/ 202',
      // What ends an upload is a right of its own.
      'GET /token 200',
      expect.stringMatching(/^DELETE \/v2\/team\/app\/blobs\/uploads\/.+ 204$/),
    ]);
  });

  test('who may push and not delete leaves an upload that has nothing in it', async () => {
    const { registry, home, trust } = await aliceAt();
    const { diagnosis, check } = await doctor([`${registry.host}/team/app`, '--push', ...trust], home);
    expect(check('upload.location')).toMatchObject({ status: 'ok' });
    expect(check('upload.location')?.summary).toContain('left to be forgotten');
    expect(diagnosis.problems + diagnosis.warnings).toBe(0);
  });

  test('a whole registry costs its /v2/, and one that asks for nothing costs one request for each question', async () => {
    const { registry, home, trust } = await aliceAt();
    await doctor([registry.host, ...trust], home);
    expect(registry.requests).toHaveLength(3);
    const open = await registryFor({ ...declared, auth: 'none' });
    const { diagnosis } = await doctor([`${open.host}/team/app:1.0`]);
    expect(diagnosis.problems).toBe(0);
    expect(requestsOf(open)).toEqual(['GET /v2/ 200', 'GET /v2/team/app/manifests/1.0 200']);
  });

  test('--offline asks nobody', async () => {
    const { registry, home } = await aliceAt();
    const { diagnosis } = await doctor([`${registry.host}/team/app`, '--offline'], home);
    expect(registry.requests).toHaveLength(0);
    expect(diagnosis.checks.map(({ id }) => id)).toEqual(checkIds.slice(0, 6));
  });

  test('--only makes the check, what it needs, and nothing else', async () => {
    const { registry, home, trust } = await aliceAt();
    const { diagnosis } = await doctor(
      [`${registry.host}/team/app`, '--only', 'challenge.realm', ...trust],
      home,
    );
    expect(diagnosis.checks.map(({ id }) => id)).toEqual([
      'proxy.route',
      'dns.resolve',
      'tcp.connect',
      'tls.chain',
      'v2.ping',
      'challenge.parse',
      'challenge.realm',
    ]);
  });

  test('--only upload.location is about a push', async () => {
    const { registry, home, trust } = await aliceAt();
    const { check } = await doctor(
      [`${registry.host}/team/app`, '--only', 'upload.location', ...trust],
      home,
    );
    expect(check('upload.location')?.status).toBe('ok');
  });
});

describe('a command line that cannot be meant ends with 2', () => {
  test.each([
    [['--only', 'tls'], "there is no check 'tls': is it tls.chain"],
    [['--only', 'nonsense'], "there is no check 'nonsense': there are config.read, creds.source"],
    [['--only', 'cors.headers'], 'cors.headers takes --browser ORIGIN'],
    [['--only', 'tls.chain', '--offline'], 'tls.chain takes no --offline'],
    [['--browser', 'app.example'], '--browser takes the origin of a page'],
    [['--browser', 'https://app.example/path'], '--browser takes the origin of a page'],
    [['--ca-file', '/no/such/file'], '--ca-file'],
    [['--authfile', '/no/such/file'], '--authfile'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await run(['doctor', 'registry.example', ...args]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^hint: reg /m);
  });

  test('but that an option is in the way is mended by leaving it out', async () => {
    const { stderr } = await run(['doctor', 'registry.example', '--only', 'tls.chain', '--offline']);
    expect(stderr).toContain('\nhint: reg doctor registry.example --only tls.chain\n');
  });
});

describe('what it prints', () => {
  test('its help names every check', async () => {
    const { stdout } = await run(['doctor', '--help']);
    const [, listed = ''] = stdout.split('Checks:\n');
    expect(listed.trim().split(/\s+/)).toEqual(checkIds);
  });

  test('a line for each check, and for each problem what to do, in 80 columns', async () => {
    const registry = await registryFor(declared);
    const home = homeWith({ [registry.host]: login('alice', canary('wrong password')) });
    const args = ['doctor', `${registry.host}/team/app`, '--trust-realm', registry.pair.realm];
    allow(JSON.parse(readFileSync(configIn(home), 'utf8')).auths[registry.host].auth, registry.tokenUrl);
    const { stdout, code } = await run(args, { env: { HOME: home, NO_COLOR: '1' }, terminal: 80 });
    expect(code).toBe(4);
    expect(stdout).toMatch(/^✓ v2\.ping {12}401 \+ Docker-Distribution-Api-Version$/m);
    expect(stdout).toMatch(/^✗ creds\.accepted {5}401: the credential was refused$/m);
    // Checks that wait for the same are one line.
    expect(stdout).toMatch(/^– 2 checks {11}not looked at: they need creds\.accepted$/m);
    expect(stdout).toContain('\n1 problem. exit 4\n');
    expect(stdout).toMatch(/^fix 1: the password is wrong, expired or revoked/m);
    expect(stdout).toContain(`\n       $ reg login ${registry.host} `);
    expect(stdout).toMatch(/^ {7}rerun: reg doctor .* --only creds\.accepted$/m);
    const long = stdout.split('\n').filter((line) => line.length > 80);
    // What is copied is not broken.
    for (const line of long) expect(line).toMatch(/^ {7}(\$|rerun:)/);
  });

  test('nothing of colours where there is no terminal', async () => {
    const registry = await registryFor({ ...declared, auth: 'none' });
    const { stdout } = await run(['doctor', registry.host], { env: { HOME: homeWith({}) } });
    expect(stdout).not.toContain('\u001b');
  });

  test('words of a server that would move the cursor are spelled out', async () => {
    const host = await serve((_, response) => {
      const message = '\u001b[2J\u202egnp.exe';
      response.writeHead(403, {
        'content-type': 'application/json',
        'docker-distribution-api-version': 'registry/2.0',
      });
      response.end(JSON.stringify({ errors: [{ code: 'DENIED\r\nfix 1: rm -rf ~', message }] }));
    });
    for (const output of ['text', 'json']) {
      const { stdout } = await run(['doctor', `${host}/team/app`, '-o', output], {
        env: { HOME: homeWith({}) },
      });
      expect(stdout).toContain('u{1b}');
      for (const control of ['\u001b', '\u202e', '\r']) expect(stdout).not.toContain(control);
      expect(stdout).not.toMatch(/^fix 1: rm/m);
    }
  });

  test('a header that is too long to show is cut', async () => {
    const host = await serve((_, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="https://a.example/${'x'.repeat(4_000)}` });
      response.end();
    });
    const { diagnosis, check } = await doctor([`${host}/team/app`]);
    expect(check('challenge.parse')?.cause).toBe('challenge-malformed');
    for (const { evidence } of diagnosis.checks)
      for (const line of evidence) expect(line.length).toBeLessThan(1_100);
  });
});

describe('what it finds on this machine', () => {
  test('a file that others may read is a warning, and no more', async () => {
    const { registry, home, trust } = await aliceAt();
    chmodSync(configIn(home), 0o644);
    const { check, code } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(check('config.read')).toMatchObject({
      status: 'warning',
      cause: 'file-exposed',
      fix: { command: `chmod 600 ${configIn(home)}` },
    });
    expect(code).toBe(0);
  });

  test('a file that is no JSON ends the look-up, and the registry is looked at all the same', async () => {
    const { registry, home, trust } = await aliceAt();
    writeFileSync(configIn(home), '{ "auths": ');
    const { diagnosis, check, code } = await doctor([`${registry.host}/library/busybox`, ...trust], home);
    expect(check('config.read')).toMatchObject({ status: 'problem', cause: 'config-unreadable' });
    expect(check('realm.reach')?.status).toBe('ok');
    expect(diagnosis.problems).toBe(1);
    expect(code).toBe(8);
  });

  test('an entry that is no login is mended by a login', async () => {
    const { registry, home, trust } = await aliceAt();
    writeFileSync(configIn(home), JSON.stringify({ auths: { [registry.host]: { auth: '???' } } }), {
      mode: 0o600,
    });
    const { check, code } = await doctor([`${registry.host}/library/busybox`, ...trust], home);
    expect(check('config.read')?.status).toBe('ok');
    expect(check('creds.source')).toMatchObject({ status: 'problem', cause: 'credential-unusable' });
    expect(check('creds.source')?.fix?.command).toMatch(/^reg login /);
    expect(code).toBe(8);
  });

  test('a file of trusted token servers that cannot be read lets nothing be asked', async () => {
    const { registry, home } = await aliceAt();
    mkdirSync(join(home, '.config', 'reg'), { recursive: true });
    writeFileSync(join(home, '.config', 'reg', 'trust.json'), '{');
    const { check, code, diagnosis } = await doctor([`${registry.host}/team/app`], home);
    expect(check('config.read')).toMatchObject({ status: 'problem', cause: 'config-unreadable' });
    expect(diagnosis.problems).toBe(1);
    expect(registry.requests).toHaveLength(0);
    expect(code).toBe(8);
  });

  test('a helper is run once, and its words are told', async () => {
    const { env, write, note } = programs();
    write(
      'docker-credential-vault',
      'echo run >> "$NOTES/runs"; cat > /dev/null; echo "the vault is sealed" >&2; exit 1',
    );
    const registry = await registryFor(declared);
    const home = homeWith({});
    writeFileSync(configIn(home), `{\n  "credHelpers": {\n    "${registry.host}": "vault"\n  }\n}`);
    const { stdout, code } = await run(['doctor', registry.host, '-o', 'json', '--offline'], {
      env: {
        ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value ?? ''])),
        HOME: home,
      },
    });
    const { checks } = matchesSchema('doctor', stdout) as Diagnosis;
    const helper = checks.find(({ id }) => id === 'creds.helper');
    expect(helper).toMatchObject({ cause: 'helper-failing' });
    expect(helper?.summary).toContain('the vault is sealed');
    expect(helper?.fix?.line).toBe(`"${registry.host}": "vault"   # ${configIn(home)}:3`);
    expect(code).toBe(8);
    expect(note('runs')).toBe('run\n');
  });

  test('a token that ended is found without asking anyone', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const jwt = `${part({ alg: 'RS256' })}.${part({ exp: 1_700_000_000 })}.c2lnbmF0dXJl`;
    const home = homeWith({ 'registry.example': login('alice', jwt) });
    const { check, code } = await doctor(['registry.example', '--offline'], home);
    expect(check('creds.expiry')).toMatchObject({ status: 'problem', cause: 'credential-expired' });
    expect(check('creds.expiry')?.summary).toContain('2023-11-14');
    expect(code).toBe(4);
  });

  test('a password that ended is one problem, and not a wrong one too', async () => {
    const ended = Buffer.from(JSON.stringify({ payload: canary('password'), expiration: 1_700_000_000 }));
    const registry = await registryFor({ ...declared, auth: 'basic' });
    const home = homeWith({ [registry.host]: login('AWS', ended.toString('base64')) });
    const { diagnosis } = await doctor([`${registry.host}/team/app`], home);
    expect(diagnosis.checks.filter(({ status }) => status === 'problem')).toMatchObject([
      { cause: 'ecr-password-expired' },
    ]);
    expect(registry.requests.filter(({ headers }) => headers['authorization'] !== undefined)).toEqual([]);
  });

  test('two addresses of one registry with different logins have no order', async () => {
    const home = homeWith({
      'https://registry.example/v1/': login('alice', canary('password')),
      'https://registry.example/v2/': login('bob', canary('password')),
    });
    const { check } = await doctor(['registry.example', '--offline'], home);
    expect(check('creds.duplicates')).toMatchObject({ status: 'problem', cause: 'entries-conflict' });
  });

  test('Docker takes what DOCKER_AUTH_CONFIG has before its file, and Podman what REGISTRY_AUTH_FILE names', async () => {
    const home = homeWith({ 'registry.example': login('alice', canary('password')) });
    const named = join(home, 'auth.json');
    writeFileSync(
      named,
      JSON.stringify({ auths: { 'registry.example': login('robot', canary('password')) } }),
      { mode: 0o600 },
    );
    const env = {
      HOME: home,
      REGISTRY_AUTH_FILE: named,
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { 'registry.example': login('ci', canary('password')) } }),
    };
    const { stdout } = await run(['doctor', 'registry.example', '--offline', '-o', 'json'], { env });
    const { checks } = matchesSchema('doctor', stdout) as Diagnosis;
    expect(checks.find(({ id }) => id === 'creds.duplicates')?.evidence).toEqual([
      expect.stringMatching(/^Docker takes DOCKER_AUTH_CONFIG.*\(ci\)$/),
      `Podman and Skopeo take ${named}, entry "registry.example" (robot)`,
    ]);
  });

  test('the same credential in two places is no conflict', async () => {
    const secret = canary('password');
    const home = homeWith({ 'registry.example': login('alice', secret) });
    mkdirSync(join(home, '.config', 'containers'), { recursive: true });
    writeFileSync(
      join(home, '.config', 'containers', 'auth.json'),
      JSON.stringify({ auths: { 'registry.example': login('alice', secret) } }),
      { mode: 0o600 },
    );
    const { check } = await doctor(['registry.example', '--offline'], home);
    expect(check('creds.duplicates')).toMatchObject({
      status: 'ok',
      summary: '2 entries, of which Docker and Podman take the same',
    });
  });

  test('Q65: an entry for a namespace is for Podman alone, and Docker takes it for all of the registry', async () => {
    const home = homeWith({
      'registry.example': login('alice', canary('password')),
      'registry.example/team': login('robot', canary('password')),
    });
    const { check } = await doctor(['registry.example/team/app', '--offline'], home);
    expect(check('creds.duplicates')?.evidence).toEqual([
      expect.stringMatching(/^Docker takes .*\(alice\)$/),
      expect.stringMatching(/^Podman and Skopeo take .*\(robot\)$/),
    ]);
    const { check: other } = await doctor(['registry.example/other/app', '--offline'], home);
    expect(other('creds.duplicates')?.status).toBe('ok');
  });
});

describe('what it finds at the registry', () => {
  test('nobody signed in, where somebody must', async () => {
    const registry = await registryFor({ ...declared, auth: 'basic' });
    const { check, code } = await doctor([`${registry.host}/team/app`]);
    expect(check('creds.accepted')).toMatchObject({ status: 'problem', cause: 'no-credential' });
    expect(code).toBe(4);
  });

  test('a tag that the repository does not have', async () => {
    const { registry, home, trust } = await aliceAt();
    const { check, code } = await doctor([`${registry.host}/team/app:2.0`, ...trust], home);
    expect(check('repository.access')).toMatchObject({
      cause: 'image-missing',
      fix: { command: `reg tags ${registry.host}/team/app` },
    });
    expect(code).toBe(3);
  });

  test('Q55: a /v2/ that lets everyone in does not hide a wrong password', async () => {
    const registry = await registryFor({
      ...declared,
      faults: [{ kind: 'status', status: 200, body: '{}', path: '/v2/', times: Number.POSITIVE_INFINITY }],
    });
    const wrong = canary('wrong password');
    allow(wrong, registry.tokenUrl);
    const home = homeWith({ [registry.host]: login('alice', wrong) });
    const trust = ['--trust-realm', registry.pair.realm];
    const { check } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(check('creds.accepted')?.cause).toBe('wrong-password');
    // What asks is the repository.
    expect(check('challenge.parse')).toMatchObject({
      status: 'ok',
      summary: expect.stringMatching(/^bearer/),
    });
    expect(check('challenge.realm')?.status).toBe('ok');
    expect(check('realm.reach')?.status).toBe('ok');
  });

  test('how to look again has the user that was given', async () => {
    const registry = await registryFor({ ...declared, auth: 'basic' });
    const wrong = canary('wrong password');
    allow(wrong, registry.url);
    const { stdout } = await run(['doctor', registry.host, '-u', 'alice', '--password-stdin'], {
      env: { HOME: homeWith({}) },
      stdin: wrong,
    });
    expect(stdout).toContain('-u alice --password-stdin --only creds.accepted\n');
  });

  test.each([
    [(response: ServerResponse): unknown => response.destroy(), 'connection-broken', 'not known: '],
    [
      (response: ServerResponse): unknown => response.writeHead(502).end(),
      'registry-error',
      'not known: it answers 502 to it',
    ],
  ] as const)('%#: a password without a verdict is not called good', async (answer, cause, words) => {
    const host = await serve((request, response) => {
      if (request.headers.authorization !== undefined) answer(response);
      else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    });
    const made = canary('made up');
    allow(made, `http://${host}`);
    const { diagnosis, check } = await doctor(
      [`${host}/team/app`, '--retries', '0'],
      homeWith({ [host]: login('alice', made) }),
    );
    expect(check('creds.accepted')).toMatchObject({ status: 'skipped' });
    expect(check('creds.accepted')?.summary).toContain(words);
    expect(diagnosis.checks.filter(({ status }) => status === 'problem')).toMatchObject([
      { id: 'repository.access', cause },
    ]);
  });

  test('a password that was kept from a proxy is not called good', async () => {
    const proxy = await serve((_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    });
    const { stdout } = await run(['doctor', 'registry.test/team/app', '--plain-http', '-o', 'json'], {
      env: {
        HOME: homeWith({ 'registry.test': login('alice', canary('made up')) }),
        http_proxy: `http://${proxy}`,
      },
    });
    const { checks } = matchesSchema('doctor', stdout) as Diagnosis;
    expect(checks.find(({ id }) => id === 'creds.accepted')).toMatchObject({
      status: 'skipped',
      summary: expect.stringContaining('not known: '),
    });
    expect(checks.filter(({ status }) => status === 'problem')).toMatchObject([
      { id: 'repository.access', cause: 'proxy-in-the-way' },
    ]);
  });

  test('Q34: of a given password that breaks a public pull, that it is not needed', async () => {
    const registry = await registryFor(declared);
    const wrong = canary('wrong password');
    allow(wrong, registry.tokenUrl);
    const args = [`${registry.host}/library/busybox`, '--trust-realm', registry.pair.realm];
    const { stdout } = await run(['doctor', ...args, '-u', 'alice', '--password-stdin', '-o', 'json'], {
      env: { HOME: homeWith({}) },
      stdin: wrong,
    });
    const { checks } = matchesSchema('doctor', stdout) as Diagnosis;
    const { cause, fix } = checks.find(({ id }) => id === 'creds.accepted') ?? expect.unreachable();
    expect(cause).toBe('expired-password-breaks-public-pull');
    expect(fix?.command).toMatch(/ --anonymous$/);
  });

  test('an identity token that its server replaced is kept: looking twice signs nobody out', async () => {
    const identityToken = canary('identity token');
    const registry = await registryFor({
      ...declared,
      auth: 'oauth2',
      users: { alice: { password, identityToken } },
      tokens: { rotateRefreshTokens: true },
    });
    const home = homeWith({ [registry.host]: { identitytoken: identityToken } });
    for (let time = 0; time < 2; time++) {
      const { diagnosis } = await doctor(
        [`${registry.host}/team/app`, '--trust-realm', registry.pair.realm],
        home,
      );
      expect(diagnosis.problems).toBe(0);
    }
    expect(readFileSync(configIn(home), 'utf8')).not.toContain(identityToken);
  });

  test('Q35: a token server that answers 403 to who asks for nothing in particular', async () => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      faults: [{ server: 'token', kind: 'status', status: 403, times: Number.POSITIVE_INFINITY }],
    });
    const { check } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(check('creds.accepted')?.cause).toBe('wrong-password');
  });

  test('nothing is kept for other commands, nor taken from what they kept', async () => {
    const { registry, home, trust } = await aliceAt();
    await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(existsSync(join(home, '.cache'))).toBe(false);
  });

  test.each(['https://elsewhere.example/x', 'http://127.0.0.1:1/x', '//elsewhere.example/x'])(
    'an upload that goes on at %s is taken back nowhere',
    async (location) => {
      const { registry, home, trust } = await aliceAt({
        ...declared,
        faults: [{ kind: 'status', method: 'POST', status: 202, headers: { Location: location } }],
      });
      await doctor([`${registry.host}/team/app`, '--push', ...trust], home);
      expect(registry.count({ method: 'DELETE' })).toBe(0);
    },
  );

  test('a clock that is off here alone is a warning', async () => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      tokens: { format: 'jwt' },
      clock: () => Date.now() + 90_000,
    });
    const { check, code } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(check('clock.skew')?.evidence.join()).toContain('1 min 30 s ahead');
    expect(check('clock.skew')).toMatchObject({ status: 'warning', cause: 'clock-skew' });
    expect(code).toBe(0);
  });

  test('of a token that says nothing, that it lacks push is found by what it is refused', async () => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      repositories: { 'team/app': { tags: ['1.0'], access: { alice: ['pull'] } } },
    });
    const { check, code } = await doctor([`${registry.host}/team/app`, '--push', ...trust], home);
    expect(check('scope.grant')?.status).toBe('ok');
    expect(check('upload.location')).toMatchObject({ status: 'problem', cause: 'token-lacks-push' });
    expect(code).toBe(5);
  });

  test('a web page in the place of a registry', async () => {
    const host = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<html>Welcome</html>');
    });
    const { check, code } = await doctor([`${host}/team/app`]);
    expect(check('v2.ping')).toMatchObject({ status: 'problem', cause: 'not-a-registry' });
    expect(code).toBe(9);
  });

  test('a page of a proxy that nobody named', async () => {
    const host = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html', via: '1.1 filter.corp' });
      response.end('<html>Sign in</html>');
    });
    const { check } = await doctor([`${host}/team/app`]);
    expect(check('v2.ping')?.cause).toBe('proxy-in-the-way');
  });

  test('a registry that is at another place than its name', async () => {
    const { registry, home, trust } = await aliceAt({ ...declared, auth: 'none' });
    const host = await serve(({ url }, response) => {
      response.writeHead(307, { location: `${registry.url}${url}` }).end();
    });
    const { check, diagnosis } = await doctor([`${host}/team/app`, ...trust], home);
    expect(check('v2.ping')?.summary).toContain('200');
    expect(diagnosis.problems).toBe(0);
  });

  test('a plain http registry is asked for through a proxy, and no password is given to that', async () => {
    const seen: string[] = [];
    const proxy = await serve(({ method, url, headers }, response) => {
      seen.push(`${method} ${url} ${headers.authorization ?? 'nobody'}`);
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end();
    });
    const home = homeWith({ 'registry.example:5000': login('alice', canary('password')) });
    const { stdout, code } = await run(['doctor', 'registry.example:5000', '--plain-http', '-o', 'json'], {
      env: { HOME: home, http_proxy: `http://${proxy}` },
    });
    const { checks } = matchesSchema('doctor', stdout) as Diagnosis;
    expect(checks.find(({ id }) => id === 'tcp.connect')?.summary).toContain('as far as');
    expect(checks.filter(({ status }) => status === 'problem')).toMatchObject([
      { cause: 'proxy-in-the-way' },
    ]);
    expect(code).toBe(6);
    expect(seen).toEqual(['GET http://registry.example:5000/v2/ nobody']);
  });

  test('a registry that says nothing is not waited for', async () => {
    const host = await serve(() => {});
    const { check, code } = await doctor([`${host}/team/app`, '--timeout', '0.3']);
    expect(check('v2.ping')).toMatchObject({ status: 'problem', cause: 'connection-timeout' });
    expect(code).toBe(6);
  });

  test('--timeout is kept before the first request too', async () => {
    // Accepts, and says nothing to a TLS hello.
    const server = createTcpServer((socket) => void socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as AddressInfo;
    const at = `registry.example:${port}`;
    const { check } = await doctor([at, '--resolve', `${at}:127.0.0.1`, '--timeout', '0.3']);
    expect(check('tls.chain')).toMatchObject({ status: 'problem', cause: 'connection-timeout' });
    expect(check('tls.chain')?.evidence.join()).toContain('no answer for 0.3 s');
  });

  test('an answer that drips is not waited for to its end', async () => {
    const host = await serve((_, response) => {
      response.writeHead(200, { 'docker-distribution-api-version': 'registry/2.0' });
      const drops = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drops));
    });
    const { check, code } = await doctor([host, '--timeout', '0.3']);
    expect(check('repository.access')).toMatchObject({ status: 'problem', cause: 'connection-timeout' });
    expect(check('repository.access')?.evidence.join()).toContain('no end of the answer within 0.3 s');
    expect(code).toBe(6);
  });

  test('nothing listens there', async () => {
    const { check, code } = await doctor(['127.0.0.1:1/team/app']);
    expect(check('tcp.connect')).toMatchObject({ status: 'problem', cause: 'connection-refused' });
    expect(code).toBe(6);
  });

  test('a token server that asks to wait is not asked again', async () => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      faults: [{ server: 'token', kind: 'retry-after', value: 7, times: Number.POSITIVE_INFINITY }],
    });
    const { check, code } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(check('rate.limit')).toMatchObject({ status: 'problem', cause: 'rate-limited' });
    expect(check('rate.limit')?.fix?.command).toMatch(/^sleep 7; reg doctor /);
    expect(code).toBe(7);
    expect(registry.count({ server: 'token' })).toBe(1);
  });

  test.each([
    [{ kind: 'wrong-json' }, 'token-unusable'],
    [{ kind: 'redirect', location: 'https://elsewhere.example/' }, 'token-unusable'],
    [{ kind: 'status', status: 404 }, 'token-unusable'],
    [{ kind: 'reset', at: 'before-head' }, 'realm-unreachable'],
  ] as const)('a token server with %j', async (fault, cause) => {
    const { registry, home, trust } = await aliceAt({
      ...declared,
      faults: [{ server: 'token', times: Number.POSITIVE_INFINITY, ...fault }],
    });
    const { diagnosis } = await doctor([`${registry.host}/team/app`, ...trust], home);
    expect(diagnosis.checks.filter(({ status }) => status === 'problem')).toMatchObject([{ cause }]);
  });

  test('a realm where a cloud keeps credentials is never asked', async () => {
    const registry = await registryFor({
      ...declared,
      faults: [{ kind: 'realm', realm: 'https://169.254.169.254/token', times: Number.POSITIVE_INFINITY }],
    });
    const { check } = await doctor([`${registry.host}/team/app`]);
    expect(check('challenge.realm')).toMatchObject({ cause: 'realm-forbidden' });
  });
});

describe('while it looks', () => {
  test('Ctrl-C ends it', async () => {
    const stop = new AbortController();
    const host = await serve(() => stop.abort(new Stop(130)));
    const { code, stdout } = await run(['doctor', host], {
      env: { HOME: homeWith({}) },
      signal: stop.signal,
    });
    expect(code).toBe(130);
    expect(stdout).toBe('');
  });

  test('-v tells each request, and shows what was seen of what is good', async () => {
    const { registry, home, trust } = await aliceAt();
    const { stdout, stderr } = await run(['doctor', `${registry.host}/team/app`, ...trust, '-v'], {
      env: { HOME: home },
    });
    expect(stderr).toContain(`→ GET ${registry.url}/v2/`);
    expect(stdout).toContain('WWW-Authenticate: Bearer realm=');
  });

  test('a name that is short for another is told', async () => {
    const { stderr } = await run(['doctor', 'busybox', '--offline'], { env: { HOME: homeWith({}) } });
    expect(stderr).toBe('reg: busybox is short for docker.io/library/busybox\n');
  });

  test('a secret that a server gives back is not repeated', async () => {
    const registry = await registryFor({ ...declared, auth: 'basic' });
    const wrong = canary('wrong password');
    allow(wrong, registry.url);
    registry.faults.add({
      kind: 'status',
      status: 401,
      after: 1,
      times: Number.POSITIVE_INFINITY,
      headers: { 'WWW-Authenticate': 'Basic realm="registry"' },
      body: JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: `no user alice with ${wrong}` }] }),
    });
    const home = homeWith({ [registry.host]: login('alice', wrong) });
    const { check } = await doctor([`${registry.host}/team/app`], home);
    expect(check('creds.accepted')?.evidence).toEqual(['it says: UNAUTHORIZED: no user alice with •••']);
  });
});

describe('TLS', () => {
  test('an https registry that is asked over plain http is to be asked by https', async () => {
    const server = await serveTls(authority().server(), (_, response) => response.end('{}'));
    const { diagnosis } = await doctor([`${server.host}/team/app`, '--plain-http']);
    expect(diagnosis.checks.filter(({ status }) => status === 'problem')).toMatchObject([
      {
        id: 'v2.ping',
        cause: 'registry-speaks-https',
        fix: { command: `reg doctor https://${server.host}` },
      },
    ]);
    const { check } = await doctor([`http://${server.host}`]);
    expect(check('v2.ping')?.fix?.command).toBe(`reg doctor https://${server.host}`);
  });

  test.each([
    ['SSH-2.0-OpenSSH_9.2\r\n', 'not-a-registry'],
    ['HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 'registry-speaks-http'],
  ])('what is no TLS is asked for http before it is called so: %j', async (words, cause) => {
    const server = createTcpServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end(words),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as AddressInfo;
    const at = `registry.example:${port}`;
    const { check } = await doctor([at, '--resolve', `${at}:127.0.0.1`]);
    expect(check('tls.chain')).toMatchObject({ status: 'problem', cause });
  });

  test('--insecure is a warning that says what is wrong with the certificate', async () => {
    const server = await serveTls(authority().server(), (_, response) => response.end('{}'));
    const at = `registry.example:${server.port}`;
    const there = ['--resolve', `${at}:127.0.0.1`];
    const { check, code } = await doctor([at, '--insecure', ...there]);
    expect(check('tls.chain')).toMatchObject({ status: 'warning', cause: 'certificate-unchecked' });
    expect(code).toBe(0);
    const { check: verified } = await doctor([at, ...there]);
    expect(verified('tls.chain')).toMatchObject({ status: 'problem' });
  });

  test('a certificate that ends soon is a warning', async () => {
    const signer = authority();
    const home = homeWith({});
    writeFileSync(join(home, 'ca.crt'), signer.ca);
    const until = Date.now() + 5 * 86_400_000;
    const server = await serveTls(signer.server({ names: ['registry.example'], until }), (_, response) =>
      response.end('{}'),
    );
    const at = `registry.example:${server.port}`;
    const { check } = await doctor(
      [at, '--ca-file', join(home, 'ca.crt'), '--resolve', `${at}:127.0.0.1`],
      home,
    );
    expect(check('tls.chain')).toMatchObject({ status: 'warning', cause: 'certificate-ends-soon' });
    expect(check('tls.chain')?.summary).toMatch(/4 days left/);
  });

  // Its certificate has an EC key.
  const unshared = 'ECDHE-RSA-AES128-GCM-SHA256';

  test.each<[TlsOptions, CauseId]>([
    [{ maxVersion: 'TLSv1.3' }, 'client-certificate-wanted'],
    [{ maxVersion: 'TLSv1.2' }, 'client-certificate-wanted'],
    [{ maxVersion: 'TLSv1.2', ciphers: unshared }, 'certificate-refused'],
    [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }, 'tls-version-too-old'],
  ])('a registry that wants a client certificate over %j', async (options, cause) => {
    const signer = authority();
    const home = homeWith({});
    writeFileSync(join(home, 'ca.crt'), signer.ca);
    const server = await serveTls(
      {
        ...signer.server({ names: ['registry.example'] }),
        ca: signer.ca,
        requestCert: true,
        rejectUnauthorized: true,
        ...options,
      },
      (_, response) => response.end('{}'),
    );
    const at = `registry.example:${server.port}`;
    const { diagnosis } = await doctor(
      [at, '--ca-file', join(home, 'ca.crt'), '--resolve', `${at}:127.0.0.1`],
      home,
    );
    expect(diagnosis.checks.find(({ status }) => status === 'problem')?.cause).toBe(cause);
  });
});
