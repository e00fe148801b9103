/** Says whether a function of Node was replaced by what the lock is built on: before the first lock, and after it. */

const { cwd } = process;
const { withLock } = await import('../src/files/lock.ts');
await import('@reg/node');

const [, , path = ''] = process.argv;
const before = process.cwd !== cwd;
await withLock(path, async () => {});
process.stdout.write(JSON.stringify({ before, after: process.cwd !== cwd }));

export {};
