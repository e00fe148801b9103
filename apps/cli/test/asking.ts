/** Asks and shows progress, as commands do, for tests in a real terminal. */

import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { runInProcess } from '../src/process.ts';
import { report } from '../src/report/report.ts';
import type { Surroundings } from '../src/surroundings.ts';
import { progressFor } from '../src/terminal/progress.ts';
import { ask, confirm } from '../src/terminal/prompt.ts';

async function run(surroundings: Surroundings, args: readonly string[]): Promise<number> {
  const { stdout, stderr, signal } = surroundings;
  writeFileSync('asking.pid', String(process.pid));
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
