/**
 * Content codings of a response that arrived as bytes.
 *
 * Rules of this file: one coding at most, and never more decoded bytes than asked for (65 KiB of gzip can be 64 MiB).
 */

import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';

/** `bytes` decoded as text; `null` when that is longer than `limit` or the coding is unknown or broken. */
export function decodeBounded(bytes: Buffer, coding: string, limit: number): string | null {
  const options = { maxOutputLength: limit };
  try {
    const decoded = decode(bytes, coding, options);
    return decoded === null || decoded.length > limit ? null : decoded.toString('utf8');
  } catch {
    return null;
  }
}

function decode(bytes: Buffer, coding: string, options: { maxOutputLength: number }): Buffer | null {
  switch (coding) {
    case '':
    case 'identity':
      return bytes;
    case 'gzip':
    case 'x-gzip':
      return gunzipSync(bytes, options);
    case 'deflate':
      return inflateSync(bytes, options);
    case 'br':
      return brotliDecompressSync(bytes, options);
    default:
      return null;
  }
}
