/**
 * A leg: one request on the wire, and its response, held until it is known whose it is.
 *
 * Rules of this file:
 * 1. Nobody downstream sees a response before `flow`. What comes until then is held, `readAhead` bytes at most.
 * 2. A sink or observer may pause, resume, abort and throw whenever it is called. What it throws ends the request with that
 *    error, told to the sink's own `error`, as undici does with its handlers; `error` or `end` is the last thing a sink is told.
 * 3. A request that waits for a connection has no controller yet. An abort ends the wait at once, and the request when its
 *    turn comes.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { type Dispatcher, errors } from 'undici';

/** Header fields as undici hands them over: names in lower case, repeated fields as an array. */
export type ResponseHeaders = Record<string, string | string[] | undefined>;

/** Who reads a response. */
export interface Sink {
  data(chunk: Buffer): void;
  end(trailers: ResponseHeaders): void;
  error(error: Error): void;
}

/** What the one whose request this is may know before there is a response. */
export interface Observer {
  /** A status below 200. Its raw header fields are at `source`. */
  onInformation(
    source: Dispatcher.DispatchController,
    status: number,
    headers: ResponseHeaders,
    statusText: string,
  ): void;
  onResponseStarted(): void;
  onBodySent(chunk: Buffer): void;
  onRequestSent(): void;
}

/** How far a leg without a response came. */
export type Progress = 'connecting' | 'sending' | 'waiting' | 'answered';

/** Bytes that are held before the connection is told to wait: what one read of a socket brings. */
const readAhead = 65_536;

/** Bytes and milliseconds that are spent on a body nobody wants, to keep its connection. A new one costs about as much. */
const drain = { bytes: 65_536, ms: 1_000 };

/** How long a caller waits for the beginning of an error's body. */
const patienceMs = 1_000;

export class Leg implements Dispatcher.DispatchHandler {
  status = 0;
  statusText = '';
  headers: ResponseHeaders = {};
  progress: Progress = 'connecting';
  readonly #observer: Observer | null;
  /** Called once: with `null` when the head is there, with the error when there will be none. */
  readonly #settled: (error: Error | null) => void;
  /** Called once, when nothing more will come. */
  readonly #ended: () => void;
  #controller: Dispatcher.DispatchController | null = null;
  #abort: { readonly reason: Error } | null = null;
  #queue: Buffer[] = [];
  #queued = 0;
  #sink: Sink | null = null;
  #paused = false;
  #pumping = false;
  /** The connection has no more to say. */
  #over: { readonly trailers: ResponseHeaders } | { readonly error: Error } | null = null;
  /** The sink was told the last thing. */
  #told = false;
  #awaited: (() => void) | null = null;
  /** undici has called, in the middle of writing the request or of taking up its response. */
  #called = false;

  constructor(observer: Observer | null, settled: (error: Error | null) => void, ended: () => void) {
    this.#observer = observer;
    this.#settled = settled;
    this.#ended = ended;
  }

  /** undici's controller of this leg, for its raw header fields. */
  get controller(): Dispatcher.DispatchController | null {
    return this.#controller;
  }

  /** Hands the response's body to `sink`, what is held first. Once. */
  flow(sink: Sink): void {
    this.#sink = sink;
    this.#pump();
    this.#steer();
  }

  pause(): void {
    this.#paused = true;
    this.#steer();
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
    this.#steer();
  }

  /** Tells the connection what the reader said, unless it is another request's by now: undici would steer that one. */
  #steer(): void {
    if (this.#over !== null) return;
    if (this.#paused) this.#controller?.pause();
    else this.#controller?.resume();
  }

  /** Ends the request and its body with `reason`. */
  abort(reason: Error): void {
    if (this.#abort !== null) return;
    this.#abort = { reason };
    // An abort in the tick in which undici 8.12 writes a body to a new HTTP/2 session makes its next request loop for ever.
    if (this.#called) setImmediate(() => this.#controller?.abort(reason));
    else this.#controller?.abort(reason);
    // Nothing comes of the controller when there is none, or when all that it had to say was said and is held here.
    if (this.#over === null || !('error' in this.#over)) this.#fail(reason);
  }

  /**
   * The first bytes of the body as they came, `bytes` at most, left in place for whoever reads it. Waits for them a second at
   * most. Rejects when the connection broke.
   */
  async beginning(bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, readAhead);
    if (this.#over === null && this.#queued < wanted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patienceMs);
        this.#awaited = () => {
          if (this.#over === null && this.#queued < wanted) return;
          clearTimeout(timer);
          resolve();
        };
      });
      this.#awaited = null;
    }
    // undici lends a connection again a turn after its response has ended. Whoever reads the beginning of an answer may be
    // about to send the request anew, and the turn saves a connection.
    if (this.#over !== null) await turn();
    if (this.#over !== null && 'error' in this.#over) throw this.#over.error;
    return Buffer.concat(this.#queue).subarray(0, bytes);
  }

  /** Reads the body to its end so that the connection can be used again, and gives both up if that takes too much. */
  discard(): Promise<void> {
    return new Promise((resolve) => {
      let read = 0;
      const tooMuch = (): void => this.abort(new errors.RequestAbortedError());
      const timer = setTimeout(tooMuch, drain.ms);
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.flow({
        data: ({ length }) => {
          read += length;
          if (read > drain.bytes) tooMuch();
        },
        end,
        error: end,
      });
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#abort !== null) controller.abort(this.#abort.reason);
    else this.progress = 'sending';
  }

  onBodySent(chunk: Buffer): void {
    this.#observe((observer) => observer.onBodySent(chunk));
  }

  onRequestSent(): void {
    if (this.progress === 'sending') this.progress = 'waiting';
    this.#observe((observer) => observer.onRequestSent());
  }

  onResponseStarted(): void {
    this.#observe((observer) => observer.onResponseStarted());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ResponseHeaders,
    statusText = '',
  ): void {
    if (status < 200) {
      this.#observe((observer) => observer.onInformation(controller, status, headers, statusText));
      return;
    }
    this.progress = 'answered';
    this.status = status;
    this.headers = headers;
    this.statusText = statusText;
    this.#settled(null);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over !== null) return;
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    this.#pump();
    if (this.#queued > readAhead) controller.pause();
    this.#awaited?.();
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: ResponseHeaders): void {
    if (this.#over !== null) return;
    this.#over = { trailers };
    this.#ended();
    this.#pump();
    this.#awaited?.();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // What could not be parsed is in it, maybe a token, and what is thrown is logged.
    if ('data' in error && error instanceof errors.HTTPParserError) error.data = undefined;
    this.#fail(error);
  }

  /** What an observer throws ends the request. undici lets some of it through to the event loop. */
  #observe(tell: (observer: Observer) => void): void {
    if (this.#observer === null || this.#abort !== null) return;
    this.#called = true;
    try {
      tell(this.#observer);
    } catch (error) {
      this.abort(asError(error));
    } finally {
      this.#called = false;
    }
  }

  #fail(error: Error): void {
    if (this.#over !== null && 'error' in this.#over) return;
    const running = this.#over === null;
    this.#over = { error };
    this.#queue = [];
    this.#queued = 0;
    if (running) this.#ended();
    if (this.progress !== 'answered') this.#settled(error);
    this.#pump();
    this.#awaited?.();
  }

  #pump(): void {
    const sink = this.#sink;
    if (sink === null || this.#pumping || this.#told) return;
    this.#pumping = true;
    try {
      while (!this.#paused) {
        const chunk = this.#queue.shift();
        if (chunk === undefined) break;
        this.#queued -= chunk.length;
        sink.data(chunk);
      }
      if (this.#over === null || this.#queue.length > 0) return;
      if ('error' in this.#over) this.#tell(sink, this.#over.error);
      else if (!this.#paused) {
        sink.end(this.#over.trailers);
        this.#told = true;
      }
    } catch (thrown) {
      this.#thrown(sink, asError(thrown));
    } finally {
      this.#pumping = false;
    }
  }

  /** Handlers throw on purpose: undici's own `retry` says in this way that a response will not do. */
  #thrown(sink: Sink, error: Error): void {
    const running = this.#over === null;
    this.#over = { error };
    this.#queue = [];
    this.#queued = 0;
    if (running) {
      this.#ended();
      this.#controller?.abort(error);
    }
    this.#tell(sink, error);
  }

  #tell(sink: Sink, error: Error): void {
    this.#told = true;
    try {
      sink.error(error);
    } catch {
      // There is nobody left to tell.
    }
  }
}

/** undici's types and streams want an `Error` where a signal's reason, or what was thrown, may be anything. */
export function asError(value: unknown): Error {
  return value instanceof Error
    ? value
    : Object.assign(new errors.RequestAbortedError(), value === undefined ? {} : { cause: value });
}
