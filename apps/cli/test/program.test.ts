import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { canary, type Fault } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { program } from '../src/program.ts';
import { Stop } from '../src/surroundings.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

/** Surroundings without anybody in them. */
const nobody = {
  stderr: { write() {} },
  stdin: Readable.from([]),
  env: {},
  signal: new AbortController().signal,
};

describe('without a command', () => {
  test('it is shown how it is used, as talk, and that is a usage error', async () => {
    const ran = await run([]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^Usage: reg /);
    expect(hintIn(ran)).toBe('reg demo   # a whole handshake, without a registry of your own');
  });

  test.each([
    ['cache', 'ls, clear, path'],
    ['credential', 'get, store, erase, list, install'],
    ['trust', 'list, add, remove'],
  ])('%s is the name of several', async (group, names) => {
    const ran = await run([group]);
    expect(ran).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(`behind it: ${names}\n`),
    });
    expect(hintIn(ran)).toBe(`reg ${group} --help`);
  });

  test('the version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(await run(['-V'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('a command line that cannot be meant exits with 2, says where it is wrong, and asks nobody', () => {
  const long = 'a'.repeat(1024 * 1024);

  test.each<[string, readonly string[], RegExp, string]>([
    ['a typo', ['tag', 'x'], /unknown command 'tag' \(Did you mean tags\?\)/, 'reg --help'],
    [
      'a typo of one of several',
      ['cache', 'cler'],
      /unknown command 'cler' \(Did you mean clear\?\)/,
      'reg cache --help',
    ],
    ['no typo of any', ['credential', 'foo'], /unknown command 'foo'\n/, 'reg credential --help'],
    [
      'an option before its command',
      ['-q', 'tags', 'a'],
      /unknown option '-q': options come behind the command/,
      'reg tags --help',
    ],
    [
      'an alias and a typo',
      ['whoami', '--chek'],
      /unknown option '--chek' \(Did you mean --check\?\)/,
      'reg status --help',
    ],
    ['a repository for a command', ['ghcr.io/o/app'], /unknown command 'ghcr.io\/o\/app'/, 'reg --help'],
    [
      'control characters in a command',
      ['a\u001b[2J\nb'],
      /unknown command 'a\\u\{1b\}\[2J\\nb'\n/,
      'reg --help',
    ],
    ['nothing for a value', ['tags', 'a', '--limit'], /argument missing/, 'reg tags --help'],
    [
      'a shell there is not',
      ['completion', 'tcsh'],
      /Allowed choices are bash, zsh, fish/,
      'reg completion --help',
    ],
    [
      'a colour',
      ['tags', 'a', '--color', 'pink'],
      /Allowed choices are auto, always, never/,
      'reg tags --help',
    ],
    ['nothing', ['tags'], /missing required argument 'repository'/, 'reg tags --help'],
    [
      'too much',
      ['tags', 'a', 'b'],
      /too many arguments for 'tags'. Expected 1 argument but got 2\n/,
      'reg tags --help',
    ],
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
      /--ca-file: \/nonexistent does not exist/,
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
      [`alice:${secret}@ghcr.io/o/app`],
      ['tags', 'ghcr.io/o/app', `--password=${secret}`],
      ['tags', 'ghcr.io/o/app', `--password-stdin=${secret}`],
      ['tags', 'ghcr.io/o/app', `--password=it's\n(Did you mean ${secret}`],
      ['tags', 'ghcr.io/o/app', `--pasword-stdin=it's'\n(Did you mean ${secret}?)`],
      ['tags', 'ghcr.io/o/app', `-p${secret}`],
      ['login', 'ghcr.io', 'alice', secret],
      ['login', 'ghcr.io', '-u', 'alice', '-p', secret],
    ]) {
      for (const format of [[], ['-o', 'json']]) {
        const ran = await run([...args, ...format]);
        expect(ran).toMatchObject({ code: 2, stdout: '' });
        expect(ran.stderr).toMatch(/reg .*--help|--password-stdin/);
      }
    }
  });
});

describe('with -o json an error is JSON on stderr', () => {
  const usage = { code: 'usage', exit: 2, hint: 'reg tags --help', registryErrors: [] };

  test.each<[readonly string[], object]>([
    [['tags', 'a', 'b', '-o', 'json'], usage],
    [['tags', '-ojson'], usage],
    [['tags', '-qvo', 'json'], usage],
    [['tags', '--output', 'json', '--no-such'], usage],
    [['tags', '--output=json', '--color', 'pink', 'a'], usage],
    [['tags', '-o', 'json'], { ...usage, message: "missing required argument 'repository'" }],
    [['cache', '-o', 'json'], { ...usage, hint: 'reg cache --help' }],
    [['tags', '--nope', '-o', 'text', '-o', 'json'], { ...usage, message: "unknown option '--nope'" }],
    [['tags', 'A\u001b', '-o', 'json'], { ...usage, message: expect.not.stringContaining('\u001b') }],
    [['-o', 'json'], { ...usage, hint: 'reg --help' }],
  ])('%j', async (args, error) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(matchesSchema('error', stderr)).toMatchObject({ error });
    expect(stderr).toBe(`${JSON.stringify(JSON.parse(stderr), null, 2)}\n`);
  });

  test('with ndjson it is one line', async () => {
    const { stderr } = await run(['tags', '-o', 'ndjson']);
    matchesSchema('error', stderr);
    expect(stderr.indexOf('\n')).toBe(stderr.length - 1);
  });

  test.each([
    ['behind --', ['tags', '--', 'a b', '-o', 'json']],
    ['in a format that there is not', ['tags', 'a b', '-o', 'xml']],
    ['as text', ['tags', 'a b', '-o', 'json', '-o', 'text']],
  ])('%s it is not', async (_, args) => {
    expect((await run(args)).stderr).toMatch(/^reg: /);
  });

  test('it says what the registry said, and of a failed handshake which it was', async () => {
    const body = '{"errors":[{"code":"NAME_UNKNOWN","message":"no\\nname"}]}';
    const { host } = await registryFor({ auth: 'none', faults: [{ kind: 'status', status: 404, body }] });
    const missing = await run(['tags', `${host}/a`, '-o', 'json']);
    expect(missing).toMatchObject({ code: 3, stdout: '' });
    expect(matchesSchema('error', missing.stderr)).toMatchObject({
      error: {
        code: 'not-found',
        exit: 3,
        hint: `reg doctor ${host}/a   # finds out why`,
        registryErrors: [{ code: 'NAME_UNKNOWN', message: 'no\\nname' }],
      },
    });
    const refusal = '{"errors":[{"code":"DENIED","message":"of\\u001bno use"}]}';
    const token: Fault = { kind: 'status', status: 403, server: 'token', body: refusal, times: 9 };
    const closed = await registryFor({ auth: 'bearer', users: {}, faults: [token] });
    const args = ['tags', `${closed.host}/a`, '--anonymous', '--trust-realm', closed.pair.realm];
    expect(matchesSchema('error', (await run([...args, '-o', 'json'])).stderr)).toMatchObject({
      error: {
        code: 'token-refused',
        message: expect.stringContaining('of\\u{1b}no use'),
        registryErrors: [{ code: 'DENIED', message: 'of\\u{1b}no use' }],
      },
    });
    // For people it is said once.
    expect((await run(args)).stderr.match(/DENIED/g)).toHaveLength(1);
    const silent = await registryFor({ auth: 'none', faults: [{ kind: 'status', status: 401 }] });
    const { stderr } = await run(['tags', `${silent.host}/a`, '-o', 'json', '--anonymous']);
    expect(matchesSchema('error', stderr)).toMatchObject({ error: { code: 'challenge-unusable', exit: 9 } });
  });

  test('it is all there is on stderr, unless talk is asked for', async () => {
    const password = canary('password');
    const args = [
      'tags',
      'busybox',
      '-u',
      'a',
      '--password-stdin',
      '--resolve',
      'registry-1.docker.io:443:127.0.0.1',
    ];
    // Nobody listens on that port of this machine, or it is no registry with such a name.
    const ran = await run([...args, '-o', 'json'], { stdin: password });
    expect(matchesSchema('error', ran.stderr)).toMatchObject({ error: { exit: 6 } });
    expect((await run([...args, '-o', 'json', '-v'], { stdin: password })).stderr).toMatch(
      /^reg: busybox is short for/,
    );
    expect((await run(args, { stdin: password })).stderr).toMatch(/^reg: busybox is short for/);
  });

  test('who is stopped is told nothing', async () => {
    const stop = new AbortController();
    stop.abort(new Stop(130));
    expect(await run(['tags', 'a b', '-o', 'json'], { signal: stop.signal })).toEqual({
      code: 130,
      stdout: '',
      stderr: '',
    });
  });
});

describe('a fault of this program', () => {
  const broken = (message: string) => ({
    ...nobody,
    stdout: {
      write: () => {
        throw new Error(message);
      },
    },
  });

  test('is one line, a hint and exit code 1, whatever its message is', async () => {
    let stderr = '';
    const surroundings = broken('no\u001b[2J such luck');
    const write = (text: string | Uint8Array) => {
      stderr += String(text);
    };
    const code = await program({ ...surroundings, stderr: { write } })(['completion', 'bash']);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'reg: this should not have happened: Error: no\\u{1b}[2J such luck\nhint: reg --version   # to go with the report of this\n',
    );
  });

  test('has a stack with -vv, and with nothing less', async () => {
    for (const [flag, shown] of [
      ['-v', false],
      ['-vv', true],
      ['-qvv', true],
    ] as const) {
      let stderr = '';
      const write = (text: string | Uint8Array) => {
        stderr += String(text);
      };
      await program({ ...broken('x'), stderr: { write } })(['completion', 'bash', flag]);
      expect(/\n? {4}at .*\n/.test(stderr)).toBe(shown);
      expect(stderr).toMatch(/reg: this should not have happened: Error: x\nhint: .*\n$/);
    }
  });

  test('a mistake of the user has none, with -vv either', async () => {
    const { stderr } = await run(['tags', 'a b', '-vv']);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

describe('colours', () => {
  const bad = ['tags', 'a b'];

  test.each([
    ['on a terminal', [], { terminal: 80 }, true],
    ['elsewhere', [], {}, false],
    ['--color always, elsewhere', ['--color', 'always'], {}, true],
    ['--color=always against NO_COLOR', ['--color=always'], { env: { NO_COLOR: '1' } }, true],
    ['--color never, on a terminal', ['--color', 'never'], { terminal: 80 }, false],
    ['NO_COLOR', [], { terminal: 80, env: { NO_COLOR: '1' } }, false],
    ['an empty NO_COLOR, which does not count', [], { terminal: 80, env: { NO_COLOR: '' } }, true],
    ['TERM=dumb', [], { terminal: 80, env: { TERM: 'dumb' } }, false],
    ['JSON', ['-o', 'json', '--color', 'always'], { terminal: 80 }, false],
  ])('%s', async (_, args, options, coloured) => {
    const { stderr } = await run([...bad, ...args], options);
    expect(stderr.includes('\u001b[')).toBe(coloured);
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
