/** Asks, shows progress and fails, as commands may, for tests of what no command does when it is told to. */

import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { runInProcess } from '../src/process.ts';
import { report } from '../src/report/report.ts';
import type { Surroundings } from '../src/surroundings.ts';
import { progressFor } from '../src/terminal/progress.ts';
import { ask, confirm } from '../src/terminal/prompt.ts';

async function run(surroundings: Surroundings, args: readonly string[]): Promise<number> {
  const { stdout, stderr, signal } = surroundings;
  // Whoever sends a signal has to know where to.
  if (surroundings.stdin.isTTY === true) writeFileSync('asking.pid', String(process.pid));
  if (args.includes('progress')) {
    const running = progressFor(surroundings, {}).start('fetching', 2_000_000);
    running.advance(500_000);
    // Until somebody has seen it, and pressed a key that is not shown.
    surroundings.stdin.setRawMode?.(true);
    await new Promise<void>((resolve, reject) => {
      surroundings.stdin.once('data', () => resolve());
      signal.addEventListener('abort', () => reject(signal.reason));
    }).finally(() => {
      surroundings.stdin.setRawMode?.(false);
      surroundings.stdin.pause();
      running.end();
    });
    stderr.write('fetched\n');
    return 0;
  }
  if (args.includes('fault')) {
    setImmediate(() => {
      throw new Error('nobody caught\u001b[2J this');
    });
    return new Promise((_, reject) => {
      const wait = setInterval(() => {}, 1_000);
      signal.addEventListener('abort', () => {
        clearInterval(wait);
        reject(signal.reason);
      });
    });
  }
  if (args.includes('forever')) return new Promise(() => {});
  const flag = '--password-stdin';
  const name = args.includes('hidden') ? '' : await ask('User name:', surroundings, { flag });
  const secret = await ask('Password:', surroundings, { flag, hidden: true });
  const sure = args.includes('hidden') || (await confirm('Store it?', surroundings, { flag }));
  // Told apart from what was typed.
  stdout.write(`${JSON.stringify([name, [...secret].toReversed().join(''), sure])}\n`);
  return 0;
}

runInProcess((surroundings, args) =>
  run(surroundings, args).catch((error) => report(error, { help: 'asking', args }, surroundings)),
);
