import { canary, type Fault } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const users = { alice: password };
const names = ['a', 'team/app', 'team/web'];
const repositories = Object.fromEntries(names.map((name) => [name, { tags: ['1'] }]));

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}) =>
  registryFor({ auth: 'none', users, repositories, ...options });

describe('reg catalog prints one repository a line', () => {
  test('of an open registry', async () => {
    const { host } = await registry();
    expect(await run(['catalog', host])).toEqual({ code: 0, stdout: 'a\nteam/app\nteam/web\n', stderr: '' });
  });

  test('with a token for the whole registry', async () => {
    const { host, pair, requests } = await registry({ auth: 'bearer' });
    const args = ['catalog', host, '-u', 'alice', '--password-stdin', '--trust-realm', pair.realm];
    expect(await run(args, { stdin: password })).toMatchObject({
      code: 0,
      stdout: 'a\nteam/app\nteam/web\n',
    });
    expect(requests[1]?.url).toContain('scope=registry%3Acatalog%3A*');
  });

  test('page after page, from --last to --limit', async () => {
    const { host, requests } = await registry();
    expect(await run(['catalog', host, '--limit', '2', '--last', 'a'])).toMatchObject({
      stdout: 'team/app\nteam/web\n',
    });
    expect(requests.map(({ url }) => url)).toEqual(['/v2/_catalog?n=2&last=a']);
  });

  test('as one document', async () => {
    const { host } = await registry();
    const { stdout } = await run(['catalog', host, '-o', 'json']);
    expect(matchesSchema('catalog', stdout)).toEqual({ registry: host, repositories: names });
  });

  test('as one document a line', async () => {
    const { host } = await registry();
    const { stdout } = await run(['catalog', host, '-o', 'ndjson']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => matchesSchema('catalog#/$defs/line', line))).toEqual(
      names.map((repository) => ({ repository })),
    );
  });
});

describe('a registry without a catalog is no broken one (Q62)', () => {
  const answering = (status: number): Fault => ({ kind: 'status', status, path: '/v2/_catalog' });

  test.each([
    [404, 3],
    [405, 3],
    [403, 5],
  ])('%i: exit code %i', async (status, code) => {
    const { host, faults } = await registry();
    faults.add(answering(status));
    const ran = await run(['catalog', host]);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr.replace(/\s+/g, ' ')).toContain('Most public registries have no catalog');
  });

  test('401, and how to sign in', async () => {
    const { host, pair } = await registry({ auth: 'bearer' });
    const ran = await run(['catalog', host, '--anonymous', '--trust-realm', pair.realm]);
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('Most public registries have no catalog');
    expect(hintIn(ran)).toMatch(/^reg login /);
  });

  test('one that is down is', async () => {
    const { host, faults } = await registry();
    faults.add({ ...answering(500), times: 9 });
    const ran = await run(['catalog', host]);
    expect(ran.code).toBe(6);
    expect(ran.stderr).not.toContain('catalog,');
    expect(ran.stderr).not.toContain('Most public');
  });
});

test.each(['{"repositories":"a"}', '{"tags":["a"]}', '[]'])('a body %s is no catalog', async (body) => {
  const { host, faults } = await registry();
  faults.add({ kind: 'status', status: 200, body, path: '/v2/_catalog' });
  expect(await run(['catalog', host])).toMatchObject({
    code: 9,
    stderr: expect.stringContaining('no JSON with a list of repositories'),
  });
});

test('an image is no registry', async () => {
  expect(await run(['catalog', 'ghcr.io/o/app'])).toMatchObject({ code: 2 });
});
