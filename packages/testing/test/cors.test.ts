import { describe, expect, test } from 'vitest';
import type { CorsOptions } from '../src/index.ts';
import { registryFor } from './setup.ts';
import { type Answer, send } from './wire.ts';

const start = (cors: boolean | CorsOptions) =>
  registryFor({ auth: 'bearer', cors, repositories: { 'a/b': {} } });

const preflight = (url: string) =>
  send(url, {
    method: 'OPTIONS',
    headers: {
      Origin: 'https://page.test',
      'Access-Control-Request-Method': 'GET',
      'Access-Control-Request-Headers': 'authorization',
    },
  });

const listed = (answer: Answer, name: string) => String(answer.headers[name] ?? '').split(', ');

describe('off', () => {
  test('no header, and a preflight is a request like any other: 401 (Q75)', async () => {
    const { url } = await start(false);
    const answer = await preflight(`${url}/v2/`);
    expect(answer.status).toBe(401);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('on', () => {
  test('a preflight passes without authorization and names it (requirement 144)', async () => {
    const { url, tokenUrl } = await start(true);
    for (const target of [`${url}/v2/a/b/tags/list`, tokenUrl]) {
      const answer = await preflight(target);
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([204, '*']);
      expect(listed(answer, 'access-control-allow-headers')).toContain('Authorization');
      expect(listed(answer, 'access-control-allow-methods')).toContain('GET');
    }
  });

  test('the 401 can be read, challenge included (requirement 145)', async () => {
    const { url } = await start(true);
    const answer = await send(`${url}/v2/`);
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([401, '*']);
    expect(listed(answer, 'access-control-expose-headers')).toContain('WWW-Authenticate');
  });

  test('faults carry the headers too, and are not used up by a preflight', async () => {
    const registry = await start(true);
    registry.faults.add({ kind: 'status', status: 500 });
    registry.faults.add({ kind: 'challenge', values: ['Basic realm="x"'], after: 1 });
    await preflight(`${registry.url}/v2/`);
    for (const status of [500, 401]) {
      const answer = await send(`${registry.url}/v2/`);
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([status, '*']);
    }
  });
});

describe('as an operator got it wrong', () => {
  test.each<[string, CorsOptions, string, string | undefined]>([
    ['nothing exposed', { exposeHeaders: [] }, 'access-control-expose-headers', undefined],
    ['one header exposed', { exposeHeaders: ['Link'] }, 'access-control-expose-headers', 'Link'],
    ['another origin', { origin: 'https://ui.test' }, 'access-control-allow-origin', 'https://ui.test'],
    ['the registry left out', { servers: ['token'] }, 'access-control-allow-origin', undefined],
  ])('%s', async (_, cors, name, value) => {
    const { url } = await start(cors);
    expect((await send(`${url}/v2/`)).headers[name]).toBe(value);
  });

  test('on successes only, as nginx does without `always`', async () => {
    const { url } = await start({ statuses: [200, 204] });
    const preflighted = await preflight(`${url}/v2/`);
    const refused = await send(`${url}/v2/`);
    expect([preflighted, refused].map(({ headers }) => headers['access-control-allow-origin'])).toEqual([
      '*',
      undefined,
    ]);
  });

  test('Authorization not named, methods not named, preflight refused', async () => {
    const { url } = await start({ allowHeaders: ['Accept'], methods: ['HEAD'] });
    const answer = await preflight(`${url}/v2/`);
    expect(listed(answer, 'access-control-allow-headers')).toEqual(['Accept']);
    expect(listed(answer, 'access-control-allow-methods')).toEqual(['HEAD']);
    const refusing = await start({ preflight: 401 });
    expect((await preflight(`${refusing.url}/v2/`)).status).toBe(401);
  });

  test('OPTIONS without a request method is no preflight', async () => {
    const { url } = await start(true);
    expect((await send(`${url}/v2/`, { method: 'OPTIONS' })).status).toBe(401);
  });
});
