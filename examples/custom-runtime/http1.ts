/**
 * HTTP/1.1 on a socket, as small as honest (RFC 9112): one request a connection, one response.
 *
 * Rules of this file:
 * 1. What is written cannot be read as more than one request: no part of it may hold a line break.
 * 2. Everything that is read is bounded: the head and the trailer in bytes, each wait in time, a text by its reader.
 * 3. A response whose end two readers could see at two places is refused, never guessed at; a body that breaks off is an
 *    error, never a shorter body.
 *
 * Where a response gives neither its length nor chunks, the end of the connection is the end of the body (§6.3): nothing
 * tells such a body from one that was cut short.
 */

import type { Socket } from 'node:net';
import type { Head, HeaderList } from '@reg/core';
import { SocketFault } from './fault.ts';

/** A body as it arrives. To leave it early ends the connection. */
export type Body = AsyncGenerator<Uint8Array, void, void>;

/** Head and trailer: four times the challenge the core is ready to read, and no registry sends a fourth of it. */
const longestHead = 65_536;
/** A chunk's size with its extensions, which nobody uses. */
const longestChunkLine = 1_024;
/** Milliseconds for a head, and for the next piece of a body. nginx, before most registries, waits as long for an answer. */
const patience = 60_000;

/**
 * A request as it is written, which asks for the connection to be closed after it.
 *
 * @throws SocketFault for a method or a header field that would end its line, or that frames the message otherwise
 */
export function requestText(method: string, url: URL, headers: HeaderList, body: string): string {
  const framing = new Set(['connection', 'content-length', 'host', 'transfer-encoding']);
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`, 'connection: close'];
  if (body !== '' || method === 'POST') lines.push(`content-length: ${Buffer.byteLength(body)}`);
  for (const [name, value] of headers) {
    if (framing.has(name)) throw refused(`the header field ${name} is not the caller's to set`);
    lines.push(`${name}: ${value}`);
  }
  const names = [method, ...headers.map(([name]) => name)];
  if (!names.every(isOneWord) || !lines.every(isOneLine)) {
    throw refused('a method or a header field would be read as more than one');
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A code of our own says that trying again does not help. */
function refused(why: string): SocketFault {
  return new SocketFault('send', 'ERR_REG_REQUEST_TEXT', why);
}

function isOneWord(text: string): boolean {
  return !(text === '' || text.includes(' ') || text.includes('\t') || text.includes(':'));
}

function isOneLine(text: string): boolean {
  return !(text.includes('\r') || text.includes('\n') || text.includes('\0'));
}

/** The head of the response to a `method` request on `socket`, and its body. Rejects with a `SocketFault` or the socket's error. */
export async function readResponse(socket: Socket, method: string): Promise<{ head: Head; body: Body }> {
  // Errors are told to who reads; one that comes when nobody does would end the process.
  socket.on('error', () => {});
  const input = new Input(socket);
  try {
    const head = await within(socket, 'head', finalHead(input));
    return { head, body: bodyOf(input, socket, framingOf(head, method)) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** All of `body` as text, or `null` when it holds more than `limit` bytes; the rest is then dropped, with the connection. */
export async function textOf(body: Body, limit: number): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > limit) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Resolves as `work` does; a socket on which it takes longer than anyone waits is ended, and `work` with it. */
async function within<T>(socket: Socket, phase: Phase, work: Promise<T>): Promise<T> {
  const fault = new SocketFault(phase, 'ETIMEDOUT', `nothing more came in ${patience / 1000} s`);
  const timer = setTimeout(() => socket.destroy(fault), patience);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** The head that counts: what comes before with a status below 200 is skipped, and takes from the same allowance. */
async function finalHead(input: Input): Promise<Head> {
  input.allowance = longestHead;
  for (;;) {
    const status = statusOf(await input.line());
    const headers: (readonly [string, string])[] = [];
    for (let line = await input.line(); line !== ''; line = await input.line()) headers.push(fieldOf(line));
    if (status === 101) throw malformed('a protocol that nobody asked for');
    if (status >= 200) return { status, headers };
  }
}

/** `HTTP/1.1 200 OK`: the version, three digits, and words for people or none (§4). */
function statusOf(line: string): number {
  const [version = '', digits = ''] = line.split(' ', 2);
  const status = decimal(digits);
  if (!version.startsWith('HTTP/1.') || digits.length !== 3 || status === null) {
    throw malformed('a status line that is none');
  }
  return status;
}

function fieldOf(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  // A space before the colon, or a line that goes on with the one before, is read in two ways (§5.1, §5.2).
  if (colon < 0 || !isOneWord(name) || !isOneLine(line)) {
    throw malformed('a header field that is none');
  }
  return [name.toLowerCase(), withoutBlanks(line.slice(colon + 1))];
}

/** Without spaces and tabs around it; `trim` takes bytes of other alphabets for blanks. */
function withoutBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

/** What of a response is read. */
type Phase = 'head' | 'body';

/** Where a body ends: after so many bytes, with its last chunk, or with the connection (§6.3). */
type Framing = number | 'chunked' | 'close';

function framingOf({ status, headers }: Head, method: string): Framing {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const values = (wanted: string) => headers.filter(([name]) => name === wanted).map(([, value]) => value);
  const [coding, ...codings] = values('transfer-encoding');
  const lengths = new Set(values('content-length'));
  if (coding !== undefined) {
    // One of the two is a lie to somebody on the way: the two are how a response is smuggled (§11.2).
    if (coding.toLowerCase() !== 'chunked' || codings.length > 0 || lengths.size > 0) {
      throw malformed('a body that ends at two places');
    }
    return 'chunked';
  }
  const [text] = lengths;
  if (text === undefined) return 'close';
  const length = decimal(text);
  if (lengths.size > 1 || length === null) throw malformed('a length that is none');
  return length;
}

async function* bodyOf(input: Input, socket: Socket, framing: Framing): Body {
  const next = (most: number) => within(socket, 'body', input.upTo(most));
  const exactly = async function* (size: number): Body {
    for (let left = size; left > 0; ) {
      const part = await next(left);
      if (part === null) throw brokenOff('body');
      left -= part.length;
      yield part;
    }
  };
  input.phase = 'body';
  const line = (longest: number) => {
    input.allowance = longest;
    return within(socket, 'body', input.line());
  };
  try {
    if (framing === 'close') {
      for (
        let part = await next(Number.POSITIVE_INFINITY);
        part !== null;
        part = await next(Number.POSITIVE_INFINITY)
      )
        yield part;
    } else if (framing === 'chunked') {
      for (
        let size = chunkSize(await line(longestChunkLine));
        size > 0;
        size = chunkSize(await line(longestChunkLine))
      ) {
        yield* exactly(size);
        if ((await line(longestChunkLine)) !== '')
          throw malformed('a chunk that is longer than it said', 'body');
      }
      // A trailer holds nothing that anybody waits for.
      await within(socket, 'body', skipTrailer(input));
    } else {
      yield* exactly(framing);
    }
  } finally {
    socket.destroy();
  }
}

async function skipTrailer(input: Input): Promise<void> {
  input.allowance = longestHead;
  while ((await input.line()) !== '') {}
}

/** `1a;extension` (§7.1). */
function chunkSize(line: string): number {
  const [digits = ''] = line.split(';', 1);
  const text = withoutBlanks(digits).toLowerCase();
  const isHex = text !== '' && [...text].every((digit) => '0123456789abcdef'.includes(digit));
  // Eight digits are 4 GiB, which no server holds in one chunk.
  if (!isHex || text.length > 8) throw malformed('a chunk without a size', 'body');
  return Number.parseInt(text, 16);
}

/** The number that `text` is, or `null` when it is not digits alone or more than can be counted. */
function decimal(text: string): number | null {
  const isDigits = text !== '' && [...text].every((digit) => '0123456789'.includes(digit));
  return isDigits && Number.isSafeInteger(Number(text)) ? Number(text) : null;
}

function malformed(what: string, phase: Phase = 'head'): SocketFault {
  return new SocketFault(phase, 'ERR_HTTP_MALFORMED', `the server sent ${what}`);
}

function brokenOff(phase: Phase): SocketFault {
  return new SocketFault(phase, 'ECONNRESET', 'the connection ended before the response did');
}

/** The bytes of a connection, as lines and as pieces. */
class Input {
  /** What its errors say was read. */
  phase: Phase = 'head';
  /** How many more bytes lines may have. */
  allowance = 0;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(socket: Socket) {
    this.#pieces = socket[Symbol.asyncIterator]();
  }

  /** The next line without its end; bytes are characters. */
  async line(): Promise<string> {
    let line = '';
    for (;;) {
      const end = this.#piece.indexOf(0x0a);
      const part = this.#piece.subarray(0, end < 0 ? undefined : end + 1);
      this.allowance -= part.length;
      if (this.allowance < 0)
        throw new SocketFault(
          this.phase,
          'ERR_HTTP_TOO_LONG',
          'the server sent more around the body than anyone needs',
        );
      line += Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1');
      this.#piece = this.#piece.subarray(part.length);
      if (end >= 0) return line.slice(0, line.endsWith('\r\n') ? -2 : -1);
      if (!(await this.#fill())) throw brokenOff(this.phase);
    }
  }

  /** The next bytes, at most `most`; `null` at the end. */
  async upTo(most: number): Promise<Uint8Array | null> {
    if (this.#piece.length === 0 && !(await this.#fill())) return null;
    const part = this.#piece.subarray(0, most);
    this.#piece = this.#piece.subarray(part.length);
    return part;
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#pieces.next();
    if (done) return false;
    this.#piece = value;
    return true;
  }
}
