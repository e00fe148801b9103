/**
 * The body of a request: what can be sent again after a challenge, and what is sent once.
 *
 * Rules of this file:
 * 1. Text, bytes, forms and blobs can be sent again, a stream cannot. undici's fetch would turn all of them into something
 *    that can be read once.
 * 2. A body that came inside a `Request` is a stream whatever it was made of. Its first 256 KiB are read: one that ends
 *    within them, a manifest say, can be sent again and has a length; of a longer one nothing more is read before it is sent.
 * 3. A stream that is not sent to its end is cancelled, with the reason why. What goes wrong in it is the caller's.
 */

import { Readable } from 'node:stream';

/** What is sent, and what became of it. */
export interface Content {
  readonly body: 'none' | 'replayable' | 'once';
  readonly carry: { readonly body?: Readable | Uint8Array };
  /** Bytes, where undici cannot tell them from the body itself. */
  readonly length: number | null;
  /** The error that the caller's own stream or blob ended with. */
  readonly broken: { readonly error: unknown } | null;
  /** Lets go of a stream that was not sent to its end. */
  release(): void;
}

/** Bytes of an inherited body that are read ahead: room for the manifest of an image with a thousand layers. */
const readAhead = 262_144;

/**
 * The body of `request`, for as many legs as it may be sent in.
 *
 * @param given the body as it stood beside the request, `undefined` when it came inside of one
 * @throws the signal's reason when it aborts while a body is read ahead; what the body's own stream ends with
 */
export async function contentOf(
  request: Request,
  given: unknown,
  signal: AbortSignal | null,
): Promise<Content> {
  if (request.body === null) return whole('none', {});
  if (given instanceof Blob) return file(given, signal);
  if (given === undefined) return inherited(request.body.getReader(), signal);
  if (isStream(given)) return once(request.body.getReader(), [], signal);
  return whole('replayable', { body: new Uint8Array(await request.arrayBuffer()) });
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

async function inherited(reader: Reader, signal: AbortSignal | null): Promise<Content> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // A read that is under way ends with the cancellation.
  const abort = (): void => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener('abort', abort);
  try {
    while (size <= readAhead) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return whole('replayable', { body: Buffer.concat(chunks) });
      chunks.push(bytes(value));
      size += value.length;
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    void reader.cancel(error).catch(() => {});
    throw new TypeError('fetch failed', { cause: error });
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  return once(reader, chunks, signal);
}

function whole(body: 'none' | 'replayable', carry: Content['carry']): Content {
  return { body, carry, length: null, broken: null, release() {} };
}

/** A blob is read anew for each leg, and never as a whole: it may be a file, which may have changed and is then not read. */
function file(blob: Blob, signal: AbortSignal | null): Content {
  let broken: Content['broken'] = null;
  const carry = {
    get body() {
      return readable(blob.stream().getReader(), [], signal, (error) => {
        broken = { error };
      });
    },
  };
  return {
    body: 'replayable',
    carry,
    length: blob.size,
    get broken() {
      return broken;
    },
    release() {},
  };
}

function once(reader: Reader, ahead: readonly Uint8Array[], signal: AbortSignal | null): Content {
  let broken: Content['broken'] = null;
  const body = readable(reader, ahead, signal, (error) => {
    broken = { error };
  });
  return {
    body: 'once',
    carry: { body },
    length: null,
    get broken() {
      return broken;
    },
    release: () => void body.destroy(),
  };
}

/**
 * A stream as undici takes it. Nothing is read before it is sent.
 *
 * @param ahead what was read of it already
 * @param failed told of an error of the stream's own, before undici is
 */
function readable(
  reader: Reader,
  ahead: readonly Uint8Array[],
  signal: AbortSignal | null,
  failed: (error: unknown) => void,
): Readable {
  const rest = [...ahead];
  return new Readable({
    async read() {
      try {
        const first = rest.shift();
        const { done, value } = first === undefined ? await reader.read() : { done: false, value: first };
        this.push(done ? null : bytes(value));
      } catch (error) {
        failed(error);
        this.destroy(error instanceof Error ? error : new Error('the body failed', { cause: error }));
      }
    },
    destroy(error, done) {
      // A stream of Node's is told of an `Error` alone, and the caller's reason may be anything.
      reader.cancel(signal?.aborted ? signal.reason : (error ?? undefined)).catch(() => {});
      done(error);
    },
  }).on('error', () => {});
}

/** fetch sends bytes and nothing else (Fetch standard, "incrementally read loop"): text would be read as some encoding. */
function bytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError('a stream that is the body of a request holds something that is no Uint8Array');
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
