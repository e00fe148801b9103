import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { complete } from '../src/completion/complete.ts';
import { ended, start } from './process.ts';
import { registryFor, run } from './run.ts';
import { openTerminal } from './tmux.ts';

/** Each press of TAB starts a process, and a machine may be busy. */
const PATIENT = { timeout: 180_000 };

const shells = ['bash', 'zsh', 'fish'] as const;

/** A home with a config of Docker's in it, the environment that says so, and the token cache of `reg tags` on `host`. */
async function home() {
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, '.docker'));
  const config = {
    auths: {
      'ghcr.io': { auth: btoa('a:b') },
      'https://index.docker.io/v1/': { auth: btoa('a:b') },
      'marked.example': {},
    },
    credHelpers: { 'helped.example:5000': 'reg-test-not-there' },
    credsStore: 'reg-test-neither',
  };
  writeFileSync(join(folder, '.docker', 'config.json'), JSON.stringify(config), { mode: 0o600 });
  return { HOME: folder };
}

const wordsOf = (line: string): readonly string[] => line.split(' ');

/** The candidates for the last word of `line`, without what they are. */
async function candidates(
  line: string,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const lines = await complete(wordsOf(line), {
    stdout: { write: () => expect.unreachable('nothing is printed') },
    stderr: { write: () => expect.unreachable('nothing is printed') },
    get stdin(): never {
      return expect.unreachable('nothing is read');
    },
    env: { HOME: '/nonexistent', ...env },
    signal: new AbortController().signal,
  });
  return lines.map((text) => text.split('\t')[0] ?? '');
}

describe('what may come next', () => {
  test.each<[string, readonly string[]]>([
    ['ta', ['tags']],
    ['c', ['credential', 'catalog', 'cache', 'completion']],
    ['nope', []],
    ['nope ', []],
    ['cache ', ['ls', 'clear', 'path']],
    ['cache c', ['clear']],
    ['cache clear --no', ['--no-input']],
    ['tags --li', ['--limit']],
    ['tags a --output ', ['text', 'json', 'ndjson']],
    ['tags a -o j', ['json']],
    ['tags a --output=nd', ['--output=ndjson']],
    ['tags a --limit ', []],
    ['tags a --limit=5', []],
    ['tags a --quiet ', []],
    ['tags a -vq --col', ['--color']],
    ['trace -o ', ['text', 'json', 'har', 'mermaid', 'curl']],
    ['trace a --output text ', []],
    ['trace --color=', ['--color=auto', '--color=always', '--color=never']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['help ex', ['exit-codes']],
    ['help ca', ['catalog', 'cache']],
    ['tags -- -', []],
    ['whoami --che', ['--check']],
    ['tags --ca-file ', [':files']],
    ['tags --ca-file=/etc/', [':files']],
    ['tags --config ', [':files']],
    ['tags --nope=', []],
  ])('%j', async (line, expected) => {
    expect(await candidates(line)).toEqual(expected);
  });

  test('all commands, each with what it does', async () => {
    const nobody = { write() {} };
    const signal = new AbortController().signal;
    const stdin = (await import('node:stream')).Readable.from([]);
    const lines = await complete([''], { stdout: nobody, stderr: nobody, stdin, env: {}, signal });
    expect(lines).toContain('tags\tPrint the tags of a repository, one a line.');
    expect(await complete([], { stdout: nobody, stderr: nobody, stdin, env: {}, signal })).toEqual(lines);
    for (const line of lines) expect(line).toMatch(/^[a-z]+\t\S[^\t\n]*$/);
  });

  test('an option that is there already does not come again, but for those that add up', async () => {
    const offered = await candidates('doctor a --offline --only tls.chain --output json --');
    expect(offered).not.toContain('--offline');
    expect(offered).not.toContain('--output');
    expect(offered).toContain('--only');
    expect(offered).toContain('--verbose');
  });

  test('registries are those that credentials are stored for, and no helper is run', async () => {
    const env = await home();
    const known = ['docker.io', 'ghcr.io', 'helped.example:5000', 'marked.example'];
    expect(await candidates('ping ', env)).toEqual(known);
    expect(await candidates('ping ghcr.io m', env)).toEqual(['marked.example']);
    expect(await candidates('logout g', env)).toEqual(['ghcr.io']);
    expect(await candidates('api -R g', env)).toEqual(['ghcr.io']);
    expect(await candidates('tags ', env)).toEqual(known.map((name) => `${name}/`));
    expect(await candidates('doctor gh', env)).toEqual(['ghcr.io', 'ghcr.io/']);
  });

  test('repositories are those that tokens are kept for, and nobody is asked', async () => {
    const env = await home();
    const registry = await registryFor({
      auth: 'bearer',
      repositories: { 'team/app': { tags: ['1'], access: { '': ['pull'] } } },
    });
    const name = `${registry.host}/team/app`;
    await run(['tags', name, '--anonymous', '--trust-realm', registry.pair.realm], { env });
    const before = registry.requests.length;
    expect(await candidates(`tags ${registry.host}`, env)).toEqual([`${registry.host}/`, name]);
    expect(await candidates('ratelimit 127', env)).toEqual([`${registry.host}/`, name]);
    expect(registry.requests.length).toBe(before);
  });

  test('where nothing can be read nothing is known', async () => {
    const { HOME } = await home();
    writeFileSync(join(HOME, '.docker', 'config.json'), '{');
    expect(await candidates('ping ', { HOME })).toEqual([]);
    expect(await candidates('ping ', { HOME, DOCKER_CONFIG: '{"auths":{}}' })).toEqual([]);
  });
});

describe('reg __complete', () => {
  test('prints a candidate a line', async () => {
    expect(await ended(start('main.ts', ['__complete', '--', 'cache', 'c']))).toEqual({
      code: 0,
      stdout: 'clear\tForget it, of one registry or of all.\n',
      stderr: '',
    });
  });
});

describe.each(shells)('reg completion %s', (shell) => {
  test('is data', async () => {
    const { code, stdout, stderr } = await run(['completion', shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('reg __complete'.split(' ')[1]);
  });

  test.skipIf(shell !== 'bash' && isMissing(shell))('is a script that the shell can read', async () => {
    const { HOME } = await home();
    const script = join(HOME, 'script');
    writeFileSync(script, (await run(['completion', shell])).stdout);
    const { status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8', env: {} });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe.skipIf(isMissing('tmux'))('in a real bash', () => {
  test(
    'TAB completes what can only be one thing, with a space behind it where the word is whole',
    PATIENT,
    async () => {
      const { HOME } = await home();
      const terminal = await openTerminal({
        shell: ['bash', '--noprofile', '--norc', '-i'],
        env: { DOCKER_CONFIG: join(HOME, '.docker') },
      });
      writeFileSync(join(terminal.home, 'authorities.pem'), '');
      terminal.run('source <(reg completion bash); clear; echo ready');
      await terminal.until((screen) => screen === 'ready\n$');
      for (const [line, expected] of [
        ['reg cat', 'reg catalog '],
        ['reg ca', 'reg ca'],
        ['reg tags --lim', 'reg tags --limit '],
        ['reg tags -o nd', 'reg tags -o ndjson '],
        ['reg tags --output=nd', 'reg tags --output=ndjson '],
        ['reg ping gh', 'reg ping ghcr.io '],
        ['reg ping helped.example:5', 'reg ping helped.example:5000 '],
        ['reg tags helped.example:', 'reg tags helped.example:5000/'],
        ['reg tags ghcr.io/a@b', 'reg tags ghcr.io/a@b'],
        ['REG_PASSWORD=x reg ping gh', 'REG_PASSWORD=x reg ping ghcr.io '],
        ['true; reg ping gh', 'true; reg ping ghcr.io '],
        ['reg tags --ca-file auth', 'reg tags --ca-file authorities.pem '],
      ] as const) {
        terminal.type(line);
        // What is typed behind it says whether there is a space, and that it is done.
        terminal.press('Tab');
        terminal.type('|');
        const screen = await terminal.until((seen) => seen.endsWith('|'));
        expect(screen.split('\n').at(-1)).toBe(`$ ${expected}|`);
        terminal.press('C-u');
        await terminal.until((seen) => seen.endsWith('\n$'));
      }
      terminal.type('reg cache ');
      terminal.press('Tab', 'Tab');
      await terminal.until((screen) => /\nclear +ls +path *\n\$ reg cache$/.test(screen));
    },
  );
});

describe.skipIf(isMissing('tmux', 'zsh'))('in a real zsh', () => {
  test('a command, a registry with a colon, the beginning of a repository', PATIENT, async () => {
    const { HOME } = await home();
    const terminal = await openTerminal({
      shell: ['zsh', '-f', '-i'],
      env: { DOCKER_CONFIG: join(HOME, '.docker'), PS1: '$ ' },
    });
    terminal.run('autoload -U compinit; compinit -u; source <(reg completion zsh); clear; echo ready');
    await terminal.until((screen) => screen === 'ready\n$');
    for (const [line, expected] of [
      ['reg cat', 'reg catalog'],
      ['reg ping helped.example:5', 'reg ping helped.example:5000'],
      ['reg tags gh', 'reg tags ghcr.io/'],
      ['reg tags -o nd', 'reg tags -o ndjson'],
    ] as const) {
      terminal.type(line);
      terminal.press('Tab');
      await terminal.until((screen) => screen.endsWith(`$ ${expected}`));
      terminal.press('C-u');
      await terminal.until((screen) => screen.endsWith('\n$'));
    }
  });
});

describe.skipIf(isMissing('fish'))('in a real fish', () => {
  test('a command, a registry with a colon, the beginning of a repository', PATIENT, async () => {
    const { HOME } = await home();
    const { stdout: script } = await run(['completion', 'fish']);
    const [program, ...args] = (await import('./process.ts')).commandLine('main.ts', []);
    const bin = join(HOME, 'reg');
    writeFileSync(bin, `#!/bin/sh\nexec ${[program, ...args].map((word) => `'${word}'`).join(' ')} "$@"\n`, {
      mode: 0o755,
    });
    const answers = (line: string): readonly string[] => {
      const { stdout } = spawnSync('fish', ['--no-config', '-c', `${script}\ncomplete -C '${line}'`], {
        encoding: 'utf8',
        env: { HOME, PATH: `${HOME}:${process.env['PATH']}`, DOCKER_CONFIG: join(HOME, '.docker') },
      });
      return stdout.trimEnd().split('\n');
    };
    expect(answers('reg cat')).toEqual(['catalog\tPrint the repositories of a registry, one a line.']);
    expect(answers('reg ping helped.example:5')).toEqual(['helped.example:5000\ta registry']);
    expect(answers('reg tags gh')).toEqual(['ghcr.io/\ta registry']);
    expect(answers('reg tags -o nd')).toEqual(['ndjson\thow to print it']);
  });
});
