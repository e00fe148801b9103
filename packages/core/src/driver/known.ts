/**
 * Challenges that the caller knows, for a platform that may hide the registry's own.
 *
 * Rules of this file: what is known is read by the machine itself, as the answer to a ping is, so that it means what it would
 * mean there; one that no handshake could answer is the caller's mistake. It takes the place of a challenge that is hidden,
 * never of one that is shown or missing, and it is data of the caller's: nothing that happens makes it forgotten.
 */

import { type Challenged, type Lesson, start, step } from '../handshake.ts';
import { type Head, hidesChallenge } from '../message.ts';
import { originOf, type Policy } from '../policy.ts';

export interface Known {
  /** As a `WWW-Authenticate` field has it. */
  readonly text: string;
  readonly hint: Challenged;
}

/** By origin. */
export type KnownChallenges = ReadonlyMap<string, Known>;

/** @throws TypeError when a key is no origin, or a challenge cannot be answered under `policy`; it names the place, not the text */
export function readChallenges(texts: Readonly<Record<string, string>>, policy: Policy): KnownChallenges {
  return new Map(
    Object.entries(texts).flatMap(([key, text], index) => {
      const origin = originOf(key, `challenges[${index}]`);
      return hintsIn(text, origin, policy, index).map((hint) => [origin, { text, hint }] as const);
    }),
  );
}

function hintsIn(text: string, origin: string, policy: Policy, index: number): readonly Challenged[] {
  const ping = { method: 'GET', url: `${origin}/v2/`, headers: [], body: 'none' } as const;
  const head: Head = { status: 401, headers: [['www-authenticate', text]] };
  const state = step(start(ping, policy), { type: 'response', at: 0, head, problems: [] });
  if ('failure' in state && state.failure !== null) {
    const { failure } = state;
    const why = failure.kind === 'challenge-unusable' ? failure.reason : failure.kind;
    throw new TypeError(`[@reg/core] challenges[${index}] is one that no handshake could answer: ${why}`);
  }
  return state.lessons.filter(isChallenge).map(({ hint }) => hint);
}

function isChallenge(lesson: Lesson): lesson is Lesson & { type: 'challenged' } {
  return lesson.type === 'challenged';
}

/** The head of an answer to a request to `url`, with what is known of the challenge that a platform hides in it. */
export function withKnown(head: Head, url: string, challenges: KnownChallenges): Head {
  if (head.status !== 401 || !hidesChallenge(head)) return head;
  const from = head.url !== undefined && URL.canParse(head.url) ? head.url : url;
  const known = challenges.get(new URL(from).origin);
  return known === undefined ? head : { ...head, known: known.text };
}
