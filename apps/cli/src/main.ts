#!/usr/bin/env node
/**
 * The entry of `reg`.
 *
 * Rules of this file: the version and the overview are answered at once; all else is loaded for what else is asked
 * (docs/decisions/0050).
 */

import process from 'node:process';
import { overview } from './overview.ts';
import { version } from './version.ts';

const load = async (): Promise<void> => (await import('./command.ts')).runCommand();

/** What is known without the command, or `null`. */
function answerTo([first, ...rest]: readonly string[]): string | null {
  if (rest.length > 0) return null;
  switch (first) {
    case '--version':
    case '-V':
      return `${version}\n`;
    case '--help':
    case '-h':
      // No help is wider than 100 columns (`tree/root.ts`).
      return overview[Math.min(process.stdout.columns ?? 80, 100)] ?? null;
    default:
      return null;
  }
}

const answer = answerTo(process.argv.slice(2));
if (answer === null) {
  void load();
} else {
  // The whole command knows what to say of an output that cannot be written.
  process.stdout.once('error', load).write(answer);
}
