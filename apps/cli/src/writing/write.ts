/**
 * Writing much to stdout.
 *
 * Rules of this file: no more is read than who reads stdout takes, and waiting for them ends when the command is stopped.
 */

import type { Surroundings } from '../surroundings.ts';

/** Resolves when `data` has been taken. Rejects with the reason of the signal when the command is stopped first. */
export function write(data: string | Uint8Array, { stdout, signal }: Surroundings): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    stdout.write(data, (error) => {
      signal.removeEventListener('abort', stop);
      if (!error) return resolve();
      // The stream tells the process in its next turn, which then says what there is to say, as of a pipe that was closed.
      setImmediate(() => reject(signal.aborted ? signal.reason : error));
    });
  });
}
