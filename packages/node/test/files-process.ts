/**
 * A process of its own for the tests of files: `files-process.ts <what> <path> …` does one thing to the file at `path`.
 *
 * What is imported is loaded when it is needed, so that there is a before.
 */

import fs, { readdirSync, rmSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';

const [, , what, path = '', argument = ''] = process.argv;

/** At once, so that it was said before a kill. */
const say = (text: string) => writeSync(1, `${text}\n`);

/** Keeps a password for a host. */
async function save(host: string, password: string): Promise<void> {
  const { saveCredential } = await import('../src/credentials/save.ts');
  await saveCredential(host, { type: 'password', username: 'alice', password }, { path });
}

/** Calls `step` before and after each call that changes what is on the disk, with what it is. */
async function watch(step: (name: string) => void): Promise<void> {
  const wrap = (object: object, name: string) => {
    const call: unknown = Reflect.get(object, name);
    if (typeof call !== 'function') throw new TypeError(name);
    Reflect.set(object, name, function (this: unknown, ...values: unknown[]) {
      step(`before ${name}`);
      const done = values.at(-1);
      if (typeof done === 'function') {
        values[values.length - 1] = (...results: unknown[]) => {
          step(`after ${name}`);
          done(...results);
        };
        return Reflect.apply(call, this, values);
      }
      return Reflect.apply(call, this, values).then((result: unknown) => {
        step(`after ${name}`);
        return result;
      });
    });
  };
  const file = await fs.promises.open(process.execPath);
  const handle: object = Object.getPrototypeOf(file);
  await file.close();
  for (const name of ['writeFile', 'chmod', 'sync']) wrap(handle, name);
  for (const name of ['open', 'rename', 'rm']) wrap(fs.promises, name);
  for (const name of ['open', 'unlink']) wrap(fs, name);
  syncBuiltinESMExports();
}

const deeds: Readonly<Record<string, () => Promise<void>>> = {
  /** Replaces it by a megabyte, and says by which code that failed. */
  async replace() {
    const { replaceFile } = await import('../src/files/replace.ts');
    await replaceFile(path, 'x'.repeat(1_048_576)).catch((error: { code?: unknown }) =>
      say(String(error.code)),
    );
  },
  /** Holds its lock until it is killed. */
  async lock() {
    const { withLock } = await import('../src/files/lock.ts');
    await withLock(path, () => {
      say('held');
      return new Promise(() => setInterval(() => {}, 60_000));
    });
  },
  /** Says whether a function of Node was replaced by what the lock is built on: before the first lock, and after it. */
  async patched() {
    const { cwd } = process;
    const { withLock } = await import('../src/files/lock.ts');
    await import('@reg/node');
    say(`before: ${process.cwd !== cwd}`);
    await withLock(path, async () => {});
    say(`after: ${process.cwd !== cwd}`);
  },
  /** Saves once, for the host `argument`, when it is told to. */
  async save() {
    await import('../src/credentials/save.ts');
    say('ready');
    process.stdin.once('data', () => {
      process.stdin.destroy();
      void save(argument, 'x');
    });
  },
  /** Saves 1, 2, 3 … until it is killed. */
  async saves() {
    for (let i = 1; ; i++) {
      say(`start ${i}`);
      await save('r.example', String(i));
      say(`done ${i}`);
    }
  },
  /** Saves once, while a former holder of the lock, who does not know yet, clears the folder of what it takes for left behind. */
  async cleared() {
    let left = 1;
    await watch((name) => {
      if (name !== 'before rename' || left-- === 0) return;
      for (const file of readdirSync(dirname(path)))
        if (file.includes('.reg-')) rmSync(join(dirname(path), file));
      say('cleared');
    });
    await save('r.example', 'new');
  },
  /** Saves once and says each step; is killed at the step whose number is `argument`. */
  async crash() {
    // What is loaded opens files as well.
    await save('first.example', 'x');
    let steps = 0;
    await watch((name) => {
      steps++;
      say(name);
      if (String(steps) === argument) process.kill(process.pid, 'SIGKILL');
    });
    await save('r.example', 'new');
  },
};

await deeds[what ?? '']?.();
