/**
 * Bytes of others, whole.
 *
 * Rules of this file: there is always a bound: stdin, a file and a server may go on without end.
 */

import { addAbortSignal, type Readable } from 'node:stream';

/** All bytes of `chunks`, or `null` when they are more than `limit`; the rest is then dropped. */
export async function bytesOf(
  chunks: AsyncIterable<Uint8Array | string>,
  limit: number,
): Promise<Buffer | null> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const part = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    size += part.length;
    if (size > limit) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** As `bytesOf`, of stdin or a file. Rejects with an `AbortError` when `signal` aborts, and with the system's error. */
export function bytesFrom(input: Readable, limit: number, signal: AbortSignal): Promise<Buffer | null> {
  return bytesOf(addAbortSignal(signal, input), limit);
}
