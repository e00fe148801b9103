/**
 * Bodies of responses, read no further than allowed.
 *
 * Rules of this file: limits count decoded bytes; what is over a limit is dropped, not kept (65 KiB of gzip can be 64 MiB).
 */

/** The text of `body`, or `null` when it has more than `limit` bytes. */
export async function readBounded(
  body: AsyncIterable<Uint8Array> | null,
  limit: number,
): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early ends the stream.
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

/** The first `limit` bytes of `body` as text. The rest is given up. */
export async function readBeginning(body: AsyncIterable<Uint8Array> | null, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length >= limit) break;
  }
  return Buffer.concat(chunks, length).subarray(0, limit).toString('utf8');
}

/** 64 KiB: what is read to keep a connection. An error page is smaller; what is larger is cheaper to hang up on. */
const worthReading = 65_536;

/** Reads `body` to its end if that is near. Never rejects. */
export async function drain(body: AsyncIterable<Uint8Array> | null): Promise<void> {
  await readBeginning(body, worthReading).catch(() => {});
}
