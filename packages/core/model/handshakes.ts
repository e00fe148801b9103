/**
 * The handshake in the world of the alphabet, with what the rules remember of the way to a state.
 *
 * Rules of this file: what is remembered (`Ghost`) is worked out from effects and answers, never read from the machine's own
 * context, so that a machine which forgets is found out.
 */

import type { HandshakeAnswer } from '../src/effect.ts';
import type { Grant, Need } from '../src/grant.ts';
import { type HandshakeState, start, step } from '../src/handshake.ts';
import type { RegistryRequest } from '../src/message.ts';
import type { Policy } from '../src/policy.ts';
import { coversScopes } from '../src/scope.ts';
import { hints, type Offer, registryAnswers, type Said, type Slice, seamAnswers } from './alphabet.ts';
import type { Node, World } from './explorer.ts';

/** How a state came about. */
export type Move =
  | 'started'
  /** A challenge is answered for the first time. */
  | 'challenged'
  /** A refused grant is replaced, under the challenge it was obtained under. */
  | 'replaced'
  /** Another challenge than the one before is answered. */
  | 'renewed'
  /** More is asked for. */
  | 'widened'
  /** What was remembered is dropped: the request goes out bare. */
  | 'stripped'
  | 'redirected'
  /** The request is sent, with a grant or after a ping. */
  | 'sent'
  | 'ended';

/** A grant in use and what it was obtained for. */
export interface Used {
  readonly grant: Grant;
  readonly need: Need;
  readonly reuse: 'fresh' | 'cached' | 'superset';
}

export interface Ghost {
  readonly now: number;
  readonly move: Move;
  /** Origin the request stands at. */
  readonly origin: string;
  /** The first origin was left. */
  readonly crossed: boolean;
  /** `over` once a real challenge, or its absence, took the place of what was remembered. */
  readonly hint: 'none' | 'trusted' | 'over';
  readonly held: Used | null;
  /** While a grant is replaced: what the answer offered that refused it. */
  readonly offered: readonly Offer[] | null;
  /** Grants asked for. */
  readonly grants: number;
  readonly hops: number;
  /** At this origin. */
  readonly replacements: number;
  /** At this origin. */
  readonly widenings: number;
  readonly bares: number;
  readonly pings: number;
  /** Times a body was sent that can be sent once. */
  readonly bodies: number;
  /** What the origin asks for is remembered or was learned by a ping. */
  readonly known: boolean;
}

/** One request under one policy; it is walked from every hint. */
export interface HandshakeRun {
  readonly name: string;
  readonly policy: Policy;
  readonly request: RegistryRequest;
  readonly slice: Slice;
}

export type HandshakeNode = Node<HandshakeState, Ghost>;

export function handshakeWorld(run: HandshakeRun): World<HandshakeState, Said<HandshakeAnswer>, Ghost> {
  const { policy, request, slice } = run;
  const { origin } = new URL(request.url);
  const answers = registryAnswers(slice, policy.limits);
  return {
    starts: Object.values(hints).map((hint) => {
      const remembered = hint(origin);
      const state = start(request, policy, remembered);
      return { state, ghost: begun(state, origin, remembered !== null) };
    }),
    answers: ({ state, ghost }) => {
      switch (state.phase) {
        case 'probing':
        case 'sending':
          return answers(state.awaiting, ghost.now);
        case 'obtaining':
          return seamAnswers(state.awaiting, ghost.now);
        case 'answered':
        case 'failed':
          return [];
      }
    },
    step: (state, { answer }) => step(state, answer),
    follow,
    key: ({ state, ghost }) => JSON.stringify([view(state, ghost), remembered(state, ghost)]),
  };
}

function begun(state: HandshakeState, origin: string, known: boolean): Ghost {
  const obtaining = state.phase === 'obtaining';
  return {
    now: 1_700_000_000_000,
    move: 'started',
    origin,
    crossed: false,
    hint: obtaining ? 'trusted' : 'none',
    held: null,
    offered: null,
    grants: obtaining ? 1 : 0,
    hops: 0,
    replacements: 0,
    widenings: 0,
    bares: 0,
    pings: state.phase === 'probing' ? 1 : 0,
    bodies: spendsBody(state) ? 1 : 0,
    known,
  };
}

function follow(
  { state: before, ghost }: HandshakeNode,
  said: Said<HandshakeAnswer>,
  state: HandshakeState,
): Ghost {
  const { answer, offers } = said;
  const origin = originAfter(ghost.origin, answer, state);
  const left = origin !== ghost.origin;
  const move = moveOf(before, ghost.held, said, state);
  const obtaining = state.phase === 'obtaining';
  const isGranted = answer.type === 'granted' && before.phase === 'obtaining';
  const held = isGranted ? { ...answer, need: before.awaiting.need } : ghost.held;
  return {
    now: answer.at,
    move,
    origin,
    crossed: ghost.crossed || left,
    hint: ghost.hint === 'trusted' && (left || changesMind(move)) ? 'over' : ghost.hint,
    held: left || obtaining || move === 'stripped' ? null : held,
    offered: move === 'replaced' ? offers : null,
    grants: ghost.grants + (obtaining ? 1 : 0),
    hops: ghost.hops + (move === 'redirected' ? 1 : 0),
    replacements: (left ? 0 : ghost.replacements) + (move === 'replaced' ? 1 : 0),
    widenings: (left ? 0 : ghost.widenings) + (move === 'widened' ? 1 : 0),
    bares: ghost.bares + (move === 'stripped' ? 1 : 0),
    pings: ghost.pings + (state.phase === 'probing' ? 1 : 0),
    bodies: ghost.bodies + (spendsBody(state) ? 1 : 0),
    known: move !== 'stripped' && (ghost.known || before.phase === 'probing'),
  };
}

function spendsBody(state: HandshakeState): boolean {
  return (
    state.phase === 'sending' && state.awaiting.body === 'caller' && state.context.request.body === 'once'
  );
}

/** Where the request is sent, or where a platform that follows redirects says the answer came from. */
function originAfter(origin: string, answer: HandshakeAnswer, state: HandshakeState): string {
  if (state.phase === 'sending' || state.phase === 'probing') return new URL(state.awaiting.url).origin;
  return answer.type === 'response' && answer.head.url !== undefined
    ? new URL(answer.head.url).origin
    : origin;
}

function moveOf(
  before: HandshakeState,
  held: Used | null,
  said: Said<HandshakeAnswer>,
  state: HandshakeState,
): Move {
  const { answer, offers } = said;
  switch (state.phase) {
    case 'answered':
    case 'failed':
      return 'ended';
    case 'probing':
      return 'stripped';
    case 'obtaining':
      if (state.awaiting.replacing !== null) return 'replaced';
      if (answer.type === 'refused') return 'renewed';
      if (held === null) return 'challenged';
      return demandsMore(offers, held.need) ? 'widened' : 'renewed';
    case 'sending':
      if (answer.type === 'granted' || before.phase === 'probing') return 'sent';
      return answer.type === 'response' && Math.floor(answer.head.status / 100) === 3
        ? 'redirected'
        : 'stripped';
  }
}

function changesMind(move: Move): boolean {
  return move === 'stripped' || move === 'renewed' || move === 'widened';
}

/** Whether an answer says that the token does not reach, and names more than `need` asked for. */
export function demandsMore(offers: readonly Offer[], need: Need): boolean {
  if (need.scheme !== 'bearer') return false;
  return offers.some(
    ({ error, scopes }) => error === 'insufficient_scope' && !coversScopes(need.scopes, scopes),
  );
}

/**
 * What of a state tells it apart: all of it but what is the same for the whole run. Times count from now, since a machine can
 * only compare them; lessons are of the transition. A finished state is told apart by what it says.
 */
function view(state: HandshakeState, { now }: Ghost): unknown {
  switch (state.phase) {
    case 'answered':
      return [state.phase, state.head.status, state.failure];
    case 'failed':
      return [state.phase, state.failure];
    case 'probing':
    case 'sending':
      return [state.phase, state.awaiting, contextFrom(state, now)];
    case 'obtaining': {
      const { need, replacing } = state.awaiting;
      const old = replacing === null ? null : grantFrom(replacing, now);
      const { otherwise, refusal } = state;
      const kept = refusal === null ? null : [refusal.head.status, refusal.failure];
      return [state.phase, need, old, otherwise, kept, contextFrom(state, now)];
    }
  }
}

function contextFrom({ context }: HandshakeState, now: number): unknown {
  const { request: _, policy: __, held, ...rest } = context;
  return { ...rest, held: held === null ? null : { ...held, grant: grantFrom(held.grant, now) } };
}

function grantFrom(grant: Grant, now: number): unknown {
  const expiresIn = grant.expiresAt === null ? null : grant.expiresAt - now;
  return { ...grant, obtainedAt: grant.obtainedAt - now, expiresAt: expiresIn };
}

/** What the rules know beyond the state. */
function remembered(state: HandshakeState, ghost: Ghost): unknown {
  if (state.phase === 'answered' || state.phase === 'failed') return null;
  const { now: _, move: __, held, ...rest } = ghost;
  const same = held?.grant === state.context.held?.grant;
  return [rest, same];
}
