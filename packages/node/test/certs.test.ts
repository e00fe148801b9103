/** TLS of a host from the folders of Docker and containers, without a connection. */

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CertsError, certFolders, certsFor } from '../src/network/index.ts';
import { authority, foldersOf, pem } from './certificates.ts';

const mine = authority('Mine');
const other = authority('Other');
const client = mine.client('alice');
const host = 'registry.corp:5000';

/** `certsFor` of a folder with these files in it, for `host`. */
async function reading(files: Record<string, string | Buffer>) {
  const dir = await foldersOf({ [host]: files });
  const folder = join(dir, host);
  const found = await certsFor(host, { dirs: [dir] }).catch((error: unknown) => error);
  return { folder, found };
}

/** The error's message without the folder in it. */
function said({ folder, found }: Awaited<ReturnType<typeof reading>>): string {
  if (!(found instanceof CertsError)) throw new Error(`no CertsError but ${inspect(found)}`);
  return found.message.replaceAll(`${folder}/`, '');
}

describe('where certificates of a host are looked for', () => {
  const home = '/home/alice';

  test('the user’s places before the system’s, Docker’s and containers’', () => {
    expect(certFolders(host, { env: {}, home, platform: 'linux' })).toEqual([
      '/home/alice/.docker/certs.d/registry.corp:5000',
      '/home/alice/.config/docker/certs.d/registry.corp:5000',
      '/home/alice/.config/containers/certs.d/registry.corp:5000',
      '/etc/containers/certs.d/registry.corp:5000',
      '/etc/docker/certs.d/registry.corp:5000',
    ]);
  });

  test('XDG_CONFIG_HOME is Docker’s alone: containers-certs.d(5) names ~/.config', () => {
    const env = { XDG_CONFIG_HOME: '/xdg' };
    expect(certFolders(host, { env, home, platform: 'linux' }).slice(1, 3)).toEqual([
      '/xdg/docker/certs.d/registry.corp:5000',
      '/home/alice/.config/containers/certs.d/registry.corp:5000',
    ]);
  });

  test('Windows: its own place, and no colon in a name', () => {
    const env = { ProgramData: 'C:\\ProgramData' };
    const folders = certFolders(host, { env, home, platform: 'win32' });
    expect(folders.every((folder) => folder.endsWith('registry.corp5000'))).toBe(true);
    expect(folders.at(-1)).toContain('ProgramData');
    expect(certFolders(host, { env: {}, home, platform: 'win32' })).toHaveLength(3);
  });

  test.each([
    ['registry.corp', ['registry.corp', 'registry.corp:443']],
    ['registry.corp:443', ['registry.corp', 'registry.corp:443']],
    ['REGISTRY.corp:5000', ['registry.corp:5000']],
    ['[::1]:5000', ['[::1]:5000']],
    ['[0:0::1]', ['[::1]', '[::1]:443']],
    ['192.0.2.1:80', ['192.0.2.1:80']],
    ['...', null],
    ['..', null],
    ['a/b', null],
    ['a/../../b', null],
    ['user@registry.corp', null],
    ['registry.corp?x', null],
    ['', null],
    ['registry.corp:99999', null],
  ])('%j: folders %j', (name, folders) => {
    const ask = () => certFolders(name, { dirs: ['/d'], platform: 'linux' });
    if (folders === null) expect(ask).toThrow(TypeError);
    else expect(ask()).toEqual(folders.map((folder) => `/d/${folder}`));
  });
});

describe('what is in a folder', () => {
  test('*.crt are authorities beside Node’s own, *.cert and *.key a client certificate, the rest is nothing', async () => {
    const { folder, found } = await reading({
      'ca.crt': mine.ca,
      'b.crt': `# the other one, in a text of its own: é\n${other.ca}trailing\n`,
      'client.cert': client.cert,
      'client.key': client.key,
      'ca.pem': 'ignored',
      README: 'ignored',
    });
    if (found instanceof Error) throw found;
    const certs = found as Awaited<ReturnType<typeof certsFor>>;
    expect(certs.authorities).toEqual([other.ca, mine.ca]);
    expect(certs.tlsOptions()).toEqual({
      ca: [...getCACertificates('default'), other.ca, mine.ca],
      cert: client.cert,
      key: client.key,
    });
    expect(certs.trail).toEqual([
      { path: folder, found: 'folder' },
      { path: join(folder, 'README'), found: 'ignored' },
      { path: join(folder, 'b.crt'), found: 'authority' },
      { path: join(folder, 'ca.crt'), found: 'authority' },
      { path: join(folder, 'ca.pem'), found: 'ignored' },
      { path: join(folder, 'client.cert'), found: 'client-certificate' },
      { path: join(folder, 'client.key'), found: 'client-key' },
    ]);
  });

  test('printing what was found shows no key', async () => {
    const { found } = await reading({ 'client.cert': client.cert, 'client.key': client.key });
    const line = client.key.split('\n')[1] ?? '';
    expect(line.length).toBeGreaterThan(40);
    expect(inspect(found, { depth: null, showHidden: true }) + JSON.stringify(found)).not.toContain(line);
  });

  test('a bundle holds several authorities', async () => {
    const { found } = await reading({ 'ca.crt': mine.ca + other.ca });
    expect(found).toMatchObject({ authorities: [mine.ca, other.ca], certificate: null });
  });

  test('of several client certificates the first by name counts, as in Docker', async () => {
    const second = mine.client('bob');
    const { folder, found } = await reading({
      'b.cert': second.cert,
      'b.key': second.key,
      'a.cert': client.cert,
      'a.key': client.key,
    });
    expect(found).toMatchObject({ certificate: client.cert });
    expect(found).toMatchObject({
      trail: [
        { path: folder },
        { path: join(folder, 'a.cert'), found: 'client-certificate' },
        { path: join(folder, 'a.key'), found: 'client-key' },
        { path: join(folder, 'b.cert'), found: 'shadowed' },
        { path: join(folder, 'b.key'), found: 'shadowed' },
      ],
    });
  });

  test('a key that openssl wrote with its parameters before it', async () => {
    const key = createPrivateKey(client.key).export({ type: 'sec1', format: 'pem' }).toString();
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
    const { found } = await reading({ 'client.cert': client.cert, 'client.key': parameters + key });
    expect(found).toMatchObject({ certificate: client.cert });
  });

  test('nothing at all: Node’s defaults', async () => {
    const dir = await foldersOf({});
    const certs = await certsFor(host, { dirs: [dir, join(dir, 'missing')] });
    expect(certs.tlsOptions()).toEqual({});
    expect(certs.trail).toEqual([
      { path: join(dir, host), found: 'nothing' },
      { path: join(dir, 'missing', host), found: 'nothing' },
    ]);
  });

  test('the first place that has a folder for the host counts alone, also an empty one', async () => {
    const [first, second] = [
      await foldersOf({ [host]: {} }),
      await foldersOf({ [host]: { 'ca.crt': mine.ca } }),
    ];
    expect(await certsFor(host, { dirs: [first, second] })).toMatchObject({
      authorities: [],
      trail: [
        { path: join(first, host), found: 'folder' },
        { path: join(second, host), found: 'shadowed' },
      ],
    });
  });

  test('another port, the name without one, a subdomain: none of it is this host', async () => {
    const dir = await foldersOf({ 'registry.corp:5000': { 'ca.crt': mine.ca } });
    for (const name of ['registry.corp', 'registry.corp:5001', 'a.registry.corp:5000', 'registry.corp:443']) {
      expect((await certsFor(name, { dirs: [dir] })).authorities).toEqual([]);
    }
  });

  test('a folder that may not be looked into is passed by', async () => {
    const dir = await foldersOf({ [host]: { 'ca.crt': mine.ca } });
    await chmod(join(dir, host), 0);
    // Root may look into everything.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect((await certsFor(host, { dirs: [dir] })).trail).toEqual([
        { path: join(dir, host), found: 'no-access' },
      ]);
    } finally {
      if (isRoot) process.seteuid?.(0);
      await chmod(join(dir, host), 0o700);
    }
  });
});

describe('what cannot be used is an error that names the file', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const locked = privateKey
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString();
  const broken = mine.ca.replace('MII', 'AAA');

  test.each<[string, Record<string, string | Buffer>, string]>([
    [
      'a certificate without a key',
      { 'a.cert': client.cert },
      "a.cert: has no key beside it, a.key. An authority's name ends in .crt",
    ],
    ['a key without a certificate', { 'a.key': client.key }, 'a.key: has no certificate beside it, a.cert'],
    [
      'an authority that is DER',
      { 'ca.crt': Buffer.from([0x30, 0x82]) },
      'ca.crt: holds no certificate in PEM',
    ],
    ['an empty authority', { 'ca.crt': '' }, 'ca.crt: holds no certificate in PEM'],
    ['a broken authority', { 'ca.crt': broken }, 'ca.crt: certificate 1 in it cannot be read'],
    [
      'a broken second authority',
      { 'ca.crt': mine.ca + broken },
      'ca.crt: certificate 2 in it cannot be read',
    ],
    [
      'an authority cut short',
      { 'ca.crt': mine.ca.slice(0, 200) },
      'ca.crt: certificate 1 in it cannot be read',
    ],
    [
      'a client certificate that is none',
      { 'a.cert': 'x', 'a.key': client.key },
      'a.cert: holds no certificate in PEM',
    ],
    [
      'a key that is none',
      { 'a.cert': client.cert, 'a.key': 'SECRET' },
      'a.key: holds no private key in PEM',
    ],
    ['another’s key', { 'a.cert': client.cert, 'a.key': pem(privateKey) }, 'a.key: is not the key of a.cert'],
    ['a locked key', { 'a.cert': client.cert, 'a.key': locked }, 'a.key: is locked by a passphrase'],
    ['an authority of 5 MiB', { 'ca.crt': Buffer.alloc(5_242_880) }, 'ca.crt: is larger than 4 MiB'],
  ])('%s', async (_, files, message) => {
    expect(said(await reading(files))).toBe(message);
  });

  test('its code, phase and path are data', async () => {
    const { folder, found } = await reading({ 'ca.crt': '' });
    expect(found).toMatchObject({ code: 'ERR_REG_CERTS', phase: 'tls', path: join(folder, 'ca.crt') });
  });

  test('a link that leads nowhere, a folder in a file’s place, a loop of links', async () => {
    const dir = await foldersOf({ a: {}, b: {}, c: {} });
    await symlink(join(dir, 'gone'), join(dir, 'a', 'ca.crt'));
    await mkdir(join(dir, 'b', 'ca.crt'));
    await symlink(join(dir, 'c', 'ca.crt'), join(dir, 'c', 'ca.crt'));
    const faults = ['a', 'b', 'c'].map((name) =>
      certsFor(name, { dirs: [dir] }).catch((error: CertsError) => error.message.replaceAll(`${dir}/`, '')),
    );
    expect(await Promise.all(faults)).toEqual([
      'a/ca.crt: is gone, or a link that leads nowhere',
      'b/ca.crt: is no file',
      'c/ca.crt: cannot be read (ELOOP)',
    ]);
    await rm(join(dir, 'c', 'ca.crt'));
  });
});
