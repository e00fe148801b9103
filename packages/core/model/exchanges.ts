/**
 * The exchange in the world of the alphabet, from every need and credential.
 *
 * Rules of this file: as in `handshakes.ts`, what the rules remember comes from effects and answers alone.
 */

import type { ExchangeAnswer, TokenSend } from '../src/effect.ts';
import { beginExchange, type ExchangeState, stepExchange } from '../src/exchange.ts';
import { anonymous, type Need, type Principal } from '../src/grant.ts';
import type { Policy } from '../src/policy.ts';
import { Secret } from '../src/secret.ts';
import { candidates, factOf, needs, type Said, tokenAnswers } from './alphabet.ts';
import type { Node, World } from './explorer.ts';

export interface ExchangeGhost {
  readonly now: number;
  /** What is asked for, and by whom. */
  readonly name: string;
  readonly need: Need;
  /** Whose credential the last request carried. */
  readonly sender: Principal;
}

export interface ExchangeRun {
  readonly name: string;
  readonly policy: Policy;
}

export type ExchangeNode = Node<ExchangeState, ExchangeGhost>;

export function exchangeWorld({
  policy,
}: ExchangeRun): World<ExchangeState, Said<ExchangeAnswer>, ExchangeGhost> {
  return {
    starts: Array.from(needs).flatMap(([what, need]) =>
      Object.entries(candidates)
        // A driver looks up no credential for an anonymous need; that the machine refuses one is in its own tests.
        .filter(([, { credential }]) => credential === null || !need.anonymous)
        .map(([who, { credential, principal }]) => {
          const state = beginExchange(need, credential, policy, { principal, clientId: 'model' });
          const name = `${what}, by ${who}`;
          return { state, ghost: { now: 1_700_000_000_000, name, need, sender: senderOf(state) } };
        }),
    ),
    answers: ({ state, ghost }) =>
      'awaiting' in state ? tokenAnswers(ghost.sender, ghost.need, ghost.now) : [],
    step: (state, { answer }) => stepExchange(state, answer),
    follow: ({ ghost }, { answer }, state) => {
      return { ...ghost, now: answer.at, sender: 'awaiting' in state ? senderOf(state) : ghost.sender };
    },
    key: ({ state, ghost: { now, name, sender } }) => JSON.stringify([view(state, now), name, sender]),
  };
}

function senderOf(state: ExchangeState): Principal {
  if (!('awaiting' in state)) return anonymous;
  for (const secret of secretsOf(state.awaiting)) {
    const fact = factOf(secret);
    if (fact.kind === 'credential') return fact.principal;
  }
  return anonymous;
}

/** Every secret in a token request. */
export function secretsOf({ authorization, form }: TokenSend): Secret[] {
  const secrets: Secret[] = [];
  if (authorization !== null)
    secrets.push(authorization.scheme === 'basic' ? authorization.password : authorization.token);
  for (const [, value] of form ?? []) if (value instanceof Secret) secrets.push(value);
  return secrets;
}

function view(state: ExchangeState, now: number): unknown {
  switch (state.phase) {
    case 'posting':
    case 'getting': {
      const { need: _, policy: __, ...context } = state.context;
      return [state.phase, state.awaiting, context];
    }
    case 'granted': {
      const { obtainedAt, expiresAt, ...grant } = state.grant;
      const life = expiresAt === null ? null : expiresAt - obtainedAt;
      return [state.phase, grant, life, now - obtainedAt, state.refreshToken, state.issuedAt];
    }
    case 'failed':
      return [state.phase, state.failure];
  }
}
