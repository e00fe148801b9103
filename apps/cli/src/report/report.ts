/**
 * The end of a command that did not do what it was asked: what stderr is told, and the exit code.
 *
 * Rules of this file: the one place that turns what was thrown into an exit code. Whoever asked for JSON gets the error as
 * JSON. A stack is a fault of this program's, and shown to who asks for it with `-vv`.
 */

import { toVisible } from '@reg/core';
import { Stop, type Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { Complaint, complaintJson, renderComplaint } from './complaint.ts';
import { exitCode } from './exit-code.ts';
import { commandLineFault, isCommandLineFault } from './fault.ts';
import { jsonDocument, jsonLine } from './json.ts';
import { settingsIn } from './settings.ts';

export interface CommandLine {
  /** The hint where nothing knows a better one. */
  readonly help: string;
  /** As it was given: it may not even parse. */
  readonly args: readonly string[];
}

/** Says why the command ended, if there is anything to say. */
export function report(
  error: unknown,
  { help, args }: CommandLine,
  { stderr, env, signal }: Surroundings,
): number {
  const stop = [signal.reason, error].find((reason) => reason instanceof Stop);
  if (stop !== undefined) return stop.exitCode;
  const { output, color, verbose } = settingsIn(args);
  const complaint = complaintOf(error, args);
  if (output !== 'text') {
    const json = complaintJson(complaint, help);
    stderr.write(output === 'json' ? jsonDocument(json) : jsonLine(json));
    return complaint.exitCode;
  }
  if (verbose > 1 && complaint.exitCode === exitCode.unexpected) stderr.write(stackOf(error));
  stderr.write(renderComplaint(complaint, help, paintFor(stderr, env, color), widthOf(stderr)));
  return complaint.exitCode;
}

function complaintOf(error: unknown, args: readonly string[]): Complaint {
  if (error instanceof Complaint) return error;
  if (isCommandLineFault(error)) return new Complaint(exitCode.usage, commandLineFault(error, args));
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new Complaint(exitCode.unexpected, `this should not have happened: ${message}`, {
    hint: 'reg --version   # to go with the report of this',
  });
}

/** The calls alone: the message is said once, and bounded. */
function stackOf(error: unknown): string {
  const lines = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  const calls = lines.filter((line) => line.startsWith('    at '));
  return calls.map((line) => `${toVisible(line)}\n`).join('');
}
