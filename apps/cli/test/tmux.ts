/**
 * A real terminal, with a shell in it, for one test.
 *
 * Rules of this file: a tmux server of its own, which is ended with the test; nothing of the user's is read: no profile, no
 * configuration, an empty home. It waits for what the terminal prints, never for time.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { quote } from '../src/report/shell.ts';
import { commandLine } from './process.ts';

export interface Terminal {
  /** The user's home directory, which is the working directory too. */
  readonly home: string;
  /** Runs a command line, or whatever a line is to the program that reads it. */
  run(line: string): void;
  /** Types `text`, as it is. */
  type(text: string): void;
  /** Presses a key, by tmux's name for it: `Enter`, `C-c`, `Tab`, `BSpace`. */
  press(...keys: readonly string[]): void;
  /** Pastes `text`, in brackets where the program has asked for that. */
  paste(text: string): void;
  /** What is on the screen: lines without the space at their ends. */
  screen(): string;
  /** Resolves with the screen as soon as `done` says so of it. Rejects with what is there instead when that takes too long. */
  until(done: (screen: string) => boolean): Promise<string>;
  /** All that was ever written to the terminal, control sequences included. */
  written(): string;
}

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** The shell that is started, with its arguments. Default: bash, which reads no profile and prompts with `$ `. */
  readonly shell?: readonly string[];
}

/** What can be run there, beside what the machine has. */
const programs = { reg: 'main.ts', asking: '../test/asking.ts' } as const;

/** As long as a busy machine may take to start a process. */
const PATIENCE_MS = 20_000;

/** Opens a terminal of 80 columns and 24 rows, in which `reg` is this command. Resolves when the shell is ready. */
export async function openTerminal(options: TerminalOptions = {}): Promise<Terminal> {
  const {
    columns = 80,
    rows = 24,
    env = {},
    shell = ['bash', '--noprofile', '--norc', '--noediting', '-i'],
  } = options;
  const folder = mkdtempSync(join(tmpdir(), 'reg-tmux-'));
  const home = join(folder, 'home');
  const bin = join(folder, 'bin');
  for (const made of [home, bin]) mkdirSync(made);
  for (const [name, entry] of Object.entries(programs)) {
    const command = join(bin, name);
    writeFileSync(command, `#!/bin/sh\nexec ${commandLine(entry, []).map(quote).join(' ')} "$@"\n`);
    chmodSync(command, 0o755);
  }

  // A name of its own, and no socket in a folder that others share.
  const socket = join(folder, 'socket');
  const tmux = (...args: readonly string[]): string =>
    execFileSync('tmux', ['-u', '-S', socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: home, SHELL: '/bin/sh', LC_ALL: 'C.UTF-8' },
    });
  onTestFinished(() => {
    spawnSync('tmux', ['-S', socket, 'kill-server']);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  const output = join(folder, 'output');
  execFileSync('mkfifo', [output]);
  let written = '';
  let changed = (): void => {};
  const stream = createReadStream(output, 'utf8').on('data', (text) => {
    written += text;
    changed();
  });
  onTestFinished(() => void stream.destroy());

  const given = { PATH: `${bin}:${process.env['PATH']}`, HOME: home, PS1: '$ ', LC_ALL: 'C.UTF-8', ...env };
  const start = Object.entries(given).map(([name, value]) => `${name}=${value}`);
  // The environment of whoever runs the test stays outside, but for what tmux says of its terminal.
  const line = `exec env -i TERM="$TERM" ${[...start, ...shell].map(quote).join(' ')}`;
  tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), '-c', home, 'sh');
  tmux('pipe-pane', '-O', `exec cat > ${quote(output)}`);
  tmux('respawn-pane', '-k', '-c', home, line);

  const screen = (): string => tmux('capture-pane', '-p').trimEnd();
  const terminal: Terminal = {
    home,
    run(line) {
      terminal.type(line);
      terminal.press('Enter');
    },
    type: (text) => void tmux('send-keys', '-l', '--', text),
    press: (...keys) => void tmux('send-keys', ...keys),
    paste(text) {
      tmux('set-buffer', '--', text);
      tmux('paste-buffer', '-p', '-r');
    },
    screen,
    written: () => written,
    until: (done) =>
      new Promise((resolve, reject) => {
        const settle = (how: () => void): void => {
          clearTimeout(late);
          changed = () => {};
          how();
        };
        const late = setTimeout(
          () => settle(() => reject(new Error(`the terminal shows something else:\n${screen()}`))),
          PATIENCE_MS,
        );
        changed = () => {
          const seen = screen();
          if (done(seen)) settle(() => resolve(seen));
        };
        changed();
      }),
  };
  await terminal.until((seen) => seen !== '');
  return terminal;
}
