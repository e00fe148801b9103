/**
 * This process, as the command sees it.
 *
 * Rules of this file: the only one that touches `process`, but for the entry. It never calls `process.exit`: what was written
 * to a pipe would be lost. The exit code is set, and the process ends when nothing is left to do.
 */

import process from 'node:process';
import type { ComplaintDetails } from './report/complaint.ts';
import { exitCode } from './report/exit-code.ts';
import { settingsIn } from './report/settings.ts';
import { Stop, type Surroundings, stopCode } from './surroundings.ts';

/** Runs `command` in this process, with its arguments, and leaves with the exit code it resolves to. */
export function runInProcess(
  command: (surroundings: Surroundings, args: readonly string[]) => Promise<number>,
): void {
  const args = process.argv.slice(2);
  const stop = new AbortController();
  // The first one ends the work at hand; a second finds no listener and ends the process.
  process.once('SIGINT', () => stop.abort(new Stop(stopCode.interrupted)));
  process.once('SIGTERM', () => stop.abort(new Stop(stopCode.terminated)));
  const watched = (output: NodeJS.WriteStream): NodeJS.WriteStream =>
    output.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      // `reg tags … | head -1`: whoever read has seen enough. The command may have ended and be waiting for what it wrote.
      process.exitCode = code === 'EPIPE' ? exitCode.ok : exitCode.unexpected;
      if (code === 'EPIPE' || output === process.stderr) stop.abort(new Stop(process.exitCode));
      else void fail(`the output cannot be written: ${message}`, { code: 'output', hint: 'df -h' });
    });
  // Node would add its process number and how to trace itself.
  process.removeAllListeners('warning');
  process.on('warning', async ({ message }) => {
    if (settingsIn(args).quiet) return;
    const { toVisible } = await import('@reg/core');
    surroundings.stderr.write(`warning: ${toVisible(message)}\n`);
  });
  let stderr: NodeJS.WriteStream | null = null;
  const surroundings: Surroundings = {
    stdout: watched(process.stdout),
    // Touching a stream of `process` opens it: these are touched when they are needed.
    get stderr() {
      stderr ??= watched(process.stderr);
      return stderr;
    },
    get stdin() {
      return process.stdin;
    },
    env: process.env,
    runtime: `node ${process.versions.node}  ${process.platform}/${process.arch}`,
    signal: stop.signal,
  };
  /** Ends the work at hand, and says why: a message, or what was thrown. */
  const fail = async (why: unknown, details?: ComplaintDetails): Promise<void> => {
    process.exitCode = exitCode.unexpected;
    const [{ report }, { Complaint }] = await Promise.all([
      import('./report/report.ts'),
      import('./report/complaint.ts'),
    ]);
    const error = typeof why === 'string' ? new Complaint(exitCode.unexpected, why, details) : why;
    report(error, { help: 'reg --help', args }, surroundings);
    stop.abort(new Stop(exitCode.unexpected));
  };
  // Node would print the line of the bundle that it comes from.
  process.on('uncaughtException', (error) => void fail(error));
  // A command that waits for what never comes leaves Node with nothing to do, and that is no success.
  const unfinished = (): void => {
    if (process.exitCode === undefined) void fail(new Error('it ended before it was done'));
  };
  process.once('beforeExit', unfinished);
  void command(surroundings, args).then((code) => {
    process.off('beforeExit', unfinished);
    const { reason } = stop.signal;
    process.exitCode ??= reason instanceof Stop ? reason.exitCode : code;
  });
}
