/**
 * The body of a response: decoded, bounded, and as a stream of the platform.
 *
 * Rules of this file: limits count decoded bytes, and over a limit nothing more is read or kept; a coding that is not known, or
 * a chain of more than five, leaves the bytes as they came.
 */

import { pipeline, Readable, type Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import { errors } from 'undici';
import { asError, type Leg, type ResponseHeaders } from './leg.ts';

/** No server needs more than one; a chain is how a small body becomes a large one (GHSA-gm62-xv2j-4w53). */
const mostCodings = 5;

/** 8 MiB, the most a decoder must support (RFC 9659 §3). */
const zstdWindowLog = 23;

/**
 * The decoded body of `leg`. Reading it is what makes it flow; destroying it ends the request.
 *
 * @param most bytes on the wire, over which reading ends with `ResponseExceededMaxSizeError`
 */
function readable(leg: Leg, most = Number.POSITIVE_INFINITY): Readable {
  let size = 0;
  const source = new Readable({
    read: () => leg.resume(),
    destroy(error, done) {
      leg.abort(error ?? new errors.RequestAbortedError());
      done(error);
    },
  });
  // Whoever reads it is told by what they read with; an error before that must not end the process.
  source.on('error', () => {});
  leg.pause();
  leg.flow({
    data: (chunk) => {
      size += chunk.length;
      if (size > most) source.destroy(new errors.ResponseExceededMaxSizeError());
      else if (!source.push(chunk)) leg.pause();
    },
    end: () => void source.push(null),
    error: (error) => void source.destroy(error),
  });
  return decoded(source, leg.headers);
}

/**
 * The text of a body, or `null` when it holds more than `limit` bytes, decoded or as they come: gzip can hold nothing without
 * end. The rest is then not read.
 */
export async function textOf(leg: Leg, limit: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of readable(leg, limit)) {
      size += chunk.length;
      if (size > limit) return null;
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof errors.ResponseExceededMaxSizeError) return null;
    throw error;
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** What the first `limit` bytes on the wire say, decoded, or `null` when they cannot be. The body stays whole. */
export async function beginningOf(leg: Leg, limit: number): Promise<string | null> {
  const bytes = await leg.beginning(limit);
  const body = decoded(Readable.from([bytes]), leg.headers);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= limit) break;
    }
  } catch {
    // The end of a compressed body is missing when only its beginning is there.
  }
  const text = Buffer.concat(chunks).subarray(0, limit);
  return text.length === 0 && bytes.length > 0 ? null : new TextDecoder().decode(text);
}

/**
 * The decoded body of `leg` as fetch gives it: a byte stream that nothing flows into before it is read.
 *
 * It ends with an error as soon as there is one, whoever reads or nobody: the reason of `signal` when that aborts, as long as
 * it was not read to its end, and fetch's own `TypeError` ("terminated") when the connection breaks or the coding does.
 */
export function webStream(leg: Leg, signal: AbortSignal | null): ReadableStream<Uint8Array> {
  if (leg.headers['content-length'] === '0') {
    void leg.discard();
    return new ReadableStream({ type: 'bytes', start: (controller) => controller.close() });
  }
  const source = readable(leg);
  const chunks = source[Symbol.asyncIterator]();
  const failed = (cause: unknown): unknown =>
    signal?.aborted ? signal.reason : new TypeError('terminated', { cause });
  let stop = (): void => {};
  const stream: ReadableStream<Uint8Array> = new ReadableStream({
    type: 'bytes',
    start(controller) {
      // Signal and connection may outlive a stream that nobody has any more, and must not keep it.
      const held = new WeakRef(controller);
      const abort = (): void => held.deref()?.error(signal?.reason);
      signal?.addEventListener('abort', abort);
      stop = () => {
        signal?.removeEventListener('abort', abort);
        // Until the next collection but one it would keep what is over.
        lost.unregister(source);
      };
      source.on('error', (error) => {
        stop();
        held.deref()?.error(failed(error));
      });
    },
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (done) {
          stop();
          controller.close();
          controller.byobRequest?.respond(0);
          return;
        }
        // A byte stream takes the memory it is given, and undici's chunks share theirs with others.
        controller.enqueue(new Uint8Array(value));
      } catch (error) {
        controller.error(failed(error));
      }
    },
    cancel(reason) {
      stop();
      leg.abort(asError(reason));
    },
  });
  const end = (): void => {
    stop();
    leg.abort(new errors.RequestAbortedError());
  };
  lost.register(stream, end, source);
  return stream;
}

/** Ends the request behind a body that nobody can read any more: whoever looks at the status alone would collect connections. */
const lost = new FinalizationRegistry<() => void>((end) => end());

function decoded(source: Readable, headers: ResponseHeaders): Readable {
  // Nothing, encoded, is nothing to a server and a body cut short to a decoder.
  const decoders = headers['content-length'] === '0' ? [] : decodersFor(headers['content-encoding']);
  const last = decoders.at(-1);
  if (last === undefined) return source;
  // Whoever reads the last is told by what they read with.
  pipeline([source, ...decoders], () => {});
  return last;
}

/** What undoes `Content-Encoding`, the coding that was applied last first (RFC 9110 §8.4). */
function decodersFor(field: string | string[] | undefined): Transform[] {
  const codings = String(field ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length > mostCodings) return [];
  const decoders: Transform[] = [];
  for (const coding of codings.reverse()) {
    const decoder = decoderOf(coding);
    if (decoder === null) return [];
    decoders.push(decoder);
  }
  return decoders;
}

function decoderOf(coding: string): Transform | null {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLog } });
    default:
      return null;
  }
}
