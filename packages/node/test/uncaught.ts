/** No throw reaches the event loop: a file that calls this fails each test during which one did. */

import { afterEach, expect } from 'vitest';
import { turn } from './stage.ts';

export function failOnUncaught(): void {
  const uncaught: unknown[] = [];
  const note = (reason: unknown): void => void uncaught.push(reason);
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  afterEach(async () => {
    await turn();
    expect(uncaught.splice(0)).toEqual([]);
  });
}
