/**
 * Whatever a command line holds, its command ends with a documented exit code, a message that is bounded and harmless, and a
 * hint; and never as a fault of this program.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, onTestFinished, test } from 'vitest';
import { nameOf } from '../src/tree/find.ts';
import { tree } from '../src/tree/root.ts';
import { hintIn, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const nobody = { write() {} };
const root = tree(
  {
    stdout: nobody,
    stderr: nobody,
    get stdin(): never {
      throw new Error('nothing is read');
    },
    env: {},
    signal: new AbortController().signal,
  },
  { out() {}, err() {} },
  () => {},
);

const commands = leaves(root)
  // It has no argument, and says what it does on a registry of its own.
  .filter((command) => command.name() !== 'demo');

function leaves(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

const wordsOf = (command: Command): readonly string[] => nameOf(command).split(' ').slice(1);

const hostile: Readonly<Record<string, string>> = {
  'control characters': 'ghcr.io/o/a\u001b[2J\u0007\r\nb\u009b31m',
  'a name that turns the line around': 'ghcr.io/\u202egnp.exe',
  '1 MiB': 'a'.repeat(1024 * 1024),
  '1 MiB of a URL': `https://r.example/v2/${'a'.repeat(1024 * 1024)}`,
  nothing: '',
  'a space': ' ',
  'a dash': '-',
  'half a surrogate pair': 'a\ud800b',
  NUL: 'a\0b',
  __proto__: '__proto__',
  'a shell command': '$(touch x)`touch x`;touch x',
};

/** Of an argument that nobody can have meant. */
function judge(command: Command, ran: Awaited<ReturnType<typeof run>>): void {
  const { code, stderr } = ran;
  expect(stderr).not.toContain('should not have happened');
  expect(stderr.length).toBeLessThan(4_000);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is those that must not be there
  expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(stderr).not.toMatch(/^ +at /m);
  if (code === 0) return;
  // The protocol of credential helpers has one code for all that fails, and its own words on stdout.
  const isHelper = command.parent?.name() === 'credential' && command.name() !== 'install';
  expect(code).toBeGreaterThanOrEqual(isHelper ? 1 : 2);
  expect(code).toBeLessThanOrEqual(9);
  if (!isHelper || stderr !== '') expect(hintIn(ran)).not.toBe('');
}

/** A home that stays as it was. */
function home() {
  const folder = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { env: { HOME: folder }, left: () => readdirSync(folder, { recursive: true }) };
}

describe.each(commands.map((command) => [nameOf(command), command] as const))('%s', (_, command) => {
  const { registeredArguments, options } = command;

  test.each(Object.entries(hostile))('with %s for each of its arguments', async (_, text) => {
    const { env, left } = home();
    const args = registeredArguments.map(() => text);
    judge(command, await run([...wordsOf(command), ...args], { env }));
    expect(left()).toEqual([]);
  });

  const json = options.find(
    ({ long, argChoices = [] }) => long === '--output' && argChoices.includes('json'),
  );
  test('with -o json an error is JSON, and all of stderr', async () => {
    if (json === undefined) return;
    for (const text of Object.values(hostile)) {
      const { env } = home();
      const args = registeredArguments.map(() => text);
      const { code, stderr } = await run([...wordsOf(command), '-o', 'json', ...args], { env });
      if (code === 0) expect(stderr).toBe('');
      // A result that is not success is data, and not what went wrong.
      else if (stderr !== '') expect(matchesSchema('error', stderr)).toMatchObject({ error: { exit: code } });
    }
  });

  const valued = options.filter(({ required }) => required);
  test.each(valued.map((option) => [option.long ?? '', option] as const))(
    'with anything for %s',
    async (long, option) => {
      for (const text of Object.values(hostile)) {
        const { env, left } = home();
        // Nobody listens there.
        const args = registeredArguments.filter((argument) => argument.required).map(() => '127.0.0.1:1');
        const ran = await run([...wordsOf(command), `${long}=${text}`, ...args], { env });
        judge(command, ran);
        if (option.argChoices !== undefined) expect(ran.code).toBe(2);
        expect(left()).toEqual([]);
      }
    },
  );
});

test.each([
  'bad scope',
  'repository:a/b:pull\u001b[2J',
  'repository:a/b:pull\n',
  'a\u00a0b:c:d',
  'repository:"a":pull',
  'repository:a\\b:pull',
  '',
])('--scope %j is none, whichever command has it', async (scope) => {
  const about = ['--scope', scope, '--resolve', 'r.example:443:127.0.0.1'];
  for (const command of [
    ['token', 'r.example/a/b'],
    ['trace', 'r.example/a/b'],
    ['api', '-R', 'r.example', '/v2/a/b/tags/list'],
    ['login', 'r.example', '-u', 'a'],
  ]) {
    const ran = await run([...command, ...about]);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--scope takes ') });
    expect(hintIn(ran)).toMatch(/^reg /);
  }
});
