import { describe, expect, test } from 'vitest';
import { canary, image, type RegistryOptions } from '../src/index.ts';
import { registryFor } from './setup.ts';
import { basic, parsed, send } from './wire.ts';

const password = canary('password');

const repositories = {
  'team/open': { visibility: 'public', tags: ['1'] },
  'team/closed': { tags: ['1'], access: { alice: ['pull', 'push'], bob: ['pull'], root: ['*'] } },
  'team/other': { tags: ['2'], access: { alice: ['pull'] } },
} as const;

const start = (options: RegistryOptions) =>
  registryFor({ users: { alice: password, bob: password, root: password }, repositories, ...options });

/** A token for `scope` from the token server. */
async function tokenFor(tokenUrl: string, user: string | null, ...scopes: string[]): Promise<string> {
  const query = new URLSearchParams({ service: 'test-registry' });
  for (const scope of scopes) query.append('scope', scope);
  const answer = await send(`${tokenUrl}?${query}`, user === null ? {} : { headers: basic(user, password) });
  return parsed<{ token: string }>(answer).token;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('basic', () => {
  const closed = '/v2/team/closed/tags/list';

  test.each([
    ['no header', {}, '/v2/', 401],
    ['no header', {}, closed, 401],
    ['no header, public repository', {}, '/v2/team/open/tags/list', 200],
    ['the right password', basic('alice', password), closed, 200],
    ['the right password, ping', basic('alice', password), '/v2/', 200],
    ['a wrong password', basic('alice', 'wrong'), closed, 401],
    ['a wrong password, public repository', basic('alice', 'wrong'), '/v2/team/open/tags/list', 401],
    ['a user without access', basic('bob', password), '/v2/team/other/tags/list', 403],
  ])('%s: %#', async (_, headers, path, status) => {
    const { url } = await start({ auth: 'basic' });
    const answer = await send(url + path, { headers });
    expect(answer.status).toBe(status);
    expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Basic realm="registry"' : undefined);
  });
});

describe('bearer', () => {
  test.each([
    ['GET', '/v2/', ''],
    ['GET', '/v2/team/closed/tags/list', ',scope="repository:team/closed:pull"'],
    ['HEAD', '/v2/team/closed/manifests/1', ',scope="repository:team/closed:pull"'],
    ['PUT', '/v2/team/closed/manifests/1', ',scope="repository:team/closed:pull,push"'],
    ['DELETE', '/v2/team/closed/manifests/1', ',scope="repository:team/closed:delete"'],
    ['GET', '/v2/_catalog', ',scope="registry:catalog:*"'],
    [
      'POST',
      '/v2/team/closed/blobs/uploads/?mount=sha256:0&from=team/other',
      ',scope="repository:team/closed:pull,push repository:team/other:pull"',
    ],
  ])('%s %s is challenged with the scope it needs', async (method, path, scope) => {
    const { url, tokenUrl } = await start({ auth: 'bearer' });
    const answer = await send(url + path, { method });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="${tokenUrl}",service="test-registry"${scope}`,
    );
    const body = { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail: null }] };
    if (method !== 'HEAD') expect(parsed(answer)).toEqual(body);
  });

  test('service can be left out of the challenge; a token asked without it is taken then (Q11)', async () => {
    const { url, tokenUrl } = await start({ auth: 'bearer', service: null });
    const answer = await send(`${url}/v2/`);
    expect(answer.headers['www-authenticate']).toBe(`Bearer realm="${tokenUrl}"`);
    const { token } = parsed<{ token: string }>(await send(tokenUrl, { headers: basic('alice', password) }));
    expect((await send(`${url}/v2/`, { headers: bearer(token) })).status).toBe(200);
  });

  test.each(['opaque', 'jwt'] as const)(
    'a %s token opens what it was issued for and no more',
    async (format) => {
      const registry = await start({ auth: 'bearer', tokens: { format } });
      const token = await tokenFor(registry.tokenUrl, 'alice', 'repository:team/closed:pull');
      const headers = bearer(token);
      expect((await send(`${registry.url}/v2/team/closed/tags/list`, { headers })).status).toBe(200);
      const other = await send(`${registry.url}/v2/team/other/tags/list`, { headers });
      expect([other.status, other.headers['www-authenticate']]).toEqual([
        401,
        expect.stringMatching(/scope="repository:team\/other:pull",error="insufficient_scope"$/),
      ]);
      const push = await send(`${registry.url}/v2/team/closed/blobs/uploads/`, { method: 'POST', headers });
      expect(push.headers['www-authenticate']).toMatch(/error="insufficient_scope"$/);
    },
  );

  test.each(['opaque', 'jwt'] as const)('a %s token ends with its life, to the second', async (format) => {
    let now = 1_700_000_000_000;
    const registry = await start({ auth: 'bearer', clock: () => now, tokens: { format, expiresIn: 60 } });
    const headers = bearer(await tokenFor(registry.tokenUrl, 'alice', 'repository:team/closed:pull'));
    const list = () => send(`${registry.url}/v2/team/closed/tags/list`, { headers });
    now += 59_999;
    expect((await list()).status).toBe(200);
    now += 1;
    const late = await list();
    expect([late.status, late.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/error="invalid_token"$/),
    ]);
  });

  test.each(['opaque', 'jwt'] as const)('a %s token for another service is refused (Q12)', async (format) => {
    const registry = await start({ auth: 'bearer', tokens: { format } });
    const answer = await send(`${registry.tokenUrl}?service=other`, { headers: basic('alice', password) });
    const { token } = parsed<{ token: string }>(answer);
    const refused = await send(`${registry.url}/v2/`, { headers: bearer(token) });
    expect(refused.headers['www-authenticate']).toMatch(/error="invalid_token"$/);
  });

  test('a token signed by another key, or with another payload, is refused', async () => {
    const tokens = { format: 'jwt' } as const;
    const registry = await start({ auth: 'bearer', tokens });
    const stranger = await start({ auth: 'bearer', tokens });
    const own = registry.issueToken('alice', 'repository:team/closed:pull');
    const [header, , signature] = own.split('.');
    const [, payload] = registry.issueToken('root', 'repository:team/closed:*').split('.');
    const foreign = stranger.issueToken('alice', 'repository:team/closed:pull');
    for (const [token, status] of [
      [own, 200],
      [`${header}.${payload}.${signature}`, 401],
      [own.slice(0, -6), 401],
      ['x', 401],
      ['', 401],
    ] as const) {
      const answer = await send(`${registry.url}/v2/team/closed/tags/list`, { headers: bearer(token) });
      expect(answer.status).toBe(status);
    }
    // Sent to its own registry under the other's name would be a leak; the header alone shows that the keys differ.
    expect(foreign.split('.')[0]).not.toBe(header);
  });

  test('Basic at a registry that wants Bearer is no token: challenged without an error', async () => {
    const { url } = await start({ auth: 'bearer' });
    const answer = await send(`${url}/v2/`, { headers: basic('alice', 'anything') });
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([
      401,
      expect.not.stringContaining('error='),
    ]);
  });

  test('anonymous tokens pull what is public', async () => {
    const { url, tokenUrl } = await start({ auth: 'bearer' });
    const scopes = ['repository:team/open:pull,push', 'repository:team/closed:pull'];
    const headers = bearer(await tokenFor(tokenUrl, null, ...scopes));
    expect((await send(`${url}/v2/team/open/tags/list`, { headers })).status).toBe(200);
    expect((await send(`${url}/v2/team/open/blobs/uploads/`, { method: 'POST', headers })).status).toBe(401);
    expect((await send(`${url}/v2/team/closed/tags/list`, { headers })).status).toBe(401);
    expect((await send(`${url}/v2/_catalog`, { headers })).status).toBe(401);
  });

  test('a mount from a repository the token cannot read becomes an upload (requirement 139)', async () => {
    const { url, tokenUrl } = await start({ auth: 'bearer' });
    const { digest } = image('2').layer;
    const target = `${url}/v2/team/closed/blobs/uploads/?mount=${digest}&from=team/other`;
    const push = 'repository:team/closed:pull,push';
    const blind = bearer(await tokenFor(tokenUrl, 'alice', push));
    expect((await send(target, { method: 'POST', headers: blind })).status).toBe(202);
    const sighted = bearer(await tokenFor(tokenUrl, 'alice', push, 'repository:team/other:pull'));
    expect((await send(target, { method: 'POST', headers: sighted })).status).toBe(201);
  });

  test('a refused request is refused before its body is read', async () => {
    const { url, requests } = await start({ auth: 'bearer' });
    await send(`${url}/v2/team/closed/blobs/uploads/?digest=sha256:0`, {
      method: 'POST',
      body: 'secret layer',
    });
    expect(requests).toMatchObject([{ method: 'POST', body: '', status: 401 }]);
  });

  test('issueToken makes a token without asking the token server', async () => {
    const registry = await start({ auth: 'bearer' });
    const headers = bearer(registry.issueToken('bob', 'repository:team/closed:pull,push'));
    expect((await send(`${registry.url}/v2/team/closed/tags/list`, { headers })).status).toBe(200);
    const push = await send(`${registry.url}/v2/team/closed/blobs/uploads/`, { method: 'POST', headers });
    expect(push.status).toBe(401);
    expect(registry.count({ server: 'token' })).toBe(0);
  });

  test('every action is covered by *', async () => {
    const registry = await start({ auth: 'bearer' });
    const headers = bearer(await tokenFor(registry.tokenUrl, 'root', 'repository:team/closed:*'));
    expect(
      (await send(`${registry.url}/v2/team/closed/manifests/1`, { method: 'DELETE', headers })).status,
    ).toBe(202);
  });
});
