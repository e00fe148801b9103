/** The attack cases about files of credentials, each by its id. Those about helpers are beside the tests of helpers. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type AttackCase, attacks, membersOf, textOf, textsOf } from '../../core/test/attack-cases.ts';
import {
  CredentialsError,
  defaultKeychain,
  dockerKeychain,
  type ExplainingKeychain,
  pullSecretKeychain,
} from '../src/credentials/index.ts';
import { createRegistryFetch } from '../src/fetch.ts';
import { programs } from './programs.ts';

function fileOf(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'attack-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config.json');
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** Whoever reads the file of a case, by each of the rules there are. */
function readers({ input }: AttackCase): readonly ExplainingKeychain[] {
  const path = fileOf(input['raw'] === undefined ? JSON.stringify(input['config']) : textOf(input['raw']));
  return [
    dockerKeychain({ path }),
    dockerKeychain({ path, flavor: 'containers' }),
    pullSecretKeychain({ paths: [path] }),
  ];
}

/** `user:password` of what is found. */
async function loginAt(keychain: ExplainingKeychain, origin: string, repository?: string) {
  const credential = (await keychain.find(origin, repository))?.credential ?? null;
  return credential?.type === 'password' ? `${credential.username}:${credential.password}` : credential;
}

const hub = 'https://registry-1.docker.io';

/** What is not even a host is asked for by nobody. */
async function findsNothing(attack: AttackCase): Promise<void> {
  const origin = `https://${String(attack.input['registry'])}`;
  for (const keychain of readers(attack)) {
    if (URL.canParse(origin)) expect(await loginAt(keychain, origin)).toBe(attack.assert['credential']);
    else await expect(keychain.find(origin)).rejects.toThrow(TypeError);
  }
}

/** The entry is an error for its own host, and for no other. */
async function refusesEntry(attack: AttackCase): Promise<void> {
  for (const keychain of readers(attack)) {
    await expect(keychain.find('https://r.example')).rejects.toThrow(CredentialsError);
    expect(await keychain.find('https://other.example')).toBeNull();
  }
}

const checks: Readonly<Record<string, (attack: AttackCase) => Promise<void>>> = {
  'config-file-01': findsNothing,
  'config-file-02': findsNothing,
  'config-file-03': async (attack) => {
    for (const keychain of readers(attack)) {
      for (const name of textsOf(attack.input['registries'])) {
        expect(await loginAt(keychain, `https://${name}`)).toBe(attack.assert['credential']);
      }
      for (const other of [
        'auth.docker.io',
        'hub.docker.com',
        'docker.io.attacker.test',
        'docker.com',
        'xdocker.io',
      ]) {
        expect(await loginAt(keychain, `https://${other}`)).toBeNull();
      }
    }
  },
  // The rule: Docker's files have no paths, an entry is for all of a registry; everywhere else whole segments count.
  'config-file-04': async ({ input }) => {
    const path = fileOf(JSON.stringify(input['config']));
    const [own = '', evil = ''] = textsOf(input['repositories']).map((name) =>
      name.split('/').slice(1).join('/'),
    );
    const origin = 'https://registry.example.com';
    for (const keychain of [
      dockerKeychain({ path, flavor: 'containers' }),
      pullSecretKeychain({ paths: [path] }),
    ]) {
      expect(await loginAt(keychain, origin, own)).toBe('a:b');
      expect(await loginAt(keychain, origin, evil)).toBeNull();
    }
    for (const repository of [own, evil]) {
      expect(await loginAt(dockerKeychain({ path }), origin, repository)).toBe('a:b');
    }
  },
  // Set aside in part: a member of the text is a host like any other, whatever objects have under its name.
  'config-file-07': async (attack) => {
    const own = Object.keys(membersOf(membersOf(JSON.parse(textOf(attack.input['raw'])))['auths']));
    for (const keychain of readers(attack)) {
      for (const name of textsOf(attack.input['registries'])) {
        const { origin } = new URL(`https://${name}`);
        const expected = own.includes(name) ? 'a:b' : attack.assert['credential'];
        expect(await loginAt(keychain, origin), name).toBe(expected);
      }
    }
    expect(Reflect.get({}, 'auth') !== undefined).toBe(attack.assert['polluted']);
  },
  'config-file-09': refusesEntry,
  'config-file-10': refusesEntry,
  'config-file-11': refusesEntry,
  'config-file-16': async ({ input }) => {
    const registry = await startRegistry({ auth: 'basic', users: { alice: 'pass' } });
    onTestFinished(() => registry.close());
    const auths = { [new URL(registry.url).host]: { auth: btoa('alice:pass') } };
    const path = fileOf(JSON.stringify({ ...membersOf(input['config']), auths }));
    const fetch = createRegistryFetch({ keychain: dockerKeychain({ path }) });
    expect((await fetch(`${registry.url}/v2/_catalog`)).status).toBe(200);
    // Headers of a file are sent to nobody at all.
    for (const { headers } of registry.requests) {
      const values = JSON.stringify(headers).toLowerCase();
      expect(values).not.toContain('x-api-key');
      expect(values).not.toContain('basic x"');
    }
    expect(registry.requests.length).toBeGreaterThan(0);
  },
  'config-file-19': async ({ input, assert }) => {
    const { folder, env, write, note } = programs();
    write('docker-credential-x', `echo ran >>"$NOTES/ran"`);
    const variables = Object.fromEntries(
      Object.entries(membersOf(input['env'])).map(([k, v]) => [k, String(v)]),
    );
    const keychain = defaultKeychain({ home: folder, env: { ...env, ...variables } });
    await expect(keychain.find('https://r.example')).rejects.toThrow(
      'DOCKER_AUTH_CONFIG: has a member that is not "auths"',
    );
    await keychain.explain('https://r.example');
    expect(note('ran')).toBeNull();
    expect(assert['helper_calls']).toBe(0);
  },
};

describe('attack cases', () => {
  const mine = attacks.cases.filter(({ category }) => category === 'config-file');

  test('each is accounted for', () => {
    expect(Object.keys(checks).sort()).toEqual(mine.map(({ id }) => id).sort());
  });

  for (const attack of mine) {
    test(`${attack.id}: ${attack.title}`, () => checks[attack.id]?.(attack));
  }

  test('credential-helper-05: nothing is asked of any registry when a helper is missing', async ({
    skip,
  }) => {
    if (process.platform === 'win32') skip('helpers are looked for as .exe there');
    const attack = attacks.cases.find(({ id }) => id === 'credential-helper-05');
    const registry = await startRegistry({ auth: 'bearer', users: { a: 'b' } });
    onTestFinished(() => registry.close());
    const { host } = new URL(registry.url);
    const { credHelpers, auths } = membersOf(attack?.input);
    const named = (value: unknown) => ({ [host]: Object.values(membersOf(value))[0] });
    const path = fileOf(JSON.stringify({ credHelpers: named(credHelpers), auths: named(auths) }));
    const fetch = createRegistryFetch({
      keychain: dockerKeychain({ path, env: {} }),
      policy: { realms: { pairs: [registry.pair] } },
    });
    await expect(fetch(`${registry.url}/v2/_catalog`)).rejects.toMatchObject({
      failure: { kind: 'credential-unavailable' },
    });
    expect(
      registry.requests.filter(({ headers }) => JSON.stringify(headers).includes('uthorization')),
    ).toEqual([]);
  });
});

test('Docker Hub is not reached by a name that only looks like it', async () => {
  const path = fileOf(JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth: btoa('a:b') } } }));
  expect(await loginAt(dockerKeychain({ path }), hub)).toBe('a:b');
  expect(await loginAt(dockerKeychain({ path }), 'http://registry-1.docker.io')).toBeNull();
});
