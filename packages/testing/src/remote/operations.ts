/**
 * What the two ends of the bridge ask of each other.
 *
 * Rules of this file: no Node imports, and nothing but what JSON can carry; bytes are base64. A body moves a chunk at a time,
 * and only when its reader asks for one, so that a slow reader here slows the sender there.
 */

import type { FetchInit, FetchOptions } from '../conformance/contract.ts';

export interface RemoteCall {
  readonly client: number;
  /** Unique; names the call in everything that comes after. */
  readonly call: number;
  readonly url: string;
  readonly init: Omit<FetchInit, 'body' | 'signal'>;
  readonly body: 'none' | 'stream' | { readonly text: string };
  readonly signal: 'none' | 'live' | 'aborted';
}

export interface RemoteHead {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: boolean;
}

/** A value, or that the call ended with the very reason its signal was aborted with. */
export type Outcome<T> = { readonly value: T } | { readonly aborted: true };

interface OfCall {
  readonly call: number;
}

/** Where the fetch runs. */
export interface GuestOperations {
  create(argument: { readonly client: number; readonly options: FetchOptions }): Promise<null>;
  fetch(argument: RemoteCall): Promise<Outcome<RemoteHead>>;
  abort(argument: OfCall): Promise<null>;
  /** The next chunk of the response's body, null at its end. */
  read(argument: OfCall): Promise<Outcome<string | null>>;
  text(argument: OfCall): Promise<Outcome<string>>;
  cancel(argument: OfCall): Promise<null>;
}

/** Where the case runs. */
export interface HostOperations {
  /** The next chunk of the request's body, null at its end. */
  pull(argument: OfCall): Promise<string | null>;
  /** Nobody wants the rest of the request's body. */
  drop(argument: OfCall): Promise<null>;
}

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  // A call takes a bounded number of arguments.
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
