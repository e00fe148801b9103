import { describe, expect, test } from 'vitest';
import { homeFor } from './logins.ts';
import { hintIn } from './run.ts';
import { matchesSchema } from './schema.ts';

const file = '.config/reg/trust.json';
const pair = { registry: 'https://registry.example', realm: 'https://auth.example' };

describe('reg trust', () => {
  test('adds a pair once, lists it, and takes it back', async () => {
    const { reg, read, modeOf } = homeFor();
    const args = ['registry.example', 'https://auth.example'];
    const both = 'https://auth.example and the credentials of https://registry.example';
    expect(await reg(['trust', 'add', ...args])).toEqual({
      code: 0,
      stdout: '',
      stderr: `reg: trusted from now on: ${both}, in ~/.config/reg/trust.json\n`,
    });
    expect((await reg(['trust', 'add', ...args])).stderr).toBe(`reg: trusted already: ${both}\n`);
    expect(read(file)).toEqual({ version: 1, pairs: [pair] });
    expect(modeOf(file)).toBe('0600');
    expect(await reg(['trust', 'list'])).toEqual({
      code: 0,
      stdout: 'https://registry.example  https://auth.example\n',
      stderr: '',
    });
    const json = await reg(['trust', 'list', '-o', 'json']);
    expect(matchesSchema('trust', json.stdout)).toMatchObject({ pairs: [pair] });
    expect((await reg(['trust', 'remove', ...args])).stderr).toBe(`reg: not trusted any more: ${both}\n`);
    expect(await reg(['trust', 'remove', ...args])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('never trusted'),
    });
    expect(read(file)).toEqual({ version: 1, pairs: [] });
  });

  test('an empty list is no output, and said', async () => {
    const { reg, read } = homeFor();
    expect(await reg(['trust', 'list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'reg: nothing was added to what is known\n',
    });
    expect(matchesSchema('trust', (await reg(['trust', 'list', '-o', 'json'])).stdout)).toMatchObject({
      pairs: [],
    });
    expect(read(file)).toBeNull();
  });

  test.each([
    [
      'docker.io',
      'https://auth.example/token?service=x',
      'https://registry-1.docker.io',
      'https://auth.example',
    ],
    [
      'https://REGISTRY.example/v2/',
      'https://AUTH.example:443',
      'https://registry.example',
      'https://auth.example',
    ],
    ['localhost:5000', 'http://localhost:5001', 'http://localhost:5000', 'http://localhost:5001'],
    ['http://registry.lab:5000', 'https://auth.lab', 'http://registry.lab:5000', 'https://auth.lab'],
    // Names of containers, which no reference can have.
    ['http://my_registry:5000', 'https://my_auth', 'http://my_registry:5000', 'https://my_auth'],
  ])('%s %s is %s and %s', async (registry, realm, ...origins) => {
    const { reg, read } = homeFor();
    expect(await reg(['trust', 'add', registry, realm])).toMatchObject({ code: 0 });
    expect(read(file)).toMatchObject({ pairs: [{ registry: origins[0], realm: origins[1] }] });
  });

  test('plain http releases nothing, so it is refused, with what would', async () => {
    const { reg, read } = homeFor();
    const ran = await reg(['trust', 'add', 'registry.example', 'http://auth.example']);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(hintIn(ran)).toBe(
      'reg login registry.example --plain-http --trust-realm http://auth.example   # where the network in between is yours',
    );
    expect(read(file)).toBeNull();
  });

  test('what would not be added can be taken back', async () => {
    const { reg, read, write } = homeFor();
    write(file, {
      version: 1,
      pairs: [{ registry: 'https://registry.example', realm: 'http://auth.example' }],
    });
    const args = ['trust', 'remove', 'registry.example', 'http://auth.example'];
    expect(await reg(args)).toMatchObject({ code: 0 });
    expect(read(file)).toEqual({ version: 1, pairs: [] });
  });

  test.each([
    [['registry.example', 'auth.example'], 'named by its origin'],
    [['registry.example', 'ftp://auth.example'], 'named by its origin'],
    [['registry.example', 'https://u:secret@auth.example'], 'not what was given'],
    [['registry.example', 'https://registry.example'], 'needs no trust'],
    [['registry.example/team', 'https://auth.example'], 'whole registry'],
    [['reg\u0007istry.example', 'https://auth.example'], 'no host name'],
    [['my_registry', 'https://auth.example'], 'no host name'],
    [['registry.example', 'http://my_auth:5001'], 'plain http'],
    [['registry.example'], 'missing required argument'],
  ])('%j is a usage error', async (args, message) => {
    const { reg, read } = homeFor();
    const ran = await reg(['trust', 'add', ...args]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).not.toContain('secret');
    expect(read(file)).toBeNull();
  });

  test('a file that is not as it is written is an error, and left as it is', async () => {
    const { reg, read, write } = homeFor();
    write(file, { version: 2, pairs: [] });
    for (const args of [['list'], ['add', 'r.example', 'https://a.example']]) {
      const ran = await reg(['trust', ...args]);
      expect(ran).toMatchObject({ code: 8, stdout: '' });
      expect(ran.stderr).toContain('"version" is not 1');
    }
    expect(read(file)).toEqual({ version: 2, pairs: [] });
  });
});
