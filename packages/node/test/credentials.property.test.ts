/** Any config, broken in any way: nothing of it is shown but keys, and an entry is for its own host and no other. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import {
  CredentialsError,
  defaultKeychain,
  dockerKeychain,
  type ExplainingKeychain,
  pullSecretKeychain,
} from '../src/credentials/index.ts';

const long = process.env['REG_LONG'] === '1';
const numRuns = long ? 10_000 : 500;
/** Ten thousand configs are ten thousand files. */
const timeout = long ? 600_000 : 30_000;

function home(): string {
  const folder = mkdtempSync(join(tmpdir(), 'property-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Everyone who could read `text`. */
function readers(folder: string, text: string): readonly ExplainingKeychain[] {
  const path = join(folder, 'config.json');
  const flat = join(folder, '.dockercfg');
  writeFileSync(path, text, { mode: 0o600 });
  writeFileSync(flat, text, { mode: 0o600 });
  const env = { PATH: '', XDG_RUNTIME_DIR: folder };
  return [
    dockerKeychain({ path, env }),
    dockerKeychain({ path, env, flavor: 'containers' }),
    defaultKeychain({ home: folder, env: { ...env, DOCKER_AUTH_CONFIG: text } }),
    defaultKeychain({ home: folder, env }),
    pullSecretKeychain({ paths: [path, flat] }),
  ];
}

/** Nothing else in a config reads like it. */
const secret = 'S3CR3T+x/Y9z==';
const value = fc.oneof(
  fc.constantFrom<unknown>(
    secret,
    btoa(`alice:${secret}`),
    `alice:${secret}`,
    `${secret}\n`,
    '',
    null,
    1,
    true,
  ),
  fc.constantFrom<unknown>(
    [secret],
    { a: secret },
    btoa(secret),
    btoa(`:${secret}`),
    btoa(`a:b:${secret}\u0000`),
  ),
);
/** A user name is shown: it is no secret. */
const entry = fc.oneof(
  value,
  fc.record(
    {
      auth: value,
      username: fc.constantFrom<unknown>('alice', '', 'a:b', 1, null, [secret]),
      password: value,
      identitytoken: value,
      registrytoken: value,
      email: value,
    },
    { requiredKeys: [] },
  ),
);
const key = fc.constantFrom(
  'reg.example',
  'https://reg.example/v1/',
  'reg.example/team',
  '*.example',
  'other.example',
);
const config = fc.oneof(
  fc.record(
    {
      auths: fc.oneof(value, fc.dictionary(key, entry)),
      credsStore: value,
      credHelpers: fc.oneof(value, fc.dictionary(key, value)),
    },
    { requiredKeys: [] },
  ),
  fc.dictionary(key, entry),
  value,
);

test('no answer and no error shows a value, whatever is wrong with the file', { timeout }, async () => {
  const folder = home();
  await fc.assert(
    fc.asyncProperty(config, fc.option(fc.nat(400)), fc.boolean(), async (content, end, unquoted) => {
      const whole = JSON.stringify(content) ?? '';
      const text = (unquoted ? whole.replace(`"${secret}"`, secret) : whole).slice(0, end ?? undefined);
      for (const keychain of readers(folder, text)) {
        const { found, error, trail } = await keychain.explain('https://reg.example', 'team/app');
        const outcome = await keychain
          .find('https://reg.example', 'team/app')
          .catch((fault: unknown) => fault);
        expect(outcome instanceof Error).toBe(error !== null);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(CredentialsError);
        const shown = `${JSON.stringify({ found, error, trail })} ${error?.message} ${error?.stack}`;
        for (const form of [secret, btoa(`alice:${secret}`).slice(8, -4)]) expect(shown).not.toContain(form);
      }
    }),
    { numRuns },
  );
});

const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,4}[a-z0-9]$/);
const host = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 3 }), fc.constantFrom('', ':5000', ':443', ':80'))
  .map(([labels, port]) => `${labels.join('.')}.example${port}`);
/** Another host that has much of `name` in it. */
const near = (name: string) => {
  const [bare = '', port = ''] = name.split(':');
  return fc.constantFrom(
    `x${name}`,
    `x.${name}`,
    `${bare}.x${port === '' ? '' : `:${port}`}`,
    `${bare}x`,
    bare.slice(1),
    `${bare}:5001`,
    bare.split('.').slice(1).join('.'),
  );
};
const spelled = (name: string) =>
  fc.constantFrom(
    name,
    `https://${name}`,
    `http://${name}/`,
    `https://${name}/v1/`,
    `https://${name}/v2/`,
    name.toUpperCase(),
  );

test('an entry is for its own host and port, however it is spelled, and for none that is like it', {
  timeout,
}, async () => {
  const folder = home();
  const pair = host.chain((name) => fc.tuple(fc.constant(name), spelled(name), fc.oneof(near(name), host)));
  await fc.assert(
    fc.asyncProperty(pair, async ([name, spelling, other]) => {
      fc.pre(URL.canParse(`https://${other}`));
      const auths = { [spelling]: { auth: btoa('alice:pass') } };
      const [mine, theirs] = [new URL(`https://${name}`).origin, new URL(`https://${other}`).origin];
      for (const keychain of readers(folder, JSON.stringify({ auths })).filter((_, i) => i !== 3)) {
        expect(await keychain.find(mine)).not.toBeNull();
        if (theirs !== mine) expect(await keychain.find(theirs)).toBeNull();
      }
    }),
    { numRuns },
  );
});
