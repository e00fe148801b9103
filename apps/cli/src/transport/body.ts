/**
 * The body of a response: decoded, bounded, and readable from its start after a look at its beginning.
 *
 * Rules of this file: no more is held than was asked for, whatever a few compressed bytes unfold to; what is not wanted is
 * dropped; a body that breaks off is an error, never a shorter body.
 */

import type { IncomingMessage } from 'node:http';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { SendError } from './send-error.ts';

/** What is read of an unwanted body so that its connection can be used again: more would cost more than a new one. */
const DRAIN_BYTES = 65_536;

export class Body implements AsyncIterable<Uint8Array> {
  readonly #message: IncomingMessage;
  readonly #stored: boolean;
  /** Read by `peek` and not yet handed out. */
  readonly #ahead: Uint8Array[] = [];
  #chunks: AsyncIterator<Uint8Array> | null = null;
  #fault: SendError | null = null;

  /** @param stored whether the bytes are wanted as they came: some stores label a compressed layer as if HTTP had compressed it */
  constructor(message: IncomingMessage, stored = false) {
    this.#message = message;
    this.#stored = stored;
  }

  /** The decoded body, or `null` when it holds more than `limit` bytes; the rest is then dropped, with the connection. */
  async text(limit: number): Promise<string | null> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this) {
      size += chunk.length;
      if (size > limit) return null;
      parts.push(chunk);
    }
    return new TextDecoder().decode(Buffer.concat(parts));
  }

  /** The first `limit` decoded bytes at most; the body is still whole for whoever reads it. `null` when it breaks off before. */
  async peek(limit: number): Promise<string | null> {
    let size = this.#ahead.reduce((sum, chunk) => sum + chunk.length, 0);
    try {
      while (size < limit) {
        const chunk = await this.#next();
        if (chunk === null) break;
        this.#ahead.push(chunk);
        size += chunk.length;
      }
    } catch {
      return null;
    }
    // `stream` keeps half a character at the end to itself.
    return new TextDecoder().decode(Buffer.concat(this.#ahead).subarray(0, limit), { stream: true });
  }

  /** Drops the body: a short one is read, so that the connection can be used again, a long one ends it. Never rejects. */
  async discard(): Promise<void> {
    const message = this.#message;
    if (this.#chunks !== null) {
      message.destroy();
      return;
    }
    this.#chunks = nothing();
    await new Promise<void>((resolve) => {
      let left = DRAIN_BYTES;
      message.on('data', (chunk: Uint8Array) => {
        left -= chunk.length;
        if (left < 0) message.destroy();
      });
      message.on('error', () => {});
      message.once('end', resolve);
      message.once('close', resolve);
    });
  }

  /** The decoded bytes, once. Leaving early drops the rest, with the connection. Throws `SendError` when they break off. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    let ended = false;
    try {
      for (const chunk of this.#ahead.splice(0)) yield chunk;
      for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) yield chunk;
      ended = true;
    } finally {
      if (!ended) this.#message.destroy();
    }
  }

  async #next(): Promise<Uint8Array | null> {
    if (this.#fault !== null) throw this.#fault;
    try {
      this.#chunks ??= (this.#stored ? this.#message : await decoded(this.#message))[Symbol.asyncIterator]();
      const { done, value } = await this.#chunks.next();
      return done === true ? null : value;
    } catch (error) {
      this.#fault = SendError.from(error, 'body');
      throw this.#fault;
    }
  }
}

/** The bytes of `message` without their content coding (RFC 9110 §8.4). Rejects when the coding is none of ours. */
async function decoded(message: IncomingMessage): Promise<Readable> {
  const coding = (message.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (coding === '' || coding === 'identity') return message;
  // Most bodies come as they are.
  const { constants, createBrotliDecompress, createUnzip } = await import('node:zlib');
  // Servers that end a compressed body without its last block are common; that it is whole is for HTTP's framing to say.
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
      return through(message, createUnzip({ finishFlush: constants.Z_SYNC_FLUSH }));
    case 'br':
      return through(message, createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }));
    default:
      message.destroy();
      throw new SendError(
        'body',
        'ERR_CONTENT_ENCODING',
        'the body is encoded in a way that was not asked for',
      );
  }
}

/** Ends both when either fails; the reader of `decoder` gets the error. */
function through<D extends Duplex>(message: IncomingMessage, decoder: D): D {
  pipeline(message, decoder, () => {});
  return decoder;
}

async function* nothing(): AsyncGenerator<Uint8Array, void, void> {}
