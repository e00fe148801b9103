/**
 * The record of one operation: what each machine waited for and what it was answered, without a secret in it.
 *
 * Rules of this file: plain JSON. Each secret is replaced by `redacted-1`, `redacted-2` …, the same name for the same
 * secret, so that a transcript still says which token went where and `replay` can run it.
 */

import type { Granted, NoResponse, Refused } from '../effect.ts';
import type { Failure } from '../failure.ts';
import type { Grant, Need } from '../grant.ts';
import type { Hint } from '../handshake.ts';
import type { Head, HeaderList, Problem, RegistryRequest, Timing } from '../message.ts';
import type { Policy } from '../policy.ts';
import type { Claims } from './claims.ts';

/** `redacted-` and a number: stands for one secret throughout a transcript, 0 for any that is not told apart from others. */
export type Redacted = string;

export type RecordedAuthorization =
  | { readonly scheme: 'basic'; readonly username: string; readonly password: Redacted }
  | { readonly scheme: 'bearer'; readonly token: Redacted };

export type RecordedCredential =
  | { readonly type: 'password'; readonly username: string; readonly password: Redacted }
  | { readonly type: 'identity'; readonly token: Redacted }
  | { readonly type: 'registry'; readonly token: Redacted };

/**
 * A request that was put on the wire. Query values that may be signatures, and headers not known to be harmless, are
 * `redacted-0`.
 */
export interface RecordedSend {
  readonly type: 'send';
  readonly to: 'registry' | 'authority';
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderList;
  readonly authorization: RecordedAuthorization | null;
  readonly body: 'none' | 'caller' | 'form';
  readonly form: readonly (readonly [name: string, value: string])[] | null;
}

export type RecordedGrant = Omit<Grant, 'authorization'> & { readonly authorization: RecordedAuthorization };

export interface RecordedResponse {
  readonly type: 'response';
  readonly at: number;
  readonly head: Head;
  readonly problems: readonly Problem[];
  /** Up to 4 KiB of the body, with `transcript: { bodies: true }` only. */
  readonly body: string | null;
  /** Nobody looked at the address behind a name of a peer's choice: a proxy, or a transport of the caller's, dialled it. */
  readonly address?: 'unchecked';
  /** Where the time went, if the transport measured it. */
  readonly timing?: Timing;
}

export interface RecordedTokenAnswer {
  readonly type: 'token-response';
  readonly at: number;
  readonly sentAt: number;
  readonly head: Head;
  /** The JSON body with every secret in it replaced; `null` when it was too large, and `''` for what was not JSON. */
  readonly text: string | null;
  readonly retryAfterMs: number | null;
  /** What the token says of itself, where that was asked for; `null` when it is opaque. */
  readonly claims?: Claims | null;
  /** As of a response. */
  readonly address?: 'unchecked';
  readonly timing?: Timing;
}

export type RecordedAnswer =
  | RecordedResponse
  | RecordedTokenAnswer
  | NoResponse
  | Refused
  | (Omit<Granted, 'grant'> & { readonly grant: RecordedGrant });

/** A request to a registry, or to where it redirected. */
export interface SentStep {
  readonly machine: 'handshake';
  readonly phase: 'probing' | 'sending';
  /** When the machine began to wait; in the first step, where nobody told, when it was answered. Epoch milliseconds. */
  readonly at: number;
  readonly effect: RecordedSend;
  readonly answer: RecordedResponse | NoResponse;
  /** The phase that followed. */
  readonly next: string;
}

/** A grant asked for, and what came of it. The steps that made it come before. */
export interface ObtainedStep {
  readonly machine: 'handshake';
  readonly phase: 'obtaining';
  readonly at: number;
  readonly effect: { readonly type: 'obtain'; readonly need: Need; readonly replacing: boolean };
  readonly answer: Extract<RecordedAnswer, { type: 'granted' | 'refused' }>;
  readonly next: string;
}

export interface BegunStep {
  readonly machine: 'exchange';
  /** Exchanges of one operation are numbered from 1. */
  readonly exchange: number;
  readonly phase: 'begin';
  readonly at: number;
  readonly need: Need;
  readonly credential: RecordedCredential | null;
  readonly clientId: string;
  readonly principal: number;
  readonly next: string;
}

/** A request to a token server. */
export interface ExchangedStep {
  readonly machine: 'exchange';
  readonly exchange: number;
  readonly phase: 'posting' | 'getting';
  readonly at: number;
  readonly effect: RecordedSend;
  readonly answer: RecordedTokenAnswer | NoResponse;
  readonly next: string;
}

/** The keychain answered. */
export interface CredentialStep {
  readonly machine: 'seam';
  readonly phase: 'credential';
  readonly at: number;
  readonly registry: string;
  readonly found: {
    readonly type: 'password' | 'identity' | 'registry' | 'anonymous';
    readonly source: string;
  } | null;
}

/** A token request that was sent again: the machine saw only the last answer. */
export interface RetryStep {
  readonly machine: 'seam';
  readonly phase: 'retry';
  readonly at: number;
  readonly url: string;
  /** Status of the answer that led to it, or `null` when there was none. */
  readonly status: number | null;
  readonly waitMs: number;
}

/** One effect and its answer, and the phase that followed. */
export type TranscriptStep = SentStep | ObtainedStep | BegunStep | ExchangedStep | CredentialStep | RetryStep;

export interface Transcript {
  readonly version: 1;
  readonly request: RegistryRequest;
  readonly policy: Policy;
  readonly hint: Hint | null;
  readonly steps: readonly TranscriptStep[];
  /** Why it ended without success, if it did. */
  readonly failure: Failure | null;
}
