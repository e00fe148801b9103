/**
 * What the command uses of the process it runs in.
 *
 * Rules of this file: hardly more than types, small enough that a test hands in its own. stdout is for data, stderr for talk.
 */

import type { Readable } from 'node:stream';

/** A stream to write to. What `process.stdout` is. */
export interface Output {
  /** `done` is called when the data has been taken, or cannot be. Whoever writes much waits for it. */
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** A stream to read from. What `process.stdin` is. */
export type Input = Readable & {
  readonly isTTY?: boolean | undefined;
  /** Of a terminal: whether keys come one by one and are not shown. */
  readonly setRawMode?: ((raw: boolean) => unknown) | undefined;
};

export interface Surroundings {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What all of it runs on, for people: `node 24.21.0  linux/x64`. */
  readonly runtime?: string;
  /** Aborts, with a `Stop` as its reason, when the command shall end before its work is done. */
  readonly signal: AbortSignal;
}

/** Exit codes of a command that was stopped: 128 and the number of the signal, as shells report it. */
export const stopCode = { interrupted: 130, terminated: 143 } as const;

/** Why a command ends before its work is done. There is nothing more to say about it. */
export class Stop extends Error {
  override readonly name = 'Stop';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped');
    this.exitCode = exitCode;
  }
}
