import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exitCode } from '../src/report/exit-code.ts';
import { Stop } from '../src/surroundings.ts';
import { hintIn, registryFor, run } from './run.ts';

describe('help', () => {
  test.each([[['--help']], [['-h']], [['tags', '--help']], [['trace', '--help']]])(
    '%j is data',
    async (args) => {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: reg /);
    },
  );

  test.each([[['--help']], [['tags', '--help']], [['trace', '--help']]])(
    '%j fits 80 columns',
    async (args) => {
      const { stdout } = await run(args);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    },
  );

  test('without a command it is talk, and a usage error', async () => {
    const { code, stdout, stderr } = await run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: reg /);
  });

  test('the version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('the exit codes of the help and of the README are those there are', async () => {
    const { stdout } = await run(['--help']);
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const inHelp = stdout.slice(stdout.indexOf('Exit codes:')).match(/\b\d+(?= )/g);
    const inReadme = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    const codes = Object.values(exitCode);
    expect(inHelp?.map(Number)).toEqual(codes);
    expect(inReadme.filter((code) => code < 128)).toEqual(codes);
  });
});

describe('a command line that cannot be meant exits with 2, says where it is wrong, and asks nobody', () => {
  const long = 'a'.repeat(1024 * 1024);

  test.each<[string, readonly string[], RegExp, string]>([
    ['a typo', ['tag', 'x'], /unknown command 'tag' \(Did you mean tags\?\)/, 'reg --help'],
    ['nothing', ['tags'], /missing required argument 'repository'/, 'reg tags --help'],
    ['too much', ['tags', 'a', 'b'], /too many arguments/, 'reg tags --help'],
    [
      'a flag there is not',
      ['tags', 'a', '--password', 'x'],
      /unknown option '--password'/,
      'reg tags --help',
    ],
    [
      'a format',
      ['trace', 'a', '-o', 'xml'],
      /Allowed choices are text, json, har, mermaid, curl/,
      'reg trace --help',
    ],
    ['a contradiction', ['tags', 'a', '--anonymous', '-u', 'b'], /cannot be used with/, 'reg tags --help'],
    [
      'an upper-case name',
      ['tags', 'ghcr.io/Foo/bar'],
      /at position 8\n {5}ghcr\.io\/Foo\/bar\n {5} {8}\^\n/,
      'reg tags --help',
    ],
    ['an empty name', ['tags', ''], /at position 0/, 'reg tags --help'],
    ['a URL', ['tags', 'https://ghcr.io/o/app'], /not with a scheme/, 'reg tags --help'],
    ['an image', ['tags', 'ghcr.io/o/app:1'], /names one image/, 'reg tags ghcr.io/o/app'],
    [
      'control characters',
      ['trace', 'ghcr.io/o/a\nb\u001b[2J'],
      /at position 11\n {5}ghcr\.io\/o\/a\\nb\\u\{1b\}\[2J\n {5} {11}\^\n/,
      'reg trace --help',
    ],
    ['1 MiB of a name', ['trace', long], /more than 255 characters/, 'reg trace --help'],
    [
      '1 MiB of a URL',
      ['trace', `https://r/${long}`],
      /no server takes a URL of 1048586 characters/,
      'reg trace --help',
    ],
    ['1 MiB of a command', [long], /unknown command 'a{1000}a*… \(1,04\d,\d{3} characters\)/, 'reg --help'],
    ['1 MiB of a flag', [`--${long}`], /unknown option/, 'reg --help'],
    ['half a URL', ['trace', 'http://[::1'], /taken for a URL, and this is none/, 'reg trace --help'],
    [
      'a host for an origin',
      ['tags', 'a', '--trust-realm', 'auth.example'],
      /takes the origin/,
      'reg tags --help',
    ],
    [
      'a path for an origin',
      ['tags', 'a', '--trust-realm', 'https://a/token'],
      /takes the origin/,
      'reg tags --help',
    ],
    [
      'no file',
      ['tags', 'a', '--ca-file', '/nonexistent'],
      /--ca-file cannot be read: ENOENT/,
      'reg tags --help',
    ],
    ['an empty file', ['tags', 'a', '--ca-file', '/dev/null'], /holds no certificate/, 'reg tags --help'],
  ])('%s', async (_, args, words, hint) => {
    const ran = await run(args);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(words) });
    expect(ran.stderr.length).toBeLessThan(2_000);
    expect(ran.stderr).not.toContain('\u001b');
    expect(hintIn(ran)).toBe(hint);
  });

  test('a password in an argument is not repeated', async () => {
    const secret = canary('password in an argument');
    for (const args of [
      ['trace', `https://alice:${secret}@ghcr.io/v2/`],
      ['trace', `https://alice:${secret}@[bad`],
      ['tags', `alice:${secret}@ghcr.io/o/app`],
    ]) {
      expect(await run(args)).toMatchObject({ code: 2, stdout: '' });
    }
  });
});

describe('a password', () => {
  const start = () => registryFor({ auth: 'none', repositories: { a: { tags: ['1'] } } });

  test.each([
    [['-u', 'alice'], {}, /needs a password/],
    [['-u', 'alice'], { env: { REG_PASSWORD: '' } }, /needs a password/],
    [['-u', 'alice', '--password-stdin'], { stdin: '' }, /no password on stdin/],
    [['-u', 'alice', '--password-stdin'], { stdin: '\n' }, /no password on stdin/],
    [['-u', 'alice', '--password-stdin'], { stdin: 'terminal' as const }, /would show the password/],
    [['-u', 'alice', '--password-stdin'], { stdin: 'x'.repeat(70_000) }, /too long/],
    [['-u', 'alice', '--password-stdin'], { stdin: Uint8Array.of(0xff, 0xfe) }, /not UTF-8/],
    [['--password-stdin'], { stdin: 'x' }, /needs a user name/],
    [['-u', 'a:b', '--password-stdin'], { stdin: 'x' }, /no colon/],
  ])('%j, %#', async (args, options, words) => {
    const { host, count } = await start();
    const ran = await run(['tags', `${host}/a`, ...args], options);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(words) });
    expect(count()).toBe(0);
  });

  test('in the environment alone is nobody’s: the registry may be another than it was meant for', async () => {
    const password = canary('password');
    const { host, requests } = await registryFor({
      auth: 'basic',
      users: { alice: password },
      repositories: { a: {} },
    });
    expect(await run(['tags', `${host}/a`], { env: { REG_PASSWORD: password } })).toMatchObject({ code: 4 });
    expect(requests.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
  });
});

test('credentials that docker login left are used, and where they are from is said', async () => {
  const { host } = await registryFor({
    auth: 'basic',
    users: { alice: 'secret' },
    repositories: { a: { tags: ['1'] } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.json');
  const env = { DOCKER_CONFIG: folder };

  writeFileSync(file, JSON.stringify({ auths: { [host]: { auth: btoa('alice:secret') } } }));
  expect(await run(['tags', `${host}/a`], { env })).toEqual({ code: 0, stdout: '1\n', stderr: '' });
  const { stdout } = await run(['trace', `${host}/a`], { env });
  expect(stdout).toContain(file);
  expect(stdout).not.toContain(btoa('alice:secret'));

  writeFileSync(file, '{');
  const broken = await run(['tags', `${host}/a`], { env });
  expect(broken).toMatchObject({ code: 8, stderr: expect.stringContaining('is not JSON') });
});

describe('a command that is stopped says nothing, and exits as it was told', () => {
  test('while a registry keeps silent', async () => {
    const { host } = await registryFor({ auth: 'none', faults: [{ kind: 'stall', at: 'before-head' }] });
    const stop = new AbortController();
    const ran = run(['tags', `${host}/a`], { signal: stop.signal });
    setImmediate(() => stop.abort(new Stop(130)));
    expect(await ran).toEqual({ code: 130, stdout: '', stderr: '' });
  });

  test('while it waits for a password', async () => {
    const stop = new AbortController();
    const ran = run(['tags', 'r.example/a', '-u', 'b', '--password-stdin'], {
      stdin: 'silent',
      signal: stop.signal,
    });
    setImmediate(() => stop.abort(new Stop(130)));
    expect(await ran).toEqual({ code: 130, stdout: '', stderr: '' });
  });
});
