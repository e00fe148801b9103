import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { exitCode } from '../src/report/exit-code.ts';
import { nameOf } from '../src/tree/find.ts';
import { tree } from '../src/tree/root.ts';
import { hintIn, run } from './run.ts';

const page = { out() {}, err() {} };
const nowhere = {
  stdout: { write() {} },
  stderr: { write() {} },
  get stdin(): never {
    throw new Error('nothing is read');
  },
  env: {},
  signal: new AbortController().signal,
};

/** The words of every command, those of groups too: `['cache', 'clear']`. */
const commands = every(tree(nowhere, page, () => {})).map((command) => nameOf(command).split(' ').slice(1));

function every(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(every)];
}

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const readme = readFileSync(join(repository, 'apps/cli/README.md'), 'utf8');

describe('help', () => {
  test('there is a whole tree', () => {
    expect(commands.length).toBeGreaterThan(25);
  });

  test.each(commands.map((words) => [words]))(
    'of %j is data, fits 80 columns and has an example',
    async (words) => {
      const { code, stdout, stderr } = await run([...words, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`^Usage: ${['reg', ...words].join(' ')}`));
      for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
      expect(stdout).toMatch(/\nExamples?:\n {2}\S/);
      // What there is to say of an option is said in words.
      expect(stdout).not.toMatch(/choices:|"(auto|text)"|undefined|\[object/);
    },
  );

  test.each(commands.map((words) => [words]))('reg help %j prints the same', async (words) => {
    const asked = await run(['help', ...words]);
    const { stdout } = await run([...words, '--help']);
    expect(asked).toEqual({ code: 0, stdout, stderr: '' });
  });

  test('an alias has the help of its command', async () => {
    expect(await run(['help', 'whoami'])).toEqual(await run(['help', 'status']));
  });

  test.each([60, 80, 100])('in %i columns it fits too', async (columns) => {
    for (const words of commands) {
      const { stdout } = await run([...words, '--help'], { terminal: columns });
      // What comes behind the last option is text as it stands, for 80 columns.
      const last = Math.max(stdout.lastIndexOf('print this help'), stdout.lastIndexOf('\n  help '));
      const prose = stdout.slice(0, last);
      for (const line of prose.split('\n')) expect(line.length, line).toBeLessThanOrEqual(columns);
    }
  });

  test('is without colours, also on a terminal', async () => {
    const { stdout } = await run(['--help'], { terminal: 80 });
    expect(stdout).not.toContain('\u001b');
  });

  test.each([['nope'], ['tags', 'nope'], ['exit-codes', 'nope'], ['cache', 'ls', 'nope']])(
    'about what there is not: %j %j %j',
    async (...topic) => {
      const ran = await run(['help', ...topic]);
      expect(ran).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining('there is no help about'),
      });
      expect(hintIn(ran)).toBe('reg help');
    },
  );
});

describe.each(['exit-codes', 'environment', 'auth-files'])('reg help %s', (topic) => {
  test('is data that fits 80 columns and has an example', async () => {
    const { code, stdout, stderr } = await run(['help', topic]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/\n {2}(?:REG_PASSWORD=\S+ .*\) )?reg \w/);
  });
});

test('exit codes: the help and the README say of each code what there is to say', async () => {
  const { stdout } = await run(['help', 'exit-codes']);
  const listed = stdout.slice(stdout.indexOf('\n\n') + 2).replaceAll(/\n {12}/g, ' ');
  const inHelp = [...listed.matchAll(/^ {2}(\d+(?:, \d+)?) +(.+)$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  const inReadme = [...readme.matchAll(/^\| (\d+(?:, \d+)?) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  expect(inHelp).toEqual(inReadme);
  expect(inHelp.map(([code]) => code)).toEqual([...Object.values(exitCode).map(String), '130, 143']);
});

describe('environment', () => {
  /** `(env, 'no_proxy')` is any spelling. */
  const proxyOf = (name = ''): string => (name.endsWith('_proxy') ? name.toUpperCase() : name);
  /** All that this command is made of, but what it does not use of `@reg/node`. */
  const folders = [
    'apps/cli/src',
    ...['credentials', 'files', 'network', 'stores'].map((name) => `packages/node/src/${name}`),
  ];
  const unused = ['environment.ts'];
  const sources = folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !unused.includes(name))
      .map((name) => readFileSync(join(repository, folder, name), 'utf8')),
  );
  const read = new Set(
    sources.flatMap((text) =>
      [
        ...text.matchAll(
          /\benv\[?\??\.?\['(\w+)'\]|\(env, '(\w+)'\)|\benv\.([A-Z]\w*)|'(https?_proxy|no_proxy)'/g,
        ),
      ].map(
        ([, index, argument, member, proxy]) => proxy?.toUpperCase() ?? index ?? member ?? proxyOf(argument),
      ),
    ),
  );

  test('every variable that is read is in the help', async () => {
    const { stdout } = await run(['help', 'environment']);
    const told = [...stdout.matchAll(/^ {2}([A-Za-z_]+) {2}/gm)].map(([, name]) => name);
    expect(read).toContain('DOCKER_CONFIG');
    expect(read).toContain('HTTPS_PROXY');
    expect([...read].filter((name) => !told.includes(name))).toEqual([]);
    // Node reads the one by itself, to the other all paths are relative that begin with `~`.
    const indirect = ['NODE_EXTRA_CA_CERTS', 'HOME'];
    expect(told.filter((name) => !read.has(name ?? '') && !indirect.includes(name ?? ''))).toEqual([]);
  });

  test('the README tells no others', async () => {
    const { stdout } = await run(['help', 'environment']);
    const inReadme = [...readme.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name = '']) => name);
    expect(inReadme.filter((name) => !stdout.includes(`  ${name} `))).toEqual([]);
  });
});
