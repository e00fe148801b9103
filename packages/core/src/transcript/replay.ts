/**
 * Runs the machines from a transcript.
 *
 * Rules of this file: every answer comes from the record and every decision from the machines, so that a record whose
 * redaction changed a decision is found. The file may be anybody's: it is read as input of an attacker.
 */

import type { HandshakeAnswer } from '../effect.ts';
import { beginExchange, type ExchangeState, stepExchange } from '../exchange.ts';
import type { Authorization } from '../grant.ts';
import { start, step } from '../handshake.ts';
import type { Policy } from '../policy.ts';
import { Secret } from '../secret.ts';
import { fromJson } from './json.ts';
import type { BegunStep, ObtainedStep, RecordedAuthorization, SentStep } from './transcript.ts';

/** Where the machines went another way than the record says. */
export interface Mismatch {
  /** Index in `steps`. */
  readonly step: number;
  /** What the record says: `handshake sending`. */
  readonly expected: string;
  readonly actual: string;
}

export interface Replay {
  /** Every phase entered, in order: `handshake sending`, `exchange 1 getting` …; up to the first mismatch. */
  readonly phases: readonly string[];
  readonly mismatch: Mismatch | null;
}

/**
 * Drives the handshake and its exchanges through the answers of a transcript.
 *
 * @param json what `toJson` wrote
 * @returns the phases that were entered and the first one that is not what the record says
 * @throws SyntaxError when `json` is no JSON, TypeError when it is no transcript, naming the place
 */
export function replay(json: string): Replay {
  const { request, policy, hint, steps } = fromJson(json);
  let handshake = at('request', () => start(request, policy, hint));
  const exchanges = new Map<number, ExchangeState>();
  const phases = [`handshake ${handshake.phase}`];

  for (const [index, recorded] of steps.entries()) {
    if (recorded.machine === 'seam') continue;
    const place = `steps[${index}]`;
    const name = recorded.machine === 'handshake' ? 'handshake' : `exchange ${recorded.exchange}`;
    const differ = (expected: string, actual: string): Replay => {
      return {
        phases,
        mismatch: { step: index, expected: `${name} ${expected}`, actual: `${name} ${actual}` },
      };
    };
    let next: string;
    if (recorded.machine === 'handshake') {
      if (handshake.phase !== recorded.phase) return differ(recorded.phase, handshake.phase);
      handshake = at(place, () => step(handshake, handshakeAnswer(recorded)));
      next = handshake.phase;
    } else {
      const before = exchanges.get(recorded.exchange);
      let after: ExchangeState;
      if (recorded.phase === 'begin') {
        if (before !== undefined) return differ(recorded.phase, before.phase);
        after = at(place, () => begin(recorded, policy));
      } else {
        if (before?.phase !== recorded.phase) return differ(recorded.phase, before?.phase ?? 'begin');
        after = at(place, () => stepExchange(before, recorded.answer));
      }
      exchanges.set(recorded.exchange, after);
      next = after.phase;
    }
    phases.push(`${name} ${next}`);
    if (next !== recorded.next) return differ(recorded.next, next);
  }
  return { phases, mismatch: null };
}

/** What the machines refuse as a fault of their driver is here a fault of the file. */
function at<T>(place: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new TypeError(`[@reg/core] not a transcript: ${place} does not fit: ${cause}`, { cause });
  }
}

function begin({ need, credential, principal, clientId }: BegunStep, policy: Policy): ExchangeState {
  return beginExchange(need, credential, policy, { principal, clientId });
}

function handshakeAnswer({ answer }: SentStep | ObtainedStep): HandshakeAnswer {
  if (answer.type !== 'granted') return answer;
  const { grant } = answer;
  return {
    ...answer,
    grant: { ...grant, authorization: authorizationOf(grant.authorization, grant.registry) },
  };
}

/** A secret's name in place of the secret. */
function authorizationOf(recorded: RecordedAuthorization, registry: string): Authorization {
  return recorded.scheme === 'basic'
    ? { ...recorded, password: new Secret(recorded.password, registry) }
    : { ...recorded, token: new Secret(recorded.token, registry) };
}
