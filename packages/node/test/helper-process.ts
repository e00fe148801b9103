/**
 * A process of its own for the tests of helpers: `helper-process.ts <what> [path]` runs `docker-credential-test`, which hangs,
 * and says how it was told to end.
 */

import { writeSync } from 'node:fs';
import { helperGet } from '../src/credentials/helper.ts';
import { saveCredential } from '../src/credentials/save.ts';

const [, , what, path = ''] = process.argv;

const say = (text: string) => writeSync(1, `${text}\n`);

const deeds: Readonly<Record<string, () => Promise<unknown>>> = {
  get: () => helperGet('test', 'r.example'),
  /** Under a lock: what that is built on listens to signals as well. */
  save: () => saveCredential('r.example', { type: 'password', username: 'alice', password: 'x' }, { path }),
  /** With somebody else who listens, and goes on. */
  listen() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => say(signal));
    process.on('SIGUSR2', () => process.exit(3));
    return helperGet('test', 'r.example');
  },
};

await deeds[what ?? '']?.().catch((error: Error) => say(error.message));
