/**
 * What travels between a page and the worker that holds its credentials.
 *
 * Rules of this file: data that can be cloned, and nothing that anybody has to keep to himself. Bodies are streams whose
 * ownership is transferred: their chunks, their end and their cancellation travel by themselves.
 */

import type { Failure } from '@reg/core';

/** `MessagePort`, as browsers, Deno, Bun and Node have it. `M` is what its holder takes for granted of what comes in. */
export interface Port<M> {
  postMessage(message: unknown, transfer: ReadableStream[]): void;
  addEventListener(type: 'message', listener: (event: { readonly data: M }) => void): void;
  addEventListener(type: 'messageerror' | 'close', listener: () => void): void;
  start(): void;
}

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** A stream is sent once, and in Chromium over HTTP/2 only; text and bytes as often as the handshake needs. */
export type AskedBody = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | string | null;

/** From the page. `id` is any number the page has not in use. */
export type Asked =
  | {
      readonly type: 'request';
      readonly id: number;
      readonly method: string;
      readonly url: string;
      readonly headers: HeaderPairs;
      readonly body: AskedBody;
    }
  | { readonly type: 'abort'; readonly id: number };

/** From the worker. A request has one answer or one refusal; `id` is `null` where the message was none. */
export type Answered =
  | {
      readonly type: 'response';
      readonly id: number;
      readonly status: number;
      readonly statusText: string;
      readonly headers: HeaderPairs;
      readonly body: ReadableStream<Uint8Array> | null;
    }
  | {
      readonly type: 'refusal';
      readonly id: number | null;
      readonly code: RefusalCode;
      readonly message: string;
      /** What ended the handshake, where it was a handshake that ended. */
      readonly failure: Failure | null;
    };

export type RefusalCode =
  /** The message was none of this protocol. */
  | 'ERR_PORT_MESSAGE'
  /** The worker answers for other registries, or for nothing but their API. */
  | 'ERR_PORT_NOT_SERVED'
  /** The platform makes no request of this, or it failed in a way that is no failure of the handshake. */
  | 'ERR_PORT_REQUEST'
  /** The handshake ended before the registry's answer: `failure` says why. */
  | 'ERR_PORT_HANDSHAKE'
  /** The other end is gone. */
  | 'ERR_PORT_CLOSED';
