/** Holds the lock of the file that it is given until it is killed. */

import { withLock } from '../src/files/lock.ts';

const [, , path = ''] = process.argv;
await withLock(path, () => {
  process.stdout.write('held');
  return new Promise(() => setInterval(() => {}, 60_000));
});
