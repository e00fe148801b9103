/** Every example of the README runs, in a process of its own, with a registry on loopback in place of the one it names. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { stage } from './stage.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(join(folder, 'README.md'), 'utf8');
const examples = readme
  .split('```ts\n')
  .slice(1)
  .map((rest) => rest.slice(0, rest.indexOf('```')));

/** Runs `example` with `names` replaced. */
async function run(
  example: string,
  names: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Promise<{ stdout: string; stderr: string }> {
  let program = example;
  for (const [name, own] of Object.entries(names)) {
    expect(program).toContain(name);
    program = program.replaceAll(name, own);
  }
  // Nothing leaves the machine.
  for (const host of program.matchAll(/https?:\/\/([^/':]+)/g)) expect(host[1]).toBe('127.0.0.1');
  const flags = ['--conditions=@reg/source', '--input-type=module-typescript', '--eval', program];
  return promisify(execFile)(process.execPath, flags, { cwd: folder, env });
}

/** A registry that asks for Basic, and a config with alice's login for it. */
async function loggedIn() {
  const { registry, password } = await stage({
    auth: 'basic',
    repositories: {
      'library/busybox': { tags: ['latest'] },
      'acme/app': { tags: ['1'] },
      'acme/private': {},
    },
  });
  const at = await mkdtemp(join(tmpdir(), 'reg-readme-'));
  onTestFinished(() => rm(at, { recursive: true }));
  const auth = Buffer.from(`alice:${password}`).toString('base64');
  await writeFile(join(at, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  return { registry, env: { DOCKER_CONFIG: at } };
}

test('there are four examples', () => {
  expect(examples).toHaveLength(4);
});

test('fetch', async () => {
  const { registry, env } = await loggedIn();
  const { stdout, stderr } = await run(
    examples[0] ?? '',
    { 'https://registry-1.docker.io': registry.url },
    env,
  );
  expect({ stdout, stderr }).toEqual({
    stdout: "{ name: 'library/busybox', tags: [ 'latest' ] }\n",
    stderr: '',
  });
});

test('undici', async () => {
  const { registry, env } = await loggedIn();
  const example = `${examples[1]}\nconsole.log(statusCode, await body.text());`;
  const { stdout } = await run(example, { 'https://ghcr.io': registry.url }, env);
  expect(stdout).toBe('200 {"name":"acme/app","tags":["1"]}\n');
});

test('failures that are delivered, and failures that are thrown', async () => {
  const bearer = await stage({ repositories: { 'acme/private': { access: {} } } });
  // On loopback a realm elsewhere needs a pair.
  const times = Number.POSITIVE_INFINITY;
  bearer.registry.faults.add({ server: 'registry', kind: 'realm', realm: '/token', times });
  const delivered = await run(examples[2] ?? '', { 'https://ghcr.io': bearer.registry.url }, {});
  expect(delivered.stderr).toMatch(/^401 .*does not exist or is not public/);
  const { registry } = await loggedIn();
  const thrown = await run(examples[2] ?? '', { 'https://ghcr.io': registry.url }, {});
  expect(thrown.stderr).toMatch(/^ERR_REG_CREDENTIAL_MISSING credential-missing /);
});

test('credentials and trust', async () => {
  const { registry, password } = await stage();
  const { stdout } = await run(
    (examples[3] ?? '').replace("username: 'ci'", "username: 'alice'"),
    {
      'https://registry.example:5000': registry.url,
      'registry.example:5000': registry.host,
      'https://sso.example': registry.pair.realm,
    },
    { REGISTRY_PASSWORD: password },
  );
  expect(stdout).toBe("{ name: 'team/app', tags: [ '1' ] }\n");
});
