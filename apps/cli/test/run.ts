/** Runs the command with streams and an environment of its own, and lets no secret out. */

import { Readable } from 'node:stream';
import { createTap, type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { onTestFinished } from 'vitest';
import { program } from '../src/program.ts';
import type { Input, Output } from '../src/surroundings.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What can be read; from a terminal, or from who never writes, nothing. */
  readonly stdin?: string | Uint8Array | 'terminal' | 'silent';
  readonly env?: Readonly<Record<string, string>>;
  /** Columns of the terminal that stdout and stderr are; without it they are none. */
  readonly terminal?: number;
  readonly signal?: AbortSignal;
}

/** Runs `reg ...args`. Fails when a canary is printed, in whatever spelling. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { stdin = '', env = {}, terminal, signal = new AbortController().signal } = options;
  const texts = { stdout: '', stderr: '' };
  const output = (name: keyof typeof texts): Output => ({
    write: (text: string) => {
      texts[name] += text;
    },
    ...(terminal === undefined ? {} : { isTTY: true, columns: terminal }),
  });
  const code = await program({
    stdout: output('stdout'),
    stderr: output('stderr'),
    stdin: inputOf(stdin),
    env,
    signal,
  })(args);
  const tap = createTap();
  tap.reader('stdout')(texts.stdout);
  tap.reader('stderr')(texts.stderr);
  const [leak] = tap.leaks();
  if (leak !== undefined) throw new Error(`a secret was printed on ${leak.place}`);
  return { code, ...texts };
}

function inputOf(stdin: NonNullable<RunOptions['stdin']>): Input {
  switch (stdin) {
    case 'terminal':
      return Object.assign(Readable.from([]), { isTTY: true });
    case 'silent':
      return new Readable({ read() {} });
    default:
      return Readable.from([stdin]);
  }
}

/** Starts a registry for the running test. */
export async function registryFor(options: RegistryOptions): Promise<Registry> {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

/** The last line of stderr, without its label. */
export function hintIn({ stderr }: Ran): string {
  const last = stderr.trimEnd().split('\n').at(-1) ?? '';
  return last.startsWith('hint: ') ? last.slice('hint: '.length) : '';
}
