/**
 * The end of a command that did not do what it was asked: what stderr is told, and the exit code.
 *
 * Rules of this file: the one place that turns what was thrown into an exit code. A user's mistake has no stack trace.
 */

import { CommanderError } from 'commander';
import { Stop, type Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { Complaint, renderComplaint } from './complaint.ts';
import { exitCode } from './exit-code.ts';

export interface CommandLine {
  /** The hint where nothing knows a better one. */
  readonly help: string;
  /** As it was given: it may not even parse. */
  readonly args: readonly string[];
}

/** Says why the command ended, if there is anything to say. */
export function report(error: unknown, { help }: CommandLine, { stderr, env, signal }: Surroundings): number {
  const { reason } = signal;
  if (reason instanceof Stop) return reason.exitCode;
  // `reg` alone was shown how it is used.
  if (error instanceof CommanderError && error.code === 'commander.help') return exitCode.usage;
  const complaint = complaintOf(error);
  stderr.write(renderComplaint(complaint, help, paintFor(stderr, env), widthOf(stderr)));
  return complaint.exitCode;
}

function complaintOf(error: unknown): Complaint {
  if (error instanceof Complaint) return error;
  if (error instanceof CommanderError) return new Complaint(exitCode.usage, commandLineFault(error.message));
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new Complaint(exitCode.unexpected, `this should not have happened: ${message}`, {
    hint: 'reg --version   # to go with the report of this',
  });
}

/** Commander's message without its label, on one line. */
function commandLineFault(message: string): string {
  return message.replace(/^error: /, '').replace(/\n(?=\(Did you mean)/, ' ');
}
