import { describe, expect, test } from 'vitest';
import { allow, canary, type ErrorShape, type RegistryOptions } from '../src/index.ts';
import { registryFor } from './setup.ts';
import { basic, parsed, send } from './wire.ts';

const password = canary('password');
const identityToken = canary('identity token');
const wrong = canary('wrong password');

interface TokenBody {
  token?: string;
  access_token?: string;
  refresh_token?: string;
  expires_in?: number;
  issued_at?: string;
  scope?: string;
}

async function start(options: Partial<RegistryOptions> = {}) {
  const registry = await registryFor({
    auth: 'oauth2',
    users: { alice: { password, identityToken }, bob: password },
    repositories: {
      'a/b': { access: { alice: ['pull', 'push'], bob: ['pull'] } },
      'a/open': { visibility: 'public' },
    },
    ...options,
  });
  allow(wrong, registry.tokenUrl);
  return registry;
}

const post = (url: string, form: Record<string, string>) =>
  send(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });

const client = { service: 'test-registry', client_id: 'test' };

describe('GET', () => {
  test('answers token and access_token alike, expires_in and issued_at by the clock', async () => {
    const { tokenUrl } = await start({ clock: () => Date.UTC(2026, 0, 2) });
    const answer = await send(tokenUrl, { headers: basic('alice', password) });
    const body = parsed<TokenBody>(answer);
    expect(answer.status).toBe(200);
    expect(body).toEqual({
      token: body.access_token,
      access_token: expect.any(String),
      expires_in: 300,
      issued_at: '2026-01-02T00:00:00.000Z',
    });
  });

  test('expires_in can be absent; the token then lives the 60 s that means (requirement 71)', async () => {
    let now = 0;
    const { url, tokenUrl } = await start({ clock: () => now, tokens: { expiresIn: null } });
    const body = parsed<TokenBody>(await send(`${tokenUrl}?service=test-registry`));
    expect(body).not.toHaveProperty('expires_in');
    const headers = { Authorization: `Bearer ${body.token}` };
    now = 59_000;
    expect((await send(`${url}/v2/`, { headers })).status).toBe(200);
    now = 60_000;
    expect((await send(`${url}/v2/`, { headers })).status).toBe(401);
  });

  test('a wrong password, an unknown user and another scheme are refused, not taken for anonymous', async () => {
    const { tokenUrl } = await start();
    for (const headers of [basic('alice', wrong), basic('mallory', wrong), { Authorization: 'Bearer x' }]) {
      const answer = await send(tokenUrl, { headers });
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([
        401,
        'Basic realm="token server"',
      ]);
    }
  });

  test('account must be the user that authenticates (Q37)', async () => {
    const { tokenUrl } = await start();
    const headers = basic('alice', password);
    expect((await send(`${tokenUrl}?account=alice`, { headers })).status).toBe(200);
    const other = await send(`${tokenUrl}?account=bob`, { headers });
    expect([other.status, other.text]).toEqual([400, 'user and account are not the same']);
  });

  test('a refresh token comes on offline_token=true, for users only', async () => {
    const { tokenUrl } = await start();
    const headers = basic('alice', password);
    expect(parsed(await send(tokenUrl, { headers }))).not.toHaveProperty('refresh_token');
    expect(parsed(await send(`${tokenUrl}?offline_token=true`))).not.toHaveProperty('refresh_token');
    const { refresh_token = '' } = parsed<TokenBody>(
      await send(`${tokenUrl}?offline_token=true`, { headers }),
    );
    const form = {
      ...client,
      grant_type: 'refresh_token',
      refresh_token,
      scope: 'repository:a/b:pull,push,delete',
    };
    expect(parsed<TokenBody>(await post(tokenUrl, form)).scope).toBe('repository:a/b:pull,push');
  });

  test('several scope parameters, opaque and unknown ones among them (Q14)', async () => {
    const { url, tokenUrl } = await start();
    const query = new URLSearchParams({ service: 'test-registry' });
    for (const scope of [
      'repository:a/b:pull',
      'aws',
      '*',
      'repository:none:pull',
      'repository:a/open:pull',
    ]) {
      query.append('scope', scope);
    }
    const { token } = parsed<TokenBody>(
      await send(`${tokenUrl}?${query}`, { headers: basic('bob', password) }),
    );
    const headers = { Authorization: `Bearer ${token}` };
    expect((await send(`${url}/v2/a/b/tags/list`, { headers })).status).toBe(200);
    expect((await send(`${url}/v2/a/open/tags/list`, { headers })).status).toBe(200);
    expect((await send(`${url}/v2/none/tags/list`, { headers })).status).toBe(401);
  });

  test('the endpoint is also at the registry’s own origin', async () => {
    const { url } = await start();
    expect((await send(`${url}/token`)).status).toBe(200);
  });
});

describe('POST', () => {
  test('a password grant says what was granted, with a refresh token on access_type=offline', async () => {
    const { tokenUrl } = await start();
    const form = { ...client, grant_type: 'password', username: 'bob', password };
    const answer = await post(tokenUrl, {
      ...form,
      scope: 'repository:a/b:pull,push repository:a/open:pull',
    });
    expect(parsed(answer)).toEqual({
      access_token: expect.any(String),
      scope: 'repository:a/b:pull repository:a/open:pull',
      expires_in: 300,
      issued_at: expect.any(String),
    });
    const offline = parsed<TokenBody>(await post(tokenUrl, { ...form, access_type: 'offline' }));
    expect(offline.refresh_token).toEqual(expect.any(String));
  });

  test('a declared identity token is a refresh token; it stays valid', async () => {
    const { tokenUrl } = await start();
    const form = { ...client, grant_type: 'refresh_token', refresh_token: identityToken };
    for (const _ of [1, 2]) {
      const body = parsed<TokenBody>(await post(tokenUrl, form));
      expect(body).not.toHaveProperty('refresh_token');
    }
  });

  test('with rotation each use ends a refresh token and returns the next', async () => {
    const { tokenUrl } = await start({ tokens: { rotateRefreshTokens: true } });
    const use = (refresh_token: string) =>
      post(tokenUrl, { ...client, grant_type: 'refresh_token', refresh_token });
    const { refresh_token: second = '' } = parsed<TokenBody>(await use(identityToken));
    expect((await use(identityToken)).status).toBe(400);
    expect((await use(second)).status).toBe(200);
    expect((await use(second)).status).toBe(400);
  });

  test.each([
    [
      'a wrong password',
      { ...client, grant_type: 'password', username: 'bob', password: wrong },
      'invalid_grant',
    ],
    [
      'an unknown refresh token',
      { ...client, grant_type: 'refresh_token', refresh_token: wrong },
      'invalid_grant',
    ],
    ['another grant type', { ...client, grant_type: 'magic' }, 'unsupported_grant_type'],
    ['no client_id', { service: 'test-registry', grant_type: 'password' }, 'invalid_request'],
    ['no service', { client_id: 'test', grant_type: 'password' }, 'invalid_request'],
  ])('%s is 400 (RFC 6749 §5.2)', async (_, form, error) => {
    const { tokenUrl } = await start();
    const answer = await post(tokenUrl, form);
    expect([answer.status, parsed<{ error: string }>(answer).error]).toEqual([400, error]);
  });

  test('another content type is not read', async () => {
    const { tokenUrl } = await start();
    const answer = await send(tokenUrl, { method: 'POST', body: 'grant_type=password' });
    expect(parsed<{ error: string }>(answer).error).toBe('invalid_request');
  });

  test('is not there when the registry is bearer: 404 sends clients to GET (requirement 63)', async () => {
    const { tokenUrl } = await start({ auth: 'bearer' });
    expect((await post(tokenUrl, client)).status).toBe(404);
  });
});

describe('error bodies (Q40)', () => {
  const bodies: Record<ErrorShape, [number, string, RegExp]> = {
    oci: [401, 'application/json', /^\{"errors":\[\{"code":"UNAUTHORIZED"/],
    oauth: [400, 'application/json', /^\{"error":"invalid_grant","error_description":/],
    details: [401, 'application/json', /^\{"details":"incorrect username or password"\}$/],
    text: [401, 'text/plain', /^Auth failed/],
    html: [401, 'text/html', /^<html>/],
  };
  test.each(Object.entries(bodies))('%s', async (shape, [status, type, text]) => {
    const { tokenUrl } = await start({ tokens: { errors: shape as ErrorShape } });
    const answer = await send(tokenUrl, { headers: basic('alice', wrong) });
    expect([answer.status, answer.headers['content-type']]).toEqual([status, type]);
    expect(answer.text).toMatch(text);
  });
});

test.each([
  ['PUT', '/token'],
  ['GET', '/elsewhere'],
])('%s %s is 404', async (method, path) => {
  const { tokenUrl } = await start();
  expect((await send(new URL(path, tokenUrl).href, { method })).status).toBe(404);
});
