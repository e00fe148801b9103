/**
 * What a look-up considered, in order, and what came of it.
 *
 * Rules of this file: a trail is plain data with no secret in it: paths, keys, names of programs and words of our own. Once a
 * source has answered, or failed, what follows is looked at for the trail alone: nothing more is run.
 */

import type { Credential } from '@reg/core';
import type { AbortSignalLike, Keychain } from '@reg/core/driver';
import type { CredentialsError } from './error.ts';

export type TrailOutcome =
  /** There is no such file. */
  | 'absent'
  /** Nothing in it. */
  | 'empty'
  /** A warning: others than its owner may read or write it. `find` warns the process of it, once for each file. */
  | 'exposed'
  /** Nothing in it for this registry. */
  | 'no-entry'
  /** There is something, and it does not count here. */
  | 'ignored'
  /** A helper was run. */
  | 'asked'
  /** An entry or a helper that has no credential. */
  | 'none'
  /** The answer. */
  | 'matched'
  /** It would have been the answer, if another had not come first. */
  | 'shadowed'
  /** It cannot be used; the look-up ended here. */
  | 'failed';

export interface TrailStep {
  /** The file or the variable. */
  readonly source: string;
  readonly outcome: TrailOutcome;
  /** The key of the entry, as it stands. */
  readonly key: string | null;
  /** The program that keeps the credential, `docker-credential-…`. */
  readonly helper: string | null;
  /** For people, without a full stop. */
  readonly why: string;
}

/** What a look-up came to. Safe to print and to keep: it has no secret. */
export interface Explanation {
  /** What `find` resolves with, less the secret; `null` when no source knows the registry. */
  readonly found: ExplainedFound | null;
  /** What `find` rejects with instead. */
  readonly error: CredentialsError | null;
  readonly trail: readonly TrailStep[];
}

export interface ExplainedFound {
  /** `null`: nobody. */
  readonly type: Credential['type'] | null;
  /** Of a password. */
  readonly username: string | null;
  readonly source: string;
  readonly expiresAt: number | null;
}

/** A keychain that can say how it came to its answer. */
export interface ExplainingKeychain extends Keychain {
  /**
   * Looks as `find` does, and goes on through the sources that come after the answer, without running a helper of theirs, so
   * that what is shadowed shows. Rejects when `signal` aborts, and with a `TypeError` where `find` does.
   *
   * @param repository for files with entries per namespace, and for pull secrets
   */
  explain(origin: string, repository?: string | null, about?: ExplainAbout): Promise<Explanation>;
}

export interface ExplainAbout {
  readonly signal?: AbortSignalLike;
  /** What has answered already, for people: then nothing is found and nothing is run, and what would have been the answer is shadowed. */
  readonly winner?: string;
}

/** What a step may leave out. */
type Detail = Partial<Pick<TrailStep, 'key' | 'helper'>>;

/** A trail as it is written. */
export class Trail {
  readonly #steps: TrailStep[] = [];
  #winner: string | null = null;

  note(source: string, outcome: TrailOutcome, why: string, { key = null, helper = null }: Detail = {}): void {
    this.#steps.push({ source, outcome, key, helper, why });
  }

  /** What came first, for people: set once the look-up is decided. */
  get winner(): string | null {
    return this.#winner;
  }

  decide(winner: string): void {
    this.#winner ??= winner;
  }

  get steps(): readonly TrailStep[] {
    return this.#steps;
  }
}
