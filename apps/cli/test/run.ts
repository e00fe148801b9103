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
  /**
   * What can be read; from who never writes, nothing. What is `typed` is typed at a terminal, one text for each question, and
   * then the input ends: `['alice\r', 'y\r']`. stderr is a terminal too, then.
   */
  readonly stdin?: string | Uint8Array | 'terminal' | 'silent' | { readonly typed: readonly string[] };
  readonly env?: Readonly<Record<string, string>>;
  /** Columns of the terminal that stdout and stderr are; without it they are none. */
  readonly terminal?: number;
  readonly signal?: AbortSignal;
  /** Told what goes to stdout, which may be no text. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** The command is there to print a secret on stdout, as `reg token` is. */
  readonly printsSecret?: boolean;
}

/** Runs `reg ...args`. Fails when a canary is printed, in whatever spelling. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { stdin = '', env = {}, terminal, signal = new AbortController().signal } = options;
  const typist = typeof stdin === 'object' && 'typed' in stdin ? typing(stdin.typed) : null;
  const written: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
  const output = (name: keyof typeof written, columns: number | undefined): Output => ({
    write: (data, done) => {
      const bytes = Buffer.from(data);
      written[name].push(bytes);
      if (name === 'stdout') options.onBytes?.(bytes);
      if (name === 'stderr') typist?.saw(bytes.toString());
      if (done !== undefined) setImmediate(done);
    },
    ...(columns === undefined ? {} : { isTTY: true, columns }),
  });
  const code = await program({
    stdout: output('stdout', terminal),
    stderr: output('stderr', terminal ?? (typist === null ? undefined : 80)),
    stdin: typist?.input ?? inputOf(stdin),
    env,
    signal,
  })(args);
  if (typist?.raw === true) throw new Error('the terminal was left raw');
  const texts = {
    stdout: Buffer.concat(written.stdout).toString(),
    stderr: Buffer.concat(written.stderr).toString(),
  };
  const tap = createTap();
  if (options.printsSecret !== true) tap.reader('stdout')(texts.stdout);
  tap.reader('stderr')(texts.stderr);
  const [leak] = tap.leaks();
  if (leak !== undefined) throw new Error(`a secret was printed on ${leak.place}`);
  return { code, ...texts };
}

function inputOf(stdin: Exclude<RunOptions['stdin'], undefined>): Input {
  if (stdin === 'terminal') return typing([]).input;
  if (stdin === 'silent') return new Readable({ read() {} });
  return Readable.from(typeof stdin === 'object' && 'typed' in stdin ? [] : [stdin]);
}

interface Typist {
  readonly input: Input;
  /** Whether the terminal shows nothing of what is typed. */
  readonly raw: boolean;
  /** A line that is not ended is a question, and gets the next answer. */
  saw(text: string): void;
}

function typing(answers: readonly string[]): Typist {
  const left = [...answers];
  const terminal = new Readable({ read() {} });
  const typist = {
    raw: false,
    input: Object.assign(terminal, {
      isTTY: true,
      setRawMode(raw: boolean) {
        typist.raw = raw;
      },
    }),
    saw(text: string) {
      if (text.endsWith(' ')) setImmediate(() => terminal.push(left.shift() ?? null));
    },
  };
  return typist;
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
