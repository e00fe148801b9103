import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

describe('reg ping', () => {
  test('says who answered, and whom it wants to see', async () => {
    const bearer = await registryFor({ auth: 'bearer', users: { alice: canary('password') } });
    const basic = await registryFor({ auth: 'basic', users: { alice: canary('password') } });
    const open = await registryFor({ auth: 'none' });
    const ran = await run(['ping', bearer.host, basic.host, `${open.host}/`]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const lines = ran.stdout.split('\n');
    const realm = new URL(bearer.tokenUrl).host;
    expect(lines[0]).toMatch(new RegExp(`^${bearer.host} +${bearer.host}  401 bearer ${realm}  \\d+ ms$`));
    expect(lines[1]).toMatch(new RegExp(`^${basic.host} +${basic.host}  401 basic  \\d+ ms$`));
    expect(lines[2]).toMatch(new RegExp(`^${open.host} +${open.host}  200  \\d+ ms$`));
    expect(lines.slice(3)).toEqual(['']);
  });

  test('sends one bare request, whatever credential there is, and asks no token server', async () => {
    const password = canary('password');
    const registry = await registryFor({ auth: 'bearer', users: { alice: password } });
    const auth = Buffer.from(`alice:${password}`).toString('base64');
    const config = JSON.stringify({ auths: { [registry.host]: { auth } } });
    const ran = await run(['ping', registry.host], { env: { DOCKER_AUTH_CONFIG: config } });
    expect(ran.code).toBe(0);
    expect(registry.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /v2/']);
    expect(registry.requests[0]?.headers['authorization']).toBeUndefined();
  });

  test('--count asks that often, on one connection', async () => {
    const { host, requests } = await registryFor({ auth: 'none' });
    const ran = await run(['ping', host, '--count', '3', '-o', 'ndjson']);
    const answer = { totalMs: expect.any(Number), lookupMs: null, tlsMs: null, waitMs: expect.any(Number) };
    expect(matchesSchema('ping#/$defs/registry', ran.stdout)).toMatchObject({
      registry: host,
      url: `http://${host}/v2/`,
      status: 200,
      scheme: null,
      answers: [
        { ...answer, connectMs: expect.any(Number) },
        { ...answer, connectMs: null },
        { ...answer, connectMs: null },
      ],
      exitCode: 0,
      error: null,
    });
    expect(requests).toHaveLength(3);
    const { stdout } = await run(['ping', host, '--count', '3']);
    expect(stdout).toMatch(/ {2}\d+\/\d+\/\d+ ms \(least\/median\/most of 3\)\n$/);
  });

  test('-o json is one document, a failed registry in its place', async () => {
    const good = await registryFor({ auth: 'bearer', users: {}, service: 'reg' });
    const gone = await registryFor({ auth: 'none' });
    await gone.close();
    const ran = await run(['ping', gone.host, good.host, '-o', 'json']);
    expect(ran.code).toBe(6);
    expect(matchesSchema('ping', ran.stdout)).toMatchObject({
      registries: [
        {
          registry: gone.host,
          status: null,
          answers: [],
          exitCode: 6,
          error: expect.stringContaining('ECONNREFUSED'),
        },
        { registry: good.host, status: 401, scheme: 'bearer', service: 'reg', exitCode: 0, error: null },
      ],
    });
  });

  test('of several the worst decides, and the hint leads on', async () => {
    const good = await registryFor({ auth: 'none' });
    const ill = await registryFor({ auth: 'none' });
    ill.faults.add({ kind: 'status', status: 503 });
    const mute = await registryFor({ auth: 'none' });
    mute.faults.add({ kind: 'status', status: 401 });
    const ran = await run(['ping', good.host, ill.host, mute.host]);
    expect(ran).toMatchObject({
      code: 9,
      stderr: expect.stringMatching(/^reg: 2 of 3 cannot be used\. http.* answered 401 and says nothing/),
    });
    expect(hintIn(ran)).toBe(`reg doctor ${mute.host}`);
  });

  test('a web page is no registry; one of a registry that says so is', async () => {
    const { host, faults } = await registryFor({ auth: 'none' });
    const page = { kind: 'status', status: 200, body: '<h1>Welcome to nginx!</h1>' } as const;
    faults.add({ ...page, headers: { 'Content-Type': 'text/html; charset=utf-8' } });
    const ran = await run(['ping', host, '-o', 'json']);
    expect(ran.code).toBe(9);
    expect(matchesSchema('ping', ran.stdout)).toMatchObject({
      registries: [{ status: 200, exitCode: 9, error: expect.stringContaining('this is no registry') }],
    });
    const headers = { 'Content-Type': 'text/html', 'Docker-Distribution-Api-Version': 'registry/2.0' };
    const asking = { 'Content-Type': 'text/html', 'WWW-Authenticate': 'Basic realm="nginx"' };
    for (const good of [{ headers }, { headers: asking, status: 401 }]) {
      faults.clear();
      faults.add({ ...page, ...good });
      expect(await run(['ping', host])).toMatchObject({ code: 0, stderr: '' });
    }
  });

  test('--max-time ends a request that takes longer', async () => {
    const { host, faults } = await registryFor({ auth: 'none' });
    faults.add({ kind: 'stall', at: 'before-head' });
    const ran = await run(['ping', host, '--max-time', '0.05']);
    expect(ran).toMatchObject({
      code: 6,
      stdout: expect.stringMatching(/ {2}no answer\n$/),
      stderr: expect.stringContaining('took longer than the 0.05 s of --max-time'),
    });
    expect(hintIn(ran)).toBe(`reg ping ${host}`);
  });

  test('a redirect is an answer, and is not followed', async () => {
    const { host, faults, requests } = await registryFor({ auth: 'none' });
    faults.add({ kind: 'redirect', location: 'https://elsewhere.example/' });
    expect(await run(['ping', host])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('answered 307'),
    });
    expect(requests).toHaveLength(1);
  });

  test('what a server writes into its challenge is made visible', async () => {
    const { host, faults } = await registryFor({ auth: 'none' });
    faults.add({ kind: 'challenge', values: ['Bearer realm="https://a\u001b[31m.example/token"'] });
    const { stdout } = await run(['ping', host]);
    expect(stdout).not.toContain('\u001b');
  });

  test.each([
    ['Bearer realm="https://me:hush@auth.example/token?key=hush"', 'https://auth.example/token'],
    ['Basic realm="https://me:hush@auth.example/?key=hush"', 'https://auth.example'],
    ['Basic realm="Who? Staff: only"', 'Who? Staff: only'],
  ])('of %s the realm is told without a secret', async (challenge, realm) => {
    const { host, faults } = await registryFor({ auth: 'basic', users: { alice: canary('password') } });
    faults.add({ kind: 'challenge', values: [challenge] });
    const { stdout } = await run(['ping', host, '-o', 'json']);
    expect(matchesSchema('ping', stdout)).toMatchObject({ registries: [{ realm }] });
  });

  test('Docker Hub answers at its own host', async () => {
    const args = ['ping', 'docker.io', 'https://index.docker.io/v1/', '-o', 'json'];
    const nowhere = ['--resolve', 'registry-1.docker.io:443:127.0.0.1', '--timeout', '1'];
    const { stdout } = await run([...args, ...nowhere]);
    const each = { registry: 'docker.io', url: 'https://registry-1.docker.io/v2/' };
    expect(matchesSchema('ping', stdout)).toMatchObject({ registries: [each, each] });
  });

  test.each([
    [['ping'], /missing required argument/],
    [['ping', 'a/b/c'], /about a whole registry/],
    [['ping', 'gh\u0007cr.io'], /no host name/],
    [['ping', 'x'.repeat(1_000_000)], /too long/],
    [['ping', 'https://u:p@r.example/'], /seen by every process/],
    [['ping', 'ghcr.io?x'], /no host name/],
    [['ping', 'ghcr.io', '--count', '0'], /--count takes a whole number from 1/],
    [['ping', 'ghcr.io', '--count', '1e9'], /--count/],
    [['ping', 'ghcr.io', '--max-time', '-1'], /--max-time takes seconds/],
    [['ping', 'ghcr.io', '--max-time', ''], /--max-time takes seconds/],
  ])('%j is no ping', async (args, message) => {
    const ran = await run(args);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    expect(ran.stderr.length).toBeLessThan(3_000);
    expect(hintIn(ran)).toMatch(/^reg /);
  });
});
