/** Runs the other files of this folder, most of which leak, and prints what became of each as the last line. */

import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';

const vitest = await startVitest('test', [], {
  root: fileURLToPath(new URL('.', import.meta.url)),
  config: false,
  watch: false,
  cache: false,
  include: ['*.ts'],
  exclude: ['run.ts'],
  reporters: [{}],
  setupFiles: [fileURLToPath(new URL('../../src/canary.ts', import.meta.url))],
});
const outcome = vitest.state.getTestModules().map((module) => {
  const errors = module.errors().map(({ message }) => message);
  return [basename(module.moduleId), module.state(), errors.join('\n')];
});
await vitest.close();
// Failing files are what is wanted here.
process.exitCode = 0;
process.stdout.write(`\n${JSON.stringify(outcome)}\n`);
