/**
 * The exploration that every test of the model reads: which runs there are, and what came of them.
 *
 * Rules of this file: every kind of request meets the default policy, and every other policy the requests that its value is
 * about. The full product would say little more: a policy is one value away from the default, and each value is read in one
 * place of one machine. A script that broke a rule is not followed further.
 */

import type { Answer } from '../src/effect.ts';
import type { ExchangeState } from '../src/exchange.ts';
import type { Failure } from '../src/failure.ts';
import type { HandshakeState } from '../src/handshake.ts';
import {
  challengeNames,
  methods,
  type PolicyName,
  policies,
  registries,
  requestTo,
  type Said,
  type Slice,
  targetNames,
} from './alphabet.ts';
import { type ExchangeRun, exchangeWorld } from './exchanges.ts';
import { explore, type Node, type Walk, type World } from './explorer.ts';
import { type HandshakeRun, handshakeWorld } from './handshakes.ts';
import { handshakeStep, type Rule, type RuleNumber, ruleNumbers, rules, type Verdict } from './rules.ts';

type State = HandshakeState | ExchangeState;

/** Far more states than the largest run has. */
const bound = 50_000;

const slices = {
  everything: { challenges: challengeNames, targets: targetNames },
  answers: { challenges: challengeNames, targets: [] },
  /** The challenges that lead to another grant or to none, for three grants in a row. */
  depth: {
    challenges: [
      'absent',
      'own',
      'own, other service',
      'insufficient, larger',
      'insufficient, another',
      'paired',
      'basic',
      'foreign and basic',
    ],
    targets: [],
  },
  /** Of those as few as can break every rule. */
  again: {
    challenges: ['own', 'own, other service', 'insufficient, larger', 'insufficient, another'],
    targets: [],
  },
  crossing: { challenges: challengeNames, targets: ['second'] },
  redirects: {
    challenges: ['absent', 'own', 'paired', 'basic', 'insufficient, larger'],
    targets: targetNames,
  },
  hops: { challenges: ['absent', 'own'], targets: ['same', 'second', 'first'] },
} as const satisfies Record<string, Slice>;

type Shape = Parameters<typeof requestTo>[1];

const get: Shape = { method: 'GET', body: 'none', redirect: 'follow', authorized: false, own: true };
const put: Shape = { ...get, method: 'PUT', body: 'replayable' };
const stream: Shape = { ...put, body: 'once' };

/** Every kind of request. */
const shapes: readonly Shape[] = (['none', 'replayable', 'once'] as const).flatMap((body) =>
  methods[body].flatMap((method) =>
    (['follow', 'manual'] as const).flatMap((redirect) =>
      [false, true].map((authorized) => ({ ...get, method, body, redirect, authorized })),
    ),
  ),
);

/** What a platform may follow by itself, and what it may not. */
const unseen: readonly Shape[] = [
  { ...get, own: false },
  { ...get, own: false, authorized: true },
  { ...get, own: false, redirect: 'manual' },
  get,
  { ...put, own: false },
];

/** @param about.grants in place of the policy's limit: each more multiplies the states by about twenty */
function handshakeRun(
  policyName: PolicyName,
  shape: Shape,
  sliceName: keyof typeof slices,
  about: { readonly grants?: number; readonly at?: keyof typeof registries } = {},
): HandshakeRun {
  const { at = 'first' } = about;
  const { limits, ...rest } = policies[policyName];
  const policy = { ...rest, limits: { ...limits, grants: about.grants ?? limits.grants } };
  const { method, body, redirect, authorized, own } = shape;
  const request = `${method}, body ${body}, ${redirect}${authorized ? ', authorized' : ''}${own ? '' : ', plain'}`;
  return {
    name: `${request} at ${at} under '${policyName}' with ${policy.limits.grants} grants (${sliceName})`,
    policy,
    request: requestTo(registries[at], shape),
    slice: slices[sliceName],
  };
}

export interface Plan {
  readonly handshakes: readonly HandshakeRun[];
  readonly exchanges: readonly ExchangeRun[];
}

/** All there is to explore. */
export function fullPlan(): Plan {
  return {
    handshakes: [
      // Every kind of request, one grant deep. To the machine a HEAD and a PUT without a body are a GET that goes less far.
      ...shapes.map((shape) => {
        const isLesser = shape.body === 'none' && shape.method !== 'GET';
        return handshakeRun('default', shape, isLesser ? 'crossing' : 'everything', { grants: 1 });
      }),
      ...shapes.map((shape) => handshakeRun('default', shape, 'crossing', { grants: 1, at: 'plain' })),
      // Further: all challenges to two grants, those that matter to three; redirects between grants; as many as are allowed.
      handshakeRun('default', get, 'answers', { grants: 2 }),
      handshakeRun('default', put, 'depth'),
      handshakeRun('default', stream, 'everything'),
      handshakeRun('default', get, 'redirects', { grants: 2 }),
      handshakeRun('as shipped', get, 'hops', { grants: 1 }),
      // Every other policy.
      handshakeRun('basic first', put, 'depth', { grants: 2 }),
      ...(
        [
          'basic first',
          'bearer only',
          'basic only',
          'user pairs',
          'any https',
          'short limits',
          'all at once',
        ] as const
      ).map((name) => handshakeRun(name, get, 'crossing', { grants: 1 })),
      ...(['bare at others', 'never to others', 'one hop'] as const).map((name) =>
        handshakeRun(name, get, 'redirects', { grants: 1 }),
      ),
      handshakeRun('the platform redirects', { ...get, own: false }, 'answers', { grants: 1 }),
      handshakeRun('the platform redirects', put, 'answers', { grants: 1 }),
      ...unseen.map((shape) => handshakeRun('the platform redirects', shape, 'redirects', { grants: 1 })),
      handshakeRun('an insecure host', get, 'crossing', { grants: 1, at: 'plain' }),
      handshakeRun('an insecure host', stream, 'everything', { grants: 1, at: 'plain' }),
      handshakeRun('one grant', get, 'answers'),
      handshakeRun('no grant', get, 'everything'),
    ],
    exchanges: exchangesUnder([
      'default',
      'any https',
      'user pairs',
      'an insecure host',
      'anonymous pull',
      'oauth2 first',
      'no account',
      'all at once',
    ]),
  };
}

/** Enough to break every rule in a few seconds, for machines that were broken on purpose. */
export function shortPlan(): Plan {
  return {
    handshakes: [
      handshakeRun('default', get, 'everything', { grants: 1 }),
      handshakeRun('default', get, 'again'),
      handshakeRun('default', stream, 'answers', { grants: 1 }),
      handshakeRun('default', { ...get, authorized: true }, 'everything'),
      handshakeRun('default', get, 'crossing', { grants: 1, at: 'plain' }),
      handshakeRun('default', { ...get, authorized: true }, 'crossing', { grants: 1, at: 'plain' }),
      ...unseen.map((shape) => handshakeRun('the platform redirects', shape, 'redirects', { grants: 1 })),
    ],
    exchanges: exchangesUnder(['anonymous pull']),
  };
}

function exchangesUnder(names: readonly PolicyName[]): readonly ExchangeRun[] {
  return names.map((name) => ({ name: `exchange under '${name}'`, policy: policies[name] }));
}

/** A rule that was broken, and a shortest script that breaks it. */
export interface Violation {
  readonly what: string;
  readonly run: string;
  readonly script: readonly string[];
}

export interface Totals {
  readonly states: number;
  readonly edges: number;
  /** Answers of the longest script. */
  readonly longest: number;
}

/** A transition as a document shows it. */
export interface Transition {
  readonly machine: 'handshake' | 'exchange';
  readonly phase: string;
  readonly answer: string;
  readonly next: string;
  /** How the next state came about, the kind of failure it ends with, or that the failure was an answer. */
  readonly why: string;
}

export interface Report {
  readonly handshake: Totals;
  readonly exchange: Totals;
  /** The first few of each rule. */
  readonly violations: ReadonlyMap<RuleNumber, readonly Violation[]>;
  /** Checks that were never at stake, and so prove nothing. */
  readonly idle: readonly string[];
  /** Runs that had more states than the bound. */
  readonly unfinished: readonly string[];
  /** `kind by maker`: a machine that made a failure of that kind, or the seam that refused with it. */
  readonly made: ReadonlySet<string>;
  /** Reasons of `denied` that were reached. */
  readonly reasons: ReadonlySet<string>;
  readonly transitions: readonly Transition[];
}

/** Walks every run of `plan`, and checks every rule on all of it. */
export function exploreAll(plan: Plan): Report {
  const ledger = new Ledger();
  const handshakes = plan.handshakes.map((run) => {
    const { grants, hops } = run.policy.limits;
    return ledger.walk(run.name, handshakeWorld(run), {
      machine: 'handshake',
      checks: ({ handshake }) => handshake,
      step: (before, said, after) => handshakeStep(run, before, said, after),
      why: ({ ghost }) => ghost.move,
      // The request or a ping, once more after a hint was dropped, two answers for each grant, one for each hop.
      longest: 2 + 2 * grants + Math.min(hops, run.policy.redirects.max),
    });
  });
  const exchanges = plan.exchanges.map((run) =>
    ledger.walk(run.name, exchangeWorld(run), {
      machine: 'exchange',
      checks: ({ exchange }) => exchange,
      step: (before, said, after) => ({ run, before, said, after }),
      why: ({ state }) => state.phase,
      // A POST, a GET in its place, one for less, one for nobody.
      longest: 4,
    }),
  );
  return ledger.report(total(handshakes), total(exchanges));
}

/** What is particular to one of the machines; `T` is what its checks look at. */
interface Judge<S, A, G, T> {
  readonly machine: Transition['machine'];
  checks(rule: Rule): readonly ((step: T) => Verdict)[];
  step(before: Node<S, G> | null, said: Said<A> | null, after: Node<S, G>): T;
  why(after: Node<S, G>): string;
  /** Answers that the longest script may have. */
  readonly longest: number;
}

/** How many violations of a rule are kept. */
const kept = 10;

/** How often a check said anything. */
interface Tally {
  readonly name: string;
  readonly rule: RuleNumber;
  stakes: number;
}

interface Counted<T> {
  readonly tally: Tally;
  readonly check: (subject: T) => Verdict;
}

class Ledger {
  readonly #violations = new Map<RuleNumber, Violation[]>();
  readonly #tallies = new Map<string, Tally>();
  readonly #unfinished: string[] = [];
  readonly #made = new Set<string>();
  /** Failures that were answers. */
  readonly #given = new WeakSet<Failure>();
  readonly #reasons = new Set<string>();
  readonly #transitions = new Map<string, Transition>();

  walk<S extends State, A extends Answer, G, T>(
    run: string,
    world: World<S, Said<A>, G>,
    judge: Judge<S, A, G, T>,
  ): Walk {
    const { machine } = judge;
    const steps = ruleNumbers.flatMap((rule) => this.#count(rule, machine, judge.checks(rules[rule])));
    const states = this.#count(9, 'state', rules[9].states);
    const length = this.#count(4, `${machine} length`, [
      (walk: Walk) => walk.longest <= judge.longest || `a script of ${walk.longest} answers`,
    ]);

    for (const start of world.starts) {
      this.#judge(steps, judge.step(null, null, start), run, () => []);
      this.#note({ machine, phase: 'start', answer: 'start' }, start.state, 'started');
    }
    const walk = explore(
      world,
      {
        state: ({ state }, path) => {
          this.#judge(states, withoutPolicy(state), run, () => path().map(nameOf));
        },
        edge: ({ before, answer: said, after }, path) => {
          if (said.answer.type === 'refused') this.#given.add(said.answer.failure);
          const from = { machine, phase: before.state.phase, answer: classOf(said.answer) };
          this.#note(from, after.state, judge.why(after));
          return this.#judge(steps, judge.step(before, said, after), run, () =>
            [...path(), said].map(nameOf),
          );
        },
      },
      bound,
    );
    if (walk.reachedBound) this.#unfinished.push(run);
    this.#judge(length, walk, run, () => []);
    return walk;
  }

  report(handshake: Totals, exchange: Totals): Report {
    const idle = Array.from(this.#tallies.values()).filter(({ stakes }) => stakes === 0);
    return {
      handshake,
      exchange,
      violations: this.#violations,
      idle: idle.map(nameOf),
      unfinished: this.#unfinished,
      made: this.#made,
      reasons: this.#reasons,
      transitions: [...this.#transitions.values()],
    };
  }

  #count<T>(rule: RuleNumber, about: string, checks: readonly ((subject: T) => Verdict)[]): Counted<T>[] {
    return checks.map((check, index) => {
      const name = `rule ${rule}, ${about} check ${index + 1}`;
      const tally = this.#tallies.get(name) ?? { name, rule, stakes: 0 };
      this.#tallies.set(name, tally);
      return { tally, check };
    });
  }

  /** Returns whether every rule held. */
  #judge<T>(
    checks: readonly Counted<T>[],
    subject: T,
    run: string,
    script: () => readonly string[],
  ): boolean {
    let holds = true;
    for (const { tally, check } of checks) {
      const verdict = check(subject);
      if (verdict === undefined) continue;
      tally.stakes += 1;
      if (verdict === true) continue;
      holds = false;
      const known = this.#violations.get(tally.rule) ?? [];
      this.#violations.set(tally.rule, known);
      if (known.length < kept) known.push({ what: verdict, run, script: script() });
    }
    return holds;
  }

  /** Enters the transition, and who made the failure of a state that has one. */
  #note(from: Pick<Transition, 'machine' | 'phase' | 'answer'>, after: State, move: string): void {
    const failure = 'failure' in after ? after.failure : null;
    let why = move;
    if (failure !== null) {
      const isGiven = this.#given.has(failure);
      why = isGiven ? 'passed on' : failure.kind;
      this.#made.add(`${failure.kind} by the ${isGiven ? 'seam' : from.machine}`);
      if (failure.kind === 'denied') this.#reasons.add(failure.reason);
    }
    const key = `${from.machine} ${from.phase} ${from.answer} ${after.phase} ${why}`;
    if (!this.#transitions.has(key)) this.#transitions.set(key, { ...from, next: after.phase, why });
  }
}

/** An answer as a document names it. */
function classOf(answer: Answer): string {
  if (!('head' in answer)) return answer.type.replace('-', ' ');
  return answer.head.status === 0 ? 'hidden redirect' : String(answer.head.status);
}

/** The policy is the same in every state of a run, holds no secret and is half of what a state prints. */
function withoutPolicy(state: State): object {
  return 'context' in state ? { ...state, context: { ...state.context, policy: null } } : state;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function total(walks: readonly Walk[]): Totals {
  return {
    states: walks.reduce((sum, { states }) => sum + states, 0),
    edges: walks.reduce((sum, { edges }) => sum + edges, 0),
    longest: walks.reduce((most, { longest }) => Math.max(most, longest), 0),
  };
}
