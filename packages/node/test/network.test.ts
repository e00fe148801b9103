/** The rules of the network that need no server: addresses after DNS, and the user's trust. */

import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  addTrust,
  BlockedAddressError,
  checkedLookup,
  loadTrust,
  removeTrust,
  TrustError,
  trustFile,
} from '../src/network/index.ts';
import { foldersOf } from './certificates.ts';

/** A resolver that gives these answers, in the form it is asked for or, with `single`, always one. */
function resolver(answers: readonly string[], single = false): LookupFunction {
  return (_hostname, options, callback) => {
    const all = answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const [first] = all;
    if (first === undefined) return callback(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), '', 0);
    if (options.all === true && !single) callback(null, all);
    else callback(null, first.address, first.family);
  };
}

function looked(lookup: LookupFunction, options: Parameters<LookupFunction>[1]): Promise<unknown> {
  return new Promise((resolve) => {
    lookup('auth.evil', options, (error, found, family) =>
      resolve(error ?? (family === undefined ? found : [found, family])),
    );
  });
}

describe('checkedLookup', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.8.9.10', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['169.254.169.254', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['64:ff9b::7f00:1', 'embedded'],
    ['localhost', 'no'],
    ['', 'no'],
  ])('%s is refused, alone, first, last, and in either form', async (address, addressClass) => {
    for (const answers of [[address], [address, '192.0.2.1'], ['192.0.2.1', address]]) {
      for (const all of [true, false]) {
        const error = await looked(checkedLookup(resolver(answers)), { all });
        expect(error).toBeInstanceOf(BlockedAddressError);
        expect(error).toMatchObject({
          code: 'ERR_REG_BLOCKED_ADDRESS',
          phase: 'lookup',
          hostname: 'auth.evil',
          address,
          message: `auth.evil stands for ${address}, ${addressClass} address`,
        });
      }
    }
    expect(await looked(checkedLookup(resolver([address], true)), { all: true })).toBeInstanceOf(Error);
  });

  test('others are handed on as they came, private ones too', async () => {
    const lookup = checkedLookup(resolver(['10.0.0.1', '2001:db8::1']));
    expect(await looked(lookup, { all: true })).toEqual([
      { address: '10.0.0.1', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ]);
    expect(await looked(lookup, {})).toEqual(['10.0.0.1', 4]);
    expect(await looked(checkedLookup(resolver(['10.0.0.1'], true)), { all: true })).toEqual([
      { address: '10.0.0.1', family: 4 },
    ]);
  });

  test('a resolver’s own error is its own', async () => {
    expect(await looked(checkedLookup(resolver([])), { all: true })).toMatchObject({ code: 'ENOTFOUND' });
  });

  test('the system’s resolver, which knows localhost', async () => {
    const error = await new Promise((resolve) => {
      checkedLookup()('localhost', {}, resolve);
    });
    expect(error).toMatchObject({ code: 'ERR_REG_BLOCKED_ADDRESS', hostname: 'localhost' });
  });
});

describe('loadTrust', () => {
  const pair = { registry: 'https://registry.corp:5000', realm: 'https://sso.corp' };

  async function trusting(content: string | Uint8Array, mode = 0o600) {
    const home = await foldersOf({ '.config/reg': {} });
    const path = join(home, '.config', 'reg', 'trust.json');
    await writeFile(path, content);
    await chmod(path, mode);
    const loaded = await loadTrust({ env: {}, home }).catch((error: unknown) => error);
    return { path, loaded };
  }

  test('the pairs, for a policy; members that are not known are left out', async () => {
    const text = JSON.stringify({ version: 1, pairs: [{ ...pair, note: 'x' }], more: true });
    expect((await trusting(text)).loaded).toEqual([pair]);
    expect((await trusting('{"version":1,"pairs":[]}')).loaded).toEqual([]);
  });

  test('no file, no pairs; XDG_CONFIG_HOME before ~/.config', async () => {
    const home = await foldersOf({
      'xdg/reg': { 'trust.json': JSON.stringify({ version: 1, pairs: [pair] }) },
    });
    expect(await loadTrust({ env: {}, home })).toEqual([]);
    const env = { XDG_CONFIG_HOME: join(home, 'xdg') };
    expect(await loadTrust({ env, home })).toEqual([pair]);
    expect(trustFile({ env, home })).toBe(join(home, 'xdg', 'reg', 'trust.json'));
    expect(trustFile({ env: { XDG_CONFIG_HOME: '' }, home })).toBe(
      join(home, '.config', 'reg', 'trust.json'),
    );
  });

  test.each([
    ['not JSON', '{"version":1,"pairs":[SECRET', 'is not JSON'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not JSON'],
    ['no object', 'null', '"version" is not 1'],
    ['a list', '[]', '"version" is not 1'],
    ['another version', '{"version":2,"pairs":[]}', '"version" is not 1'],
    ['no pairs', '{"version":1}', '"pairs" is not a list'],
    ['a prototype', '{"__proto__":{"version":1,"pairs":[]}}', '"version" is not 1'],
    [
      'a pair that is none',
      '{"version":1,"pairs":["SECRET"]}',
      '"pairs[0].registry" is not an origin, as https://host:port',
    ],
    [
      'a host alone',
      JSON.stringify({ version: 1, pairs: [pair, { ...pair, registry: 'registry.corp' }] }),
      '"pairs[1].registry" is not an origin, as https://host:port',
    ],
    [
      'a path',
      JSON.stringify({ version: 1, pairs: [{ ...pair, realm: 'https://sso.corp/' }] }),
      '"pairs[0].realm" is not an origin, as https://host:port',
    ],
    [
      'another scheme',
      JSON.stringify({ version: 1, pairs: [{ ...pair, realm: 'ftp://sso.corp' }] }),
      '"pairs[0].realm" is not an origin, as https://host:port',
    ],
  ])('%s is an error that names the file and the key', async (_, content, fault) => {
    const { path, loaded } = await trusting(content);
    expect(loaded).toBeInstanceOf(TrustError);
    expect(loaded).toMatchObject({ code: 'ERR_REG_TRUST', path, message: `${path}: ${fault}` });
  });

  test('what anyone may write is trusted by nobody', async () => {
    const text = JSON.stringify({ version: 1, pairs: [pair] });
    const { path, loaded } = await trusting(text, 0o666);
    expect(loaded).toMatchObject({ message: `${path}: may be written by anyone on this machine` });
    expect((await trusting(text, 0o664)).loaded).toEqual([pair]);
  });

  test('a folder in its place', async () => {
    const home = await foldersOf({});
    await mkdir(join(home, '.config', 'reg', 'trust.json'), { recursive: true });
    await expect(loadTrust({ env: {}, home })).rejects.toThrow('trust.json: is no file');
  });
});

describe('addTrust and removeTrust', () => {
  const pair = { registry: 'https://registry.corp:5000', realm: 'https://sso.corp' };
  const other = { registry: 'http://localhost:5000', realm: 'http://localhost:5001' };

  async function owner(content?: string) {
    const home = await foldersOf({});
    const of = { env: {}, home };
    const path = trustFile(of) ?? '';
    if (content !== undefined) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content, { mode: 0o600 });
    }
    return { of, path, text: () => readFile(path, 'utf8') };
  }

  test('write what loadTrust reads, once, into a file for its owner alone', async () => {
    const { of, path, text } = await owner();
    expect(await addTrust(pair, of)).toBe(true);
    expect(await addTrust(other, of)).toBe(true);
    const written = await text();
    expect(await addTrust(pair, of)).toBe(false);
    expect(await text()).toBe(written);
    expect(await loadTrust(of)).toEqual([pair, other]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await removeTrust(pair, of)).toBe(true);
    expect(await removeTrust(pair, of)).toBe(false);
    expect(await loadTrust(of)).toEqual([other]);
  });

  test('keep what they do not know, in the file and in its pairs', async () => {
    const noted = { ...pair, note: 'of the team' };
    const { of, text } = await owner(JSON.stringify({ more: [1], version: 1, pairs: [noted, other] }));
    await removeTrust(other, of);
    await addTrust(other, of);
    expect(JSON.parse(await text())).toEqual({ more: [1], version: 1, pairs: [noted, other] });
  });

  test('nothing to remove makes no file', async () => {
    const { of, text } = await owner();
    expect(await removeTrust(pair, of)).toBe(false);
    await expect(text()).rejects.toThrow('ENOENT');
  });

  test('many at once lose none', async () => {
    const { of } = await owner();
    const pairs = Array.from({ length: 10 }, (_, i) => ({ ...pair, realm: `https://sso${i}.corp` }));
    await Promise.all(pairs.map((one) => addTrust(one, of)));
    const realms = (await loadTrust(of)).map(({ realm }) => realm);
    expect(realms.toSorted()).toEqual(pairs.map(({ realm }) => realm));
  });

  test.each([
    ['{"version":2,"pairs":[]}', '"version" is not 1'],
    ['{"version":1,"pairs":["x"]}', '"pairs[0].registry" is not an origin'],
    ['[', 'is not JSON'],
  ])('%s is left as it is', async (content, fault) => {
    const { of, text } = await owner(content);
    await expect(addTrust(pair, of)).rejects.toMatchObject({
      code: 'ERR_REG_TRUST',
      message: expect.stringContaining(fault),
    });
    expect(await text()).toBe(content);
  });

  test('what anyone may write is not added to', async () => {
    const { of, path } = await owner('{"version":1,"pairs":[]}');
    await chmod(path, 0o666);
    await expect(addTrust(pair, of)).rejects.toThrow('may be written by anyone');
  });

  test('a folder that cannot be made is an error of the file', async () => {
    const { of, path } = await owner();
    await writeFile(join(of.home, '.config'), '');
    await expect(addTrust(pair, of)).rejects.toMatchObject({ code: 'ERR_REG_TRUST', path });
  });

  test.each([
    { ...pair, realm: 'https://sso.corp/' },
    { ...pair, registry: 'registry.corp' },
    { ...pair, realm: 'ftp://sso.corp' },
  ])('%j is a TypeError', async (wrong) => {
    const { of } = await owner();
    await expect(addTrust(wrong, of)).rejects.toThrow(TypeError);
  });
});
