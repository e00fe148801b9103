/**
 * What credential helpers answer, asked once for all who want to know.
 *
 * Rules of this file: one run for all who wait for the same registry, ended when the last of them stops waiting. A credential
 * is kept for 4 min 50 s, since a registry has many repositories and the shortest-lived credential known lives five (Q74): not
 * past that, not once it was refused, and never an error or "none".
 */

import { isDeepStrictEqual } from 'node:util';
import type { Credential } from '@reg/core';
import { type AbortSignalLike, monotonicNow as now } from '@reg/core/driver';
import { sendable } from './entry.ts';
import { CredentialsError } from './error.ts';
import { helperGet, orAborted, tokenUser } from './helper.ts';

export interface HelpersOptions {
  /** Where helpers are looked for, and what they see. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What a helper that is missing, fails or hangs means. */
  readonly onError: 'fail' | 'anonymous';
  /** Names of helpers that count as not named. */
  readonly without?: readonly string[] | undefined;
}

/** Whoever can be asked for what helpers keep. */
export type HelperAsker = Pick<Helpers, 'ask' | 'without'>;

export type HelperAnswer =
  | { readonly kind: 'none' }
  /** Only where `onError` is `anonymous`. */
  | { readonly kind: 'failed'; readonly fault: CredentialsError }
  | {
      readonly kind: 'credential';
      readonly credential: Credential;
      /** The path of the program. */
      readonly program: string;
      /** Epoch milliseconds on the driver's clock. */
      readonly expiresAt: number;
    };

type Kept = HelperAnswer & { readonly kind: 'credential' };

interface About {
  readonly signal: AbortSignalLike | undefined;
  readonly rejected: Credential | undefined;
}

interface Run {
  readonly answer: Promise<HelperAnswer>;
  readonly abort: AbortController;
  waiting: number;
}

const lifeMs = 290_000;

export class Helpers {
  readonly #options: HelpersOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #runs = new Map<string, Run>();

  constructor(options: HelpersOptions) {
    this.#options = options;
  }

  get without(): readonly string[] {
    return this.#options.without ?? [];
  }

  /**
   * What `docker-credential-<helper>` has for `server`. Rejects with `CredentialsError` when it fails, unless `onError` says
   * otherwise, and with the reason of `signal`.
   */
  async ask(helper: string, server: string, { signal, rejected }: About): Promise<HelperAnswer> {
    const key = `${helper} ${server}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && serves(kept, rejected)) return kept;
    this.#kept.delete(key);
    const underWay = this.#runs.get(key);
    const answer = await this.#wait(underWay ?? this.#start(key, helper, server), signal);
    if (underWay === undefined || !holds(answer, rejected)) return answer;
    // It began before the refusal, and what it brought may have been changed since.
    this.#kept.delete(key);
    const next = this.#runs.get(key);
    const isNew = next !== undefined && next !== underWay;
    return this.#wait(isNew ? next : this.#start(key, helper, server), signal);
  }

  async #wait(run: Run, signal: AbortSignalLike | undefined): Promise<HelperAnswer> {
    run.waiting++;
    try {
      return await (signal === undefined ? run.answer : orAborted(run.answer, signal));
    } catch (error) {
      if (this.#options.onError !== 'anonymous' || !(error instanceof CredentialsError)) throw error;
      return { kind: 'failed', fault: error };
    } finally {
      run.waiting--;
      if (run.waiting === 0) run.abort.abort();
    }
  }

  /** Keeps nothing any more. */
  forget(): void {
    this.#kept.clear();
  }

  #start(key: string, helper: string, server: string): Run {
    const abort = new AbortController();
    const run: Run = { answer: this.#run(helper, server, abort.signal), abort, waiting: 0 };
    this.#runs.set(key, run);
    const land = () => {
      if (this.#runs.get(key) === run) this.#runs.delete(key);
    };
    // Nobody boards a run that is being ended.
    abort.signal.addEventListener('abort', land);
    run.answer
      .then((answer) => {
        if (answer.kind === 'credential') this.#kept.set(key, answer);
      })
      // Whoever waits is told.
      .catch(() => {})
      .finally(land);
    return run;
  }

  async #run(helper: string, server: string, signal: AbortSignal): Promise<HelperAnswer> {
    const from = now();
    const answer = await helperGet(helper, server, { env: this.#options.env, signal });
    if (answer === null) return { kind: 'none' };
    const { program, username, secret } = answer;
    const credential = credentialFrom(program, username, secret);
    return { kind: 'credential', credential, program, expiresAt: from + lifeMs };
  }
}

/**
 * Whether what was kept may be given to somebody, to whom `rejected` was refused. Another password is newer than that one, since
 * what is found last is kept. An identity token that was replaced is newer than what its helper gave.
 */
function serves({ credential, expiresAt }: Kept, rejected: Credential | undefined): boolean {
  if (now() >= expiresAt) return false;
  return (
    rejected === undefined || (credential.type === 'password' && !isDeepStrictEqual(credential, rejected))
  );
}

function holds(answer: HelperAnswer | undefined, credential: Credential | undefined): boolean {
  return answer?.kind === 'credential' && isDeepStrictEqual(answer.credential, credential);
}

function credentialFrom(program: string, username: string, secret: string): Credential {
  if (username === tokenUser) return { type: 'identity', token: secret };
  return sendable(program, 'the answer', { type: 'password', username, password: secret });
}
