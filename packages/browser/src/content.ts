/**
 * The body of a request: what can be sent again after a challenge, and what is sent once.
 *
 * Rules of this file:
 * 1. Text, bytes, forms and blobs can be sent again, a stream cannot. Nothing is copied that cannot change.
 * 2. A body that came inside a `Request` is a stream whatever it was made of. Its first 256 KiB are read: one that ends within
 *    them, a manifest say, can be sent again and has a length; of a longer one nothing more is read before it is sent. A browser
 *    sends streams over HTTP/2 at best: there it is read whole, into a Blob, which need not be in memory.
 * 3. A stream that is not sent to its end is cancelled, with the reason why, unless a success came before its end: there the
 *    platform may be sending the rest. What goes wrong in it is the caller's.
 */

import { isBrowser } from './platform.ts';

/** What is sent, and what became of it. */
export interface Content {
  readonly body: 'none' | 'replayable' | 'once';
  readonly carry: string | Blob | ReadableStream<Uint8Array> | null;
  /** The error that the caller's own stream ended with. */
  readonly broken: { readonly error: unknown } | null;
  /** Lets go of a stream that was not sent to its end. */
  release(reason: unknown): void;
}

/** Bytes of an inherited body that are read ahead: room for the manifest of an image with a thousand layers. */
const readAhead = 262_144;

/**
 * The body of `request`, for as many legs as it may be sent in.
 *
 * @param given the body as it stood beside the request, `null` when it came inside of one
 * @throws the signal's reason when it aborts while a body is read ahead; what the body's own stream ends with
 */
export async function contentOf(
  request: Request,
  given: unknown,
  signal: AbortSignal | null,
): Promise<Content> {
  if (typeof given === 'string' || given instanceof Blob) return whole(given);
  if (request.method === 'GET' || request.method === 'HEAD') return whole(null);
  const { body } = request;
  // A browser that has no `Request.body` sends no streams.
  if (body && isStream(given)) return once(body.getReader(), []);
  if (body && given === null) {
    return isBrowser() ? ended(body, signal) : inherited(body.getReader(), signal);
  }
  // Bun takes what a request reads as one for text.
  const blob = isBytes(given) ? new Blob([given]) : await request.blob();
  return whole(blob.size > 0 || given !== null ? blob : null);
}

export function isStream(body: unknown): boolean {
  return (
    body instanceof ReadableStream ||
    // Node and Deno take these too.
    (typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
  );
}

function isBytes(body: unknown): body is BufferSource {
  return body instanceof ArrayBuffer || ArrayBuffer.isView(body);
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

async function inherited(reader: Reader, signal: AbortSignal | null): Promise<Content> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  // A read that is under way ends with the cancellation.
  const abort = (): void => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener('abort', abort);
  try {
    for (let size = 0; size <= readAhead; ) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return whole(new Blob(chunks));
      // The stream's owner may write to it again.
      chunks.push(new Uint8Array(bytes(value)));
      size += value.length;
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    void reader.cancel(error).catch(() => {});
    throw new TypeError('fetch failed', { cause: error });
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  return once(reader, chunks);
}

async function ended(body: ReadableStream<Uint8Array>, signal: AbortSignal | null): Promise<Content> {
  try {
    const abortable = body.pipeThrough(new TransformStream(), signal === null ? {} : { signal });
    return whole(await new Response(abortable).blob());
  } catch (error) {
    throw signal?.aborted ? signal.reason : new TypeError('fetch failed', { cause: error });
  }
}

function whole(carry: string | Blob | null): Content {
  return { body: carry === null ? 'none' : 'replayable', carry, broken: null, release() {} };
}

/** @param ahead what was read of it already */
function once(reader: Reader, ahead: Uint8Array[]): Content {
  let broken: Content['broken'] = null;
  let released = false;
  const cancel = (reason: unknown): void => void reader.cancel(reason).catch(() => {});
  const carry = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let chunk: ReturnType<typeof bytes> | null;
        try {
          const first = ahead.shift();
          const { done, value } = first === undefined ? await reader.read() : { done: false, value: first };
          chunk = done ? null : bytes(value);
        } catch (error) {
          broken = { error };
          cancel(error);
          controller.error(error);
          return;
        }
        // What was cancelled reads as what is over: an end would make a whole upload of it, an error end the answer's body in Node.
        if (released) return new Promise(() => {});
        try {
          if (chunk === null) controller.close();
          else controller.enqueue(chunk);
        } catch (error) {
          // Bun closes the stream of an upload that was answered before its end. The caller's body is not what broke.
          cancel(error);
        }
      },
      cancel,
    },
    // Nothing is read before it is sent.
    { highWaterMark: 0 },
  );
  return {
    body: 'once',
    carry,
    get broken() {
      return broken;
    },
    release(reason) {
      released = true;
      cancel(reason);
    },
  };
}

/** fetch sends bytes and nothing else (Fetch standard, "incrementally read loop"): text would be read as some encoding. */
function bytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError('a stream that is the body of a request holds something that is no Uint8Array');
}
