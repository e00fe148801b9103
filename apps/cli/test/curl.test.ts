/** The script that `reg trace -o curl` writes, run by the `sh` and the `curl` of this machine. */

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canary, type RegistryOptions } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { registryFor, run } from './run.ts';

const hasCurl =
  spawnSync('curl', ['--version']).status === 0 && spawnSync('sh', ['-c', 'exit 0']).status === 0;
if (!hasCurl) {
  if (process.env['CI'] === 'true') throw new Error('running the curl script needs sh and curl');
  console.log('skipped: running the curl script needs curl (apt-get install curl)');
}

/** What a shell might make something of. */
const password = `${canary('password')} "\\ $(echo no) \`id\` é'`;
const identityToken = canary('identity token');
const tags = '{"name":"team/app","tags":["1"]}';

async function scriptFor(auth: RegistryOptions['auth'], flags: readonly string[], about = '$host/team/app') {
  const registry = await registryFor({
    auth,
    users: { alice: { password, identityToken } },
    repositories: { 'team/app': { tags: ['1'] }, 'open/app': { tags: ['1'], visibility: 'public' } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const auths = { [registry.host]: { identitytoken: identityToken } };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 });
  const trust = auth === 'basic' ? [] : ['--trust-realm', registry.pair.realm];
  const args = ['trace', about.replace('$host', registry.host), '-o', 'curl', ...trust, ...flags];
  const { code, stdout, stderr } = await run(args, {
    env: { REG_PASSWORD: password, DOCKER_CONFIG: folder },
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const sent = registry.requests.map(({ method, server, status }) => `${method} ${server} ${status}`);
  return {
    script: stdout,
    /** What the command sent, and what has been sent since. */
    sent,
    since: () =>
      registry.requests
        .slice(sent.length)
        .map(({ method, server, status }) => `${method} ${server} ${status}`),
  };
}

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

function sh(script: string, env: Readonly<Record<string, string>>): Promise<Ran> {
  return promisify(execFile)('sh', ['-c', script], { env: { PATH: process.env['PATH'] ?? '', ...env } }).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: Ran) => error,
  );
}

describe.runIf(hasCurl)('the script does the handshake', () => {
  test.each<[string, RegistryOptions['auth'], readonly string[], Record<string, string>, string?]>([
    ['of a registry that asks for nothing', 'none', ['--anonymous'], {}],
    ['Basic', 'basic', ['-u', 'alice'], { REG_PASSWORD: password }],
    ['Bearer, by a password', 'bearer', ['-u', 'alice'], { REG_PASSWORD: password }],
    ['Bearer, for anyone', 'bearer', ['--anonymous'], {}, '$host/open/app'],
    ['OAuth2, by an identity token in a POST', 'oauth2', [], { REG_IDENTITY_TOKEN: identityToken }],
    ['of a push', 'bearer', ['-u', 'alice', '--push'], { REG_PASSWORD: password }],
  ])('%s', async (_, auth, flags, env, about) => {
    const { script, sent, since } = await scriptFor(auth, flags, about);
    const { code, stdout, stderr } = await sh(script, env);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // What a push began the command takes back, for which it needs another token; the script does what is in the trace.
    expect(since()).toEqual(flags.includes('--push') ? sent.slice(0, 3) : sent);
    if (!flags.includes('--push'))
      expect(stdout).toBe(about === undefined ? tags : tags.replace('team', 'open'));
    for (const text of [script, stdout, stderr]) {
      expect(text).not.toContain(password);
      expect(text).not.toContain(identityToken);
    }
  });

  test('and without its secret, says which, and asks nobody', async () => {
    const { script, since } = await scriptFor('bearer', ['-u', 'alice']);
    const { code, stderr } = await sh(script, {});
    expect(code).not.toBe(0);
    expect(stderr).toContain('REG_PASSWORD');
    expect(since()).toEqual([]);
  });

  test('and ends where the token server says no', async () => {
    const { script, since } = await scriptFor('bearer', ['-u', 'alice']);
    const { code, stdout, stderr } = await sh(script, { REG_PASSWORD: 'wrong' });
    expect({ code: code !== 0, stdout }).toEqual({ code: true, stdout: '' });
    expect(stderr).toContain('there is no token in the answer');
    expect(since()).toEqual(['GET registry 401', 'GET token 401']);
  });
});

describe.runIf(hasCurl)('what a server wrote is never run', () => {
  const commands = [
    '$(touch RAN)',
    '`touch RAN`',
    "';touch RAN;'",
    '"; touch RAN; "',
    '\\\n touch RAN\n',
    '|touch RAN',
  ];

  test.each(commands)('a realm, service and scope with %j', async (command) => {
    const folder = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const registry = await registryFor({ auth: 'bearer', users: {}, repositories: {} });
    const words = command.replaceAll('"', '\\"').replaceAll('\n', ' ');
    const realm = `${registry.tokenUrl}/${encodeURI(command).replaceAll('%60', '`').replaceAll('%22', "'")}?x=${words}`;
    const values = [`Bearer realm="${realm}",service="${words}",scope="repository:a:pull ${words}"`];
    registry.faults.add({ kind: 'challenge', values, server: 'registry', times: 9 });
    registry.faults.add({ kind: 'status', status: 200, body: '{"token":"t"}', server: 'token', times: 9 });
    const trust = ['--trust-realm', registry.pair.realm];
    const { stdout } = await run(['trace', `${registry.host}/a`, '--anonymous', '-o', 'curl', ...trust]);
    expect(stdout).toContain(registry.tokenUrl);
    const before = registry.count();
    const { stderr } = await sh(`cd '${folder}'\n${stdout}\n[ ! -e RAN ] || echo 'IT RAN' >&2`, {});
    expect(stderr).not.toContain('IT RAN');
    expect(spawnSync('ls', [folder], { encoding: 'utf8' }).stdout).toBe('');
    expect(registry.count()).toBeGreaterThan(before);
  });
});
