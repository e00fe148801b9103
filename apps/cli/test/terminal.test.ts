/** Questions and progress in a real terminal. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { openTerminal } from './tmux.ts';

describe.skipIf(isMissing('tmux'))('in a real terminal', () => {
  test('a hidden answer is not shown while it is typed, and is the answer', async () => {
    const terminal = await openTerminal();
    terminal.run('asking hidden');
    await terminal.until((screen) => screen.endsWith('Password:'));
    terminal.type('wörter🔑x');
    terminal.press('BSpace', 'Enter');
    expect(await terminal.until((screen) => screen.endsWith('\n$'))).toMatch(/^\["","🔑retröw",true\]$/m);
    expect(terminal.written()).not.toContain('wör');
  });

  test('a pasted one neither, in brackets or not', async () => {
    const terminal = await openTerminal();
    for (const bracketed of [false, true]) {
      terminal.run(`${bracketed ? "printf '\\e[?2004h'; " : ''}asking hidden`);
      await terminal.until((screen) => screen.endsWith('Password:'));
      terminal.paste('abc def\r');
      await terminal.until((screen) => screen.includes('fed cba') && screen.endsWith('\n$'));
      expect(terminal.written()).not.toContain('abc');
      terminal.run('clear');
      await terminal.until((screen) => screen === '$');
    }
  });

  test('Ctrl-C in a hidden question ends it with 130, and what is typed is shown again', async () => {
    const terminal = await openTerminal();
    terminal.run('asking hidden');
    await terminal.until((screen) => screen.endsWith('Password:'));
    // The terminal is raw now, so Ctrl-C is a key like any other.
    terminal.type('secret');
    terminal.press('C-c');
    await terminal.until((screen) => screen.endsWith('\n$'));
    terminal.run('echo "ended with $?"; stty -a');
    const screen = await terminal.until((seen) => /-?echok\b/.test(seen));
    expect(screen).toContain('ended with 130');
    expect(screen).toMatch(/ icanon\b.* echo\b/s);
    expect(screen).toMatch(/(?<!-)isig\b/);
    expect(terminal.written()).not.toContain('secret');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s in a hidden question ends it with %i, and what is typed is shown again',
    async (signal, code) => {
      const terminal = await openTerminal();
      terminal.run('asking hidden');
      await terminal.until((screen) => screen.endsWith('Password:'));
      process.kill(Number(readFileSync(join(terminal.home, 'asking.pid'), 'utf8')), signal);
      await terminal.until((screen) => screen.endsWith('\n$'));
      terminal.run('echo "ended with $?"; stty -a');
      const screen = await terminal.until((seen) => /-?echok\b/.test(seen));
      expect(screen).toContain(`ended with ${code}`);
      expect(screen).toMatch(/ icanon\b.* echo\b/s);
    },
  );

  test('questions one after another, each with its answer', async () => {
    const terminal = await openTerminal();
    terminal.run('asking all');
    await terminal.until((screen) => screen.endsWith('User name:'));
    terminal.type('alixe');
    terminal.press('BSpace', 'BSpace');
    terminal.type('ce');
    terminal.press('Enter');
    await terminal.until((screen) => screen.endsWith('Password:'));
    terminal.type('secret');
    terminal.press('Enter');
    await terminal.until((screen) => screen.endsWith('Store it? [y/N]'));
    terminal.type('y');
    terminal.press('Enter');
    const screen = await terminal.until((seen) => seen.includes(']\n$'));
    expect(screen).toContain('\nUser name: alice\nPassword:\nStore it? [y/N] y\n["alice","terces",true]\n$');
  });

  test('Ctrl-C in a question that shows what is typed ends it with 130', async () => {
    const terminal = await openTerminal();
    terminal.run('asking all');
    await terminal.until((screen) => screen.endsWith('User name:'));
    terminal.press('C-c');
    await terminal.until((screen) => screen.endsWith('\n$'));
    terminal.run('echo "ended with $?"');
    expect(await terminal.until((screen) => /with \d/.test(screen))).toContain('ended with 130');
  });

  test('Ctrl-D is no answer, and exit code 2', async () => {
    const terminal = await openTerminal();
    terminal.run('asking all');
    await terminal.until((screen) => screen.endsWith('User name:'));
    terminal.press('C-d');
    await terminal.until((screen) => screen.endsWith('\n$'));
    terminal.run('echo "ended with $?"');
    const screen = await terminal.until((seen) => /with \d/.test(seen));
    expect(screen).toContain('reg: the input ended before an answer: use --password-stdin\nhint: asking\n');
    expect(screen).toContain('ended with 2');
  });

  test('progress appears, and is gone without a trace', async () => {
    const terminal = await openTerminal();
    terminal.run('asking progress');
    await terminal.until((screen) => screen.includes('fetching  500.0 kB of 2.0 MB, 25 %'));
    terminal.press('Enter');
    const screen = await terminal.until((seen) => seen.includes('fetched'));
    expect(screen).not.toContain('fetching');
  });

  test('progress is gone when the command is stopped', async () => {
    const terminal = await openTerminal();
    terminal.run('asking progress');
    await terminal.until((screen) => screen.includes('fetching'));
    process.kill(Number(readFileSync(join(terminal.home, 'asking.pid'), 'utf8')), 'SIGINT');
    await terminal.until((screen) => screen.endsWith('\n$'));
    terminal.run('echo "ended with $?"');
    const screen = await terminal.until((seen) => /with \d/.test(seen));
    expect(screen).toContain('ended with 130');
    expect(screen).not.toContain('fetching');
  });
});
