/**
 * One request on an undici dispatcher, whose response is held back until somebody decides what becomes of it.
 *
 * Rules of this file: what undici delivers is kept in order and lost nowhere; while nobody has decided, the connection is
 * paused; a handler that throws is answered as undici answers it, with `onResponseError`; it decides nothing itself.
 */

import type { Head } from '@reg/core';
import type { AbortSignalLike, Reply } from '@reg/core/driver';
import type { Dispatcher } from 'undici';
import { decodeBounded } from './decode.ts';
import { SendError } from './network-error.ts';

type Controller = Dispatcher.DispatchController;
type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

/** What the response goes to in the end. */
export interface Audience {
  readonly controller: Controller;
  readonly handler: Dispatcher.DispatchHandler;
  /** Tells the audience which connection its controller now stands for. */
  follow(leg: Leg): void;
}

/** Read to keep a connection; what is longer is cheaper to hang up on. */
const worthReading = 65_536;

export class Leg implements Dispatcher.DispatchHandler {
  readonly #audience: Audience | null;
  readonly #resolve: (reply: Reply<Leg>) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Controller | null = null;
  #start: {
    readonly status: number;
    readonly headers: Headers;
    readonly message: string | undefined;
  } | null = null;
  #mode: 'held' | 'delivered' | 'dropped' = 'held';
  #chunks: Buffer[] = [];
  #bytes = 0;
  #end: { readonly trailers: Headers } | { readonly error: Error } | null = null;
  /** Whoever waits for more of the body. */
  #notice: () => void = () => {};

  /**
   * @param audience whose request this is; `null` for the driver's own
   */
  constructor(
    audience: Audience | null,
    resolve: (reply: Reply<Leg>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#audience = audience;
    this.#resolve = resolve;
    this.#reject = reject;
    audience?.follow(this);
  }

  /** Hands the response to the audience, from its head on. */
  deliver(): void {
    const { audience, start } = this.#ready();
    this.#mode = 'delivered';
    this.#guard(() =>
      audience.handler.onResponseStart?.(audience.controller, start.status, start.headers, start.message),
    );
    this.flow();
  }

  /** Lets the response go on, unless the audience has paused it. */
  flow(): void {
    if (this.#mode !== 'delivered' || this.#audience === null) return;
    const { controller, handler } = this.#audience;
    while (!controller.paused && !controller.aborted) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) break;
      this.#guard(() => handler.onResponseData?.(controller, chunk));
    }
    if (controller.paused || controller.aborted) return;
    const end = this.#end;
    if (end === null) this.#controller?.resume();
    else if ('error' in end) handler.onResponseError?.(controller, end.error);
    else this.#guard(() => handler.onResponseEnd?.(controller, end.trailers));
  }

  pause(): void {
    if (this.#mode === 'delivered') this.#controller?.pause();
  }

  abort(reason: Error): void {
    this.#controller?.abort(reason);
  }

  get rawHeaders() {
    return this.#controller?.rawHeaders ?? null;
  }

  get rawTrailers() {
    return this.#controller?.rawTrailers ?? null;
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    const held = this.#audience?.controller;
    if (held?.aborted) controller.abort(held.reason ?? new Error('aborted'));
  }

  onResponseStart(controller: Controller, status: number, headers: Headers, message?: string): void {
    if (status < 200) {
      const audience = this.#audience;
      audience?.handler.onResponseStart?.(audience.controller, status, headers, message);
      return;
    }
    controller.pause();
    this.#start = { status, headers, message };
    this.#resolve({
      head: headOf(status, headers),
      raw: this,
      text: (limit) => this.#text(limit),
      peek: (limit) => this.#peek(limit),
      discard: () => this.#drop(),
    });
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    const audience = this.#audience;
    if (this.#mode === 'delivered' && audience !== null && this.#chunks.length === 0) {
      audience.handler.onResponseData?.(audience.controller, chunk);
      return;
    }
    this.#bytes += chunk.length;
    if (this.#mode !== 'dropped') this.#chunks.push(chunk);
    else if (this.#bytes > worthReading)
      controller.abort(new Error('the rest of the response is not wanted'));
    this.#notice();
  }

  onResponseEnd(_controller: Controller, trailers: Headers): void {
    const audience = this.#audience;
    if (this.#mode === 'delivered' && audience !== null && this.#chunks.length === 0) {
      audience.handler.onResponseEnd?.(audience.controller, trailers);
      return;
    }
    this.#end = { trailers };
    this.#notice();
  }

  onResponseError(_controller: Controller, error: Error): void {
    const audience = this.#audience;
    if (this.#start === null) this.#reject(new SendError(error));
    else if (this.#mode === 'delivered' && audience !== null) {
      audience.handler.onResponseError?.(audience.controller, error);
    } else {
      this.#end = { error };
      this.#notice();
    }
  }

  onBodySent(chunk: Buffer): void {
    this.#audience?.handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.#audience?.handler.onRequestSent?.();
  }

  /** The whole body, decoded, or `null` when it is longer than `limit`. */
  async #text(limit: number): Promise<string | null> {
    await this.#until(limit + 1);
    if (this.#end === null) {
      await this.#drop();
      return null;
    }
    if ('error' in this.#end) throw new SendError(this.#end.error);
    return decodeBounded(Buffer.concat(this.#chunks), this.#encoding(), limit);
  }

  /** The beginning of the body, which stays where it is. */
  async #peek(limit: number): Promise<string | null> {
    await this.#until(limit);
    this.#controller?.pause();
    if (this.#encoding() !== '') return null;
    return Buffer.concat(this.#chunks).subarray(0, limit).toString('utf8');
  }

  async #drop(): Promise<void> {
    this.#mode = 'dropped';
    this.#chunks = [];
    await this.#until(Number.POSITIVE_INFINITY);
  }

  /** Waits until `bytes` have come, or the end. */
  #until(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#bytes < bytes && this.#end === null) return;
        this.#notice = () => {};
        resolve();
      };
      this.#notice = look;
      this.#controller?.resume();
      look();
    });
  }

  #encoding(): string {
    const value = this.#start?.headers['content-encoding'] ?? '';
    return (Array.isArray(value) ? value.join(', ') : value).trim().toLowerCase();
  }

  /** Outside undici's own callbacks nobody would catch what a handler throws on purpose. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      const thrown = error instanceof Error ? error : new Error(String(error));
      const audience = this.#audience;
      if (this.#end === null) this.#controller?.abort(thrown);
      else audience?.handler.onResponseError?.(audience.controller, thrown);
      this.#chunks = [];
    }
  }

  #ready() {
    if (this.#audience === null || this.#start === null)
      throw new TypeError('[@reg/node] there is nobody to deliver to');
    return { audience: this.#audience, start: this.#start };
  }
}

/** Starts a leg with `dispatch` and resolves with its head; `signal` ends it. */
export function startLeg(
  dispatch: Dispatcher['dispatch'],
  options: Dispatcher.DispatchOptions,
  audience: Audience | null,
  signal: AbortSignalLike,
): Promise<Reply<Leg>> {
  return new Promise((resolve, reject) => {
    const leg = new Leg(audience, resolve, reject);
    if (audience === null) {
      const abort = (): void => leg.abort(new Error('aborted'));
      signal.addEventListener('abort', abort);
    }
    dispatch(options, leg);
  });
}

function headOf(status: number, headers: Headers): Head {
  const list: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) list.push([name.toLowerCase(), one]);
    }
  }
  return { status, headers: list };
}
