/**
 * What the registry and its token server answer.
 *
 * Rules of this file: facts, no judgement. Every request with a credential goes through the core's driver, whose policy decides
 * where a secret goes; what is kept of one is its transcript, which has no secret in it. No request waits longer than a person
 * would.
 */

import {
  type Failure,
  formatScopes,
  type Head,
  isRegistryAuthError,
  type Policy,
  type Problem,
} from '@reg/core';
import {
  type Claims,
  type RecordedResponse,
  type RecordedTokenAnswer,
  readClaims,
  type Transcript,
} from '@reg/core/transcript';
import type { Asked, Client } from '../../registry/client.ts';
import { takeBack, uploadAt } from '../../registry/upload.ts';
import { tokenIn } from '../../token/report.ts';
import { SendError } from '../../transport/send-error.ts';

/** One request, with all that was needed for it. */
export interface Answered {
  /** What was asked for. */
  readonly url: string;
  /** The registry's own last answer, if it came to that; its body was not read. */
  readonly head: Head | null;
  /** Why it is no good, or why there is none. */
  readonly failure: Failure | null;
  /** What the registry says about it. */
  readonly problems: readonly Problem[];
  /** The responses of the registry, in order. */
  readonly responses: readonly RecordedResponse[];
  /** The responses of token servers, in order, with the URL that was asked. */
  readonly tokens: readonly { readonly url: string; readonly answer: RecordedTokenAnswer }[];
  /** Whether a credential was sent and answered; what the answer is worth is not said. */
  readonly identified: boolean;
  /** By what the driver judged; `null` where nothing was recorded. */
  readonly policy: Policy | null;
}

/** How long is waited. */
interface Waiting {
  /** Milliseconds for what is left of an answer once it has begun. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** Sends one request. Never rejects for what a peer does. */
export async function ask(client: Client, asked: Asked, { patienceMs, signal }: Waiting): Promise<Answered> {
  const url = asked.url.href;
  try {
    const delivered = await client.request(asked);
    const late = await isLate(delivered.raw.discard(), patienceMs);
    const message = `no end of the answer within ${patienceMs / 1_000} s`;
    const dripping: Failure = {
      kind: 'network',
      url,
      to: 'registry',
      phase: 'body',
      code: 'ETIMEDOUT',
      message,
    };
    const failure = delivered.failure ?? (late ? dripping : null);
    return answeredBy(url, delivered.head, failure, delivered.transcript());
  } catch (error) {
    signal.throwIfAborted();
    if (isRegistryAuthError(error)) return answeredBy(url, null, error.failure, error.transcript);
    const { phase, code, message } = SendError.from(error, 'unknown');
    const failure: Failure = { kind: 'network', url, to: 'registry', phase, code, message };
    return answeredBy(url, null, failure, null);
  }
}

/** Whether `work` takes longer than `ms`; it goes on then, until the client is closed. */
async function isLate(work: Promise<void>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms);
    void work.then(() => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

function answeredBy(
  url: string,
  head: Head | null,
  failure: Failure | null,
  transcript: Transcript | null,
): Answered {
  const responses: RecordedResponse[] = [];
  const tokens: { url: string; answer: RecordedTokenAnswer }[] = [];
  let identified = false;
  let holdsToken = false;
  for (const step of transcript?.steps ?? []) {
    if (step.machine === 'seam') {
      // A ready token is sent as it is.
      if (step.phase === 'credential' && step.found?.type === 'registry') holdsToken = true;
      continue;
    }
    if (step.phase === 'begin' || step.phase === 'obtaining') continue;
    const { authorization, form } = step.effect;
    if (step.answer.type === 'response') responses.push(step.answer);
    else if (step.answer.type === 'token-response')
      tokens.push({ url: step.effect.url, answer: step.answer });
    // A send is recorded before it is known to go out: what a proxy is not told, nobody has seen.
    else continue;
    if (holdsToken || authorization?.scheme === 'basic' || form !== null) identified = true;
  }
  return {
    url,
    head,
    failure,
    problems: responses.at(-1)?.problems ?? [],
    responses,
    tokens,
    identified,
    policy: transcript?.policy ?? null,
  };
}

export interface TokenFacts {
  /** What was asked for, as scopes are written. */
  readonly asked: string;
  /** What the server said, or else the token; `null` where neither does. */
  readonly granted: string | null;
  /** What it says of itself, unverified; `null` for one that says nothing. */
  readonly claims: Claims | null;
  /** When the token ends by its server's answer, epoch milliseconds of this machine. */
  readonly expiresAt: number | null;
  readonly failure: Failure | null;
}

/** The token that a request is sent with; one that was obtained before is asked for nowhere. Never rejects for what a peer does. */
export async function tokenFor(
  client: Client,
  about: { readonly url: URL; readonly method: string; readonly scopes: string },
  signal: AbortSignal,
): Promise<TokenFacts> {
  const asked = about.scopes;
  try {
    const { header, granted, expiresAt } = await client.authorize(about);
    const token = tokenIn(header);
    const claims = token === null ? null : readClaims(token);
    const told = granted === null || granted === asked ? null : granted;
    return {
      asked,
      granted: told ?? (claims?.access == null ? null : formatScopes(claims.access)),
      claims,
      expiresAt,
      failure: null,
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!isRegistryAuthError(error)) throw error;
    return { asked, granted: null, claims: null, expiresAt: null, failure: error.failure };
  }
}

export interface UploadFacts {
  readonly begun: Answered;
  /** Where it goes on, as the registry wrote it; `null` where it was not begun. */
  readonly location: string | null;
  /** Whether it was taken back. */
  readonly ended: boolean;
}

/** Begins an upload and takes it back at once, so that nothing is left behind. */
export async function tryUpload(client: Client, url: URL, waiting: Waiting): Promise<UploadFacts> {
  const begun = await ask(client, { method: 'POST', url }, waiting);
  const { head } = begun;
  const upload = head === null ? null : uploadAt({ head, url: url.href });
  if (head === null || upload === null) return { begun, location: null, ended: false };
  const left = await takeBack(client, { head, url: url.href });
  return { begun, location: upload.href, ended: left === null };
}
