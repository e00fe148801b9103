import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { commandLine, ended, start } from './process.ts';
import { registryFor } from './run.ts';
import { matchesSchema } from './schema.ts';

test('what was asked for is on stdout, and the exit code is 0', async () => {
  const { host } = await registryFor({ auth: 'none', repositories: { a: { tags: ['1', '2'] } } });
  expect(await ended(start('main.ts', ['tags', `${host}/a`]))).toEqual({
    code: 0,
    stdout: '1\n2\n',
    stderr: '',
  });
});

test('a mistake is two lines on stderr, no stack, and its exit code', async () => {
  const { code, stdout, stderr } = await ended(start('main.ts', ['tags', 'a b']));
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^reg: invalid reference: .*\n {5}a b\n {5} \^\nhint: reg tags --help\n$/);
});

/** A private repository, and a config that others may read. */
async function exposed(): Promise<{ readonly host: string; readonly env: NodeJS.ProcessEnv }> {
  const { host } = await registryFor({
    auth: 'basic',
    users: { a: 'b' },
    repositories: { a: { tags: ['1'] } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'config.json');
  writeFileSync(config, '{}');
  chmodSync(config, 0o644);
  return { host, env: { DOCKER_CONFIG: folder } };
}

test('a warning is one line on stderr, in words', async () => {
  const { host, env } = await exposed();
  const { stderr } = await ended(start('main.ts', ['tags', `${host}/a`], env));
  expect(stderr.split('\n').filter((line) => line.includes('arning'))).toEqual([
    expect.stringMatching(/^warning: .*config\.json.* may read it/),
  ]);
});

test('with -q there is no warning, nor with -o json', async () => {
  const { host, env } = await exposed();
  const { stderr } = await ended(start('main.ts', ['tags', `${host}/a`, '-q'], env));
  expect(stderr).toMatch(/^reg: /);
  expect(stderr).not.toContain('warning');
  const json = await ended(start('main.ts', ['tags', `${host}/a`, '-o', 'json'], env));
  expect(json.code).toBe(4);
  expect(matchesSchema('error', json.stderr)).toMatchObject({ error: { exit: 4 } });
});

test('a fault that nobody caught is one line, and ends the work at hand', async () => {
  expect(await ended(start('../test/asking.ts', ['fault']))).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'reg: this should not have happened: Error: nobody caught\\u{1b}[2J this\n' +
      'hint: reg --version   # to go with the report of this\n',
  });
  const { stderr } = await ended(start('../test/asking.ts', ['fault', '-vv']));
  expect(stderr).toMatch(/^ {4}at .*asking\.ts/m);
});

test('work that never ends is no success', async () => {
  expect(await ended(start('../test/asking.ts', ['forever']))).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'reg: this should not have happened: Error: it ended before it was done\n' +
      'hint: reg --version   # to go with the report of this\n',
  });
});

test('a closed stdin is an empty one', () => {
  const args = ['tags', 'r.example/a', '-u', 'alice', '--password-stdin'];
  const shell = ['-c', 'exec "$0" "$@" <&-', ...commandLine('main.ts', args)];
  const { status, stderr } = spawnSync('sh', shell, { env: {}, encoding: 'utf8' });
  expect({ status, stderr }).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no password on stdin'),
  });
});

test('without a terminal nobody is asked', async () => {
  const { code, stdout, stderr } = await ended(start('../test/asking.ts', ['hidden']));
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('no terminal to ask it on: use --password-stdin\nhint: asking\n');
});

test('a reader that has seen enough is no error', async () => {
  const tags = Array.from({ length: 100_000 }, (_, i) => `tag-${i}`);
  const { host } = await registryFor({
    auth: 'none',
    faults: [{ kind: 'status', status: 200, body: JSON.stringify({ tags }) }],
  });
  const child = start('main.ts', ['tags', `${host}/a`]);
  const errors = child.stderr.setEncoding('utf8').toArray();
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  const [code] = await once(child, 'exit');
  expect([code, (await errors).join('')]).toEqual([0, '']);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s while a registry keeps silent ends it with %i, and says nothing', async (signal, code) => {
  const silent = createServer();
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => silent.closeAllConnections());
  onTestFinished(() => void silent.close());
  const address = silent.address() as AddressInfo;
  const child = start('main.ts', ['tags', `127.0.0.1:${address.port}/a`]);
  const end = ended(child);
  await once(silent, 'request');
  child.kill(signal);
  expect(await end).toEqual({ code, stdout: '', stderr: '' });
});

test.skipIf(!existsSync('/dev/full'))('output that cannot be written is an error (needs /dev/full)', () => {
  const shell = ['-c', 'exec "$0" "$@" > /dev/full', ...commandLine('main.ts', ['--help'])];
  const { status, stderr } = spawnSync('sh', shell, { env: {}, encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^reg: the output cannot be written: ENOSPC.*\nhint: df -h\n$/);
});
