/**
 * A vitest setup file: after each test file it fails the file when a canary appeared at a place it was not allowed at.
 *
 * Add `@reg/testing/canary` to `setupFiles`. Passwords and tokens declared to `startRegistry` as `canary(kind)` and every
 * token its servers issue are watched: in the bytes each server receives, on stdout and stderr, and in the console, which
 * vitest keeps away from stdout.
 */

import { format } from 'node:util';
import { afterAll } from 'vitest';
import { activate, createTap, type Leak } from './tap.ts';

const tap = createTap();
const restore = [
  activate(tap),
  watch(process.stdout, 'write', tap.reader('stdout'), String),
  watch(process.stderr, 'write', tap.reader('stderr'), String),
  ...(['log', 'info', 'debug'] as const).map((name) => watch(console, name, tap.reader('stdout'), format)),
  ...(['warn', 'error', 'trace'] as const).map((name) => watch(console, name, tap.reader('stderr'), format)),
];

afterAll(() => {
  for (const undo of restore) undo();
  const leaks = tap.leaks();
  if (leaks.length > 0)
    throw new Error(`secrets appeared where they must not:\n${leaks.map(line).join('\n')}`);
});

function line({ kind, place, allowed }: Leak): string {
  return `  ${kind} at ${place} (allowed at ${allowed.length === 0 ? 'no place' : allowed.join(', ')})`;
}

/** Shows every call of `object[name]` to `read` first. Returns what undoes it. */
function watch<N extends string>(
  object: { [K in N]: (...values: never[]) => unknown },
  name: N,
  read: (chunk: string) => void,
  text: (...values: unknown[]) => string,
): () => void {
  const original = object[name];
  object[name] = new Proxy(original, {
    apply(target, self, values: unknown[]) {
      read(text(...values));
      return Reflect.apply(target, self, values);
    },
  });
  return () => {
    object[name] = original;
  };
}
