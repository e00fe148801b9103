/**
 * What a machine asks of the world, and what the world may answer.
 *
 * Rules of this file: data only, no function; an effect that carries a secret carries it as a `Secret`, bound to where it
 * may go; every answer says when it came (`at`, epoch milliseconds that never go back), which is the machines' only clock.
 */

import type { Failure, NetworkPhase } from './failure.ts';
import type { Authorization, Grant, Need } from './grant.ts';
import type { Head, HeaderList, Problem, Timing } from './message.ts';
import type { Secret } from './secret.ts';

/** A caller's header fields. A value that may be a secret is bound to the origin the caller made the request for. */
export type SealedHeaders = readonly (readonly [name: string, value: string | Secret])[];

/**
 * Where a connection may be made to, once DNS has said what the host's name stands for. `any`: the caller chose the host.
 * `unblocked`: a peer named it, and a name of its own may lead to this machine or its cloud as well as an address may, so that
 * whoever opens the connection asks `classifyAddress` about every answer and dials none if one `isBlocked`.
 */
export type Addresses = 'any' | 'unblocked';

/** Send a request to a registry, or to where it redirected. */
export interface RegistrySend {
  readonly type: 'send';
  readonly to: 'registry';
  readonly method: string;
  readonly url: string;
  readonly headers: SealedHeaders;
  readonly authorization: Authorization | null;
  readonly body: 'none' | 'caller';
  /** `follow` only where policy leaves redirects to the platform. */
  readonly redirect: 'manual' | 'follow';
  readonly addresses: Addresses;
}

/** Send a token request. Its redirects are never followed. */
export interface TokenSend {
  readonly type: 'send';
  readonly to: 'authority';
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: HeaderList;
  readonly authorization: Authorization | null;
  /** Fields of an `application/x-www-form-urlencoded` body; `null` for GET. */
  readonly form: readonly (readonly [name: string, value: string | Secret])[] | null;
  readonly addresses: Addresses;
}

/** Get a grant, from memory, from a credential or by an exchange. */
export interface Obtain {
  readonly type: 'obtain';
  readonly need: Need;
  /** The grant or credential that was refused: neither memory nor the same credential will do. */
  readonly replacing: Grant | null;
}

export type Effect = RegistrySend | TokenSend | Obtain;

/** No response came. */
export interface NoResponse {
  readonly type: 'no-response';
  readonly at: number;
  readonly phase: NetworkPhase;
  readonly code: string;
  readonly message: string;
}

export interface RegistryResponse {
  readonly type: 'response';
  readonly at: number;
  readonly head: Head;
  /** Entries of the registry's error body, for a 4xx. */
  readonly problems: readonly Problem[];
  /** Nobody looked at the address that `addresses: 'unblocked'` is about. Absent otherwise. */
  readonly address?: 'unchecked';
  /** As the transport measured it, if it did. */
  readonly timing?: Timing;
}

export interface TokenAnswer {
  readonly type: 'token-response';
  readonly at: number;
  /** When the request was sent: a token's life counts from here. */
  readonly sentAt: number;
  readonly head: Head;
  /** Decoded body, or `null` when it was over `policy.limits.tokenBodyBytes`. */
  readonly text: string | null;
  /** `Retry-After` in milliseconds from `at`, or `null`. */
  readonly retryAfterMs: number | null;
  /** Nobody looked at the address that `addresses: 'unblocked'` is about. Absent otherwise. */
  readonly address?: 'unchecked';
  /** As the transport measured it, if it did. */
  readonly timing?: Timing;
}

export interface Granted {
  readonly type: 'granted';
  readonly at: number;
  readonly grant: Grant;
  /** `cached` and `superset` come from memory; the latter was obtained for more than this need. */
  readonly reuse: 'fresh' | 'cached' | 'superset';
}

export interface Refused {
  readonly type: 'refused';
  readonly at: number;
  readonly failure: Failure;
}

export type HandshakeAnswer = RegistryResponse | NoResponse | Granted | Refused;
export type ExchangeAnswer = TokenAnswer | NoResponse;
export type Answer = HandshakeAnswer | ExchangeAnswer;
