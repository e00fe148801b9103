/**
 * This process, as the command sees it.
 *
 * Rules of this file: the only one that touches `process`. It never calls `process.exit`: what was written to a pipe would be
 * lost. The exit code is set, and the process ends when nothing is left to do.
 */

import process from 'node:process';
import { exitCode } from './report/exit-code.ts';
import { settingsIn } from './report/settings.ts';
import { Stop, type Surroundings } from './surroundings.ts';

/** 128 and the number of the signal, as shells report it. */
const INTERRUPTED = 130;
const TERMINATED = 143;

/** Runs `command` in this process, with its arguments, and leaves with the exit code it resolves to. */
export function runInProcess(
  command: (surroundings: Surroundings, args: readonly string[]) => Promise<number>,
): void {
  const args = process.argv.slice(2);
  const stop = new AbortController();
  // The first one ends the work at hand; a second finds no listener and ends the process.
  process.once('SIGINT', () => stop.abort(new Stop(INTERRUPTED)));
  process.once('SIGTERM', () => stop.abort(new Stop(TERMINATED)));
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      // `reg tags … | head -1`: whoever read has seen enough.
      const code = error.code === 'EPIPE' ? exitCode.ok : exitCode.unexpected;
      // The command may have ended and be waiting for what it wrote.
      process.exitCode = code;
      if (code !== exitCode.ok && output === process.stdout) {
        process.stderr.write(`reg: the output cannot be written: ${error.message}\nhint: df -h\n`);
      }
      stop.abort(new Stop(code));
    });
  }
  // Node would add its process number and how to trace itself.
  process.removeAllListeners('warning');
  process.on('warning', async ({ message }) => {
    if (settingsIn(args).quiet) return;
    const { toVisible } = await import('@reg/core');
    process.stderr.write(`warning: ${toVisible(message)}\n`);
  });
  const surroundings: Surroundings = {
    stdout: process.stdout,
    stderr: process.stderr,
    // Touching `process.stdin` opens it, so it is touched when it is read.
    get stdin() {
      return process.stdin;
    },
    env: process.env,
    signal: stop.signal,
  };
  // What nobody caught: Node would print the line of the bundle it comes from, which is 100 kB long.
  process.on('uncaughtException', async (error) => {
    process.exitCode = exitCode.unexpected;
    const { report } = await import('./report/report.ts');
    report(error, { help: 'reg --help', args }, surroundings);
    stop.abort(new Stop(exitCode.unexpected));
  });
  // A command that waits for what never comes leaves Node with nothing to do, and that is no success.
  const unfinished = (): void => {
    if (process.exitCode !== undefined) return;
    process.exitCode = exitCode.unexpected;
    process.stderr.write(
      'reg: this should not have happened: it ended before it was done\nhint: reg --version\n',
    );
  };
  process.once('exit', unfinished);
  void command(surroundings, args).then((code) => {
    process.off('exit', unfinished);
    const { reason } = stop.signal;
    process.exitCode ??= reason instanceof Stop ? reason.exitCode : code;
  });
}
