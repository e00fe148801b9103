#!/usr/bin/env node
/**
 * The entry of `reg`.
 *
 * Rules of this file: the version is answered at once; all else is loaded for what else is asked (docs/decisions/0050).
 */

import process from 'node:process';
import { version } from './version.ts';

const [first, ...rest] = process.argv.slice(2);
const load = async (): Promise<void> => (await import('./command.ts')).runCommand();

if (rest.length === 0 && (first === '--version' || first === '-V')) {
  // The whole command knows what to say of an output that cannot be written.
  process.stdout.once('error', load).write(`${version}\n`);
} else {
  void load();
}
