/** Runs an entry of this package as a process, from source, as the workspace's scripts do. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createTap } from '@reg/testing';

export type Child = ChildProcessByStdio<Writable | null, Readable, Readable>;

export type Entry = 'main.ts' | 'demo.ts' | '../test/asking.ts';

/** How `src/<entry>` is started. */
export function commandLine(entry: Entry, args: readonly string[]): readonly [string, ...string[]] {
  const file = fileURLToPath(new URL(`../src/${entry}`, import.meta.url));
  return [process.execPath, '--conditions=@reg/source', file, ...args];
}

/** Starts `src/<entry>`. A process that hangs is ended, and then has no exit code. */
export function start(
  entry: Entry,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = { DOCKER_CONFIG: '/nonexistent' },
): Child {
  const [command, ...rest] = commandLine(entry, args);
  return spawn(command, rest, {
    // A small environment: this one's NODE_OPTIONS are vitest's, and its credentials somebody's.
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 10_000,
    killSignal: 'SIGKILL',
  });
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * What `child` printed and how it ended. Fails when it printed a canary, in whatever spelling.
 *
 * @param printsSecret the command is there to print a secret on stdout, as `reg token` is
 */
export async function ended(child: Child, { printsSecret = false } = {}): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  const tap = createTap();
  for (const name of ['stdout', 'stderr'] as const) {
    const read = tap.reader(name);
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      if (name !== 'stdout' || !printsSecret) read(text);
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const [leak] = tap.leaks();
  if (leak !== undefined) throw new Error(`a secret was printed on ${leak.place}`);
  return { code, ...texts };
}
