/**
 * What a runtime lends the driver, and what the driver asks of credentials and stores.
 *
 * Rules of this file: types only, structural, so that no DOM or Node type is needed to implement them.
 */

import type { Credential } from '../credential.ts';
import type { Addresses } from '../effect.ts';
import type { NetworkPhase } from '../failure.ts';
import type { Challenged } from '../handshake.ts';
import type { Head, HeaderList, RegistryRequest, Timing } from '../message.ts';

/** The part of the platform's `AbortSignal` that is used. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** One request to put on the wire. Its headers and form hold secrets: send it and forget it. */
export interface Outgoing<Q extends RegistryRequest = RegistryRequest> {
  readonly to: 'registry' | 'authority';
  readonly method: string;
  readonly url: string;
  /** Complete, `authorization` and a form's `content-type` included. */
  readonly headers: HeaderList;
  /** `caller`: the body of `request`. `form`: the text in `form`. */
  readonly body: 'none' | 'caller' | 'form';
  readonly form: string | null;
  /** The caller's request object, as it was given to `request()`; `null` for a token request or a probe. */
  readonly request: Q | null;
  /** A response with a 3xx status is handed over as it is, unless this says `follow`. */
  readonly redirect: 'manual' | 'follow';
  /** Where a connection for this may be made to, once the host's name is looked up. */
  readonly addresses: Addresses;
}

/** A response whose head has arrived. Exactly one of `text`, `discard` and the use of `raw` follows. */
export interface Reply<R> {
  readonly head: Head;
  /** The runtime's own response. */
  readonly raw: R;
  /** `checked`: no address that the host's name stands for is blocked, or the request may go to `any`. Else left out. */
  readonly address?: 'checked';
  /** Where the time went until the head was there, if the transport measures it. */
  readonly timing?: Timing;
  /** The decoded body, or `null` when it holds more than `limit` bytes after decompression; the rest is then dropped. */
  text(limit: number): Promise<string | null>;
  /**
   * The beginning of the decoded body, `limit` bytes at most, with `raw` still readable from its start; `null` when it cannot be
   * had. Without it the driver does not know what a final 4xx says.
   */
  peek?(limit: number): Promise<string | null>;
  /** Drops the body so that the connection can be used again. Never rejects. */
  discard(): Promise<void>;
}

/**
 * Puts one request on the wire and resolves with the head of its response. Follows no redirect unless told to, adds no
 * credential, keeps no cookie. A method or header field with a line break or a NUL in it is the caller's, as it came: who writes
 * to a socket refuses it, as fetch and undici do, or one request becomes two (RFC 9110 §5.5).
 * Rejects when there is no response; a `phase` (`NetworkPhase`) and `code` on the error are kept.
 * `signal` ends the request and its body.
 */
export type Send<R, Q extends RegistryRequest = RegistryRequest> = (
  outgoing: Outgoing<Q>,
  signal: AbortSignalLike,
) => Promise<Reply<R>>;

/** What a rejected `Send` may carry to say where it ended. */
export interface SendFault {
  readonly phase?: NetworkPhase;
  readonly code?: string;
}

/** A credential with where it came from. `credential: null` is an entry that says: nobody. */
export interface Found {
  readonly credential: Credential | null;
  /** For people: the file, helper or option, never a secret. */
  readonly source: string;
  /** Epoch milliseconds on the driver's clock after which it must be looked up again. */
  readonly expiresAt?: number;
}

/** Where credentials come from. */
export interface Keychain {
  /**
   * The credential for `origin`, or `null` when this keychain knows none.
   *
   * @param repository for keychains with entries per namespace
   * @param about.rejected a credential from here that was refused: look again, past any cache
   */
  find(
    origin: string,
    repository?: string | null,
    about?: { readonly signal?: AbortSignalLike; readonly rejected?: Credential },
  ): Promise<Found | null>;
  /** The token server replaced an identity token: keep the new one, the old one may be dead. */
  replaced?(origin: string, old: Credential, replacement: Credential): Promise<void> | void;
}

/** What a store is asked for. Its own digest of all of it is the key; the credential is part of it, never written. */
export type StoreKey =
  | { readonly kind: 'challenge'; readonly origin: string }
  | {
      readonly kind: 'grant';
      readonly registry: string;
      readonly realm: string | null;
      readonly service: string | null;
      readonly scopes: string;
      readonly credential: Credential | null;
    };

/** What a store keeps. Times are epoch milliseconds on the driver's clock. */
export type StoreEntry =
  | { readonly kind: 'challenge'; readonly hint: Challenged; readonly expiresAt: number }
  | {
      readonly kind: 'grant';
      readonly token: string;
      readonly asked: string;
      readonly granted: string | null;
      readonly obtainedAt: number;
      readonly expiresAt: number;
    };

/**
 * Grants and challenges that outlive the process. A store that fails is a store that knows nothing. One that processes or
 * machines share keeps times on a clock that they share too, and knows nothing of what lies in the future by it.
 */
export interface TokenStore {
  read(key: StoreKey): Promise<StoreEntry | null>;
  write(key: StoreKey, entry: StoreEntry): Promise<void>;
  forget(key: StoreKey): Promise<void>;
  /**
   * Runs `work` in one process at a time for `key`, where the store can. `work` reads the entry anew, so that the next in turn
   * finds what the one before wrote; a store that cannot give a turn soon runs it all the same.
   */
  once?<T>(key: StoreKey, work: () => Promise<T>): Promise<T>;
}

/** Epoch milliseconds that never go back. */
export type Now = () => number;

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. Never rejects and leaves nothing behind. */
export type Sleep = (ms: number, signal: AbortSignalLike) => Promise<void>;
