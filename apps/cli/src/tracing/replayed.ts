/**
 * A trace from a file.
 *
 * Rules of this file: the file may be anybody's. No more of it is read than a trace can have, the core's reader takes it apart,
 * and the machines run on it; nothing is sent.
 */

import { createReadStream } from 'node:fs';
import { fromJson, replay, type Transcript } from '@reg/core/transcript';
import { bytesFrom } from '../reading/bytes.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface Replayed {
  readonly transcript: Transcript;
  /** Where the machines of this version go another way, or `null`. */
  readonly complaint: Complaint | null;
}

/** Bytes: no trace is longer, by the core's own bound on its characters. */
const LONGEST = 16 * 1024 * 1024;

/** Reads a trace from `file`, or from stdin for `-`, and runs the machines on it. Throws a `Complaint` for what is none. */
export async function replayed(file: string, surroundings: Surroundings): Promise<Replayed> {
  const text = await textOf(file, surroundings);
  try {
    const transcript = fromJson(text);
    const { mismatch } = replay(text);
    if (mismatch === null) return { transcript, complaint: null };
    const { step, expected, actual } = mismatch;
    const message =
      `at steps[${step}] the trace says '${expected}', where this version comes to '${actual}': it was changed, or ` +
      'written by another version';
    return {
      transcript,
      complaint: new Complaint(exitCode.unexpected, message, { code: 'replay-mismatch' }),
    };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    // The core signs its messages, and none repeats what is in the file.
    const reason =
      error instanceof SyntaxError
        ? 'it is not JSON'
        : error.message.replace('[@reg/core] not a transcript: ', '');
    throw usage(`--replay: ${shown(file)} is no trace that -o json wrote: ${reason}`);
  }
}

async function textOf(file: string, { stdin, signal }: Surroundings): Promise<string> {
  let bytes: Buffer | null;
  try {
    bytes = await bytesFrom(file === '-' ? stdin : createReadStream(file), LONGEST, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usage(`--replay: ${shown(file)} cannot be read (${why})`);
  }
  if (bytes === null) throw usage(`--replay: ${shown(file)} is longer than any trace`);
  return bytes.toString();
}

function shown(file: string): string {
  return file === '-' ? 'stdin' : file;
}
