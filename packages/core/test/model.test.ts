/** The eleven rules of the machines, on every state that the alphabet can lead them to. */

import { beforeAll, describe, expect, test } from 'vitest';
import {
  challengeNames,
  deniedReasons,
  makers,
  type Places,
  type PolicyPlace,
  policies,
  policyPlaces,
  registries,
  statuses,
  targetNames,
} from '../model/alphabet.ts';
import { exploreAll, fullPlan, type Report, shortPlan } from '../model/exploration.ts';
import { ruleNumbers, rules } from '../model/rules.ts';
import type { FailureKind } from '../src/failure.ts';
import { defaultPolicy, type Policy } from '../src/policy.ts';

/** The mutants of `scripts/mutants.ts` are many, and break on the short plan as well. */
const isShort = process.env['REG_MODEL'] === 'short';

let report: Report;

beforeAll(() => {
  report = exploreAll(isShort ? shortPlan() : fullPlan());
  const { handshake, exchange } = report;
  console.log(
    `handshake: ${handshake.states} states, ${handshake.edges} edges, longest script ${handshake.longest}; ` +
      `exchange: ${exchange.states} states, ${exchange.edges} edges, longest script ${exchange.longest}`,
  );
}, 300_000);

describe('the alphabet', () => {
  test('is as large as it claims', () => {
    expect(Object.keys(registries)).toHaveLength(3);
    expect(challengeNames.length).toBeGreaterThanOrEqual(12);
    expect(statuses.length).toBeGreaterThanOrEqual(9);
    expect(targetNames.length).toBeGreaterThanOrEqual(5);
  });

  test('has a policy with each value it claims', () => {
    for (const { path, value, place } of placesOf(policyPlaces)) {
      if (place === 'driver') continue;
      const tried = valueAt(policies[place], path);
      if (value === null) expect.soft(tried, path.join('.')).toBeDefined();
      else if (Array.isArray(tried)) expect.soft(tried, path.join('.')).toContain(value);
      else expect.soft(String(tried), path.join('.')).toBe(value);
    }
  });

  test('calls a field the driver’s only if no policy of the model sets it', () => {
    const drivers = placesOf(policyPlaces).filter(({ place }) => place === 'driver');
    expect(drivers).not.toHaveLength(0);
    for (const { path } of drivers) {
      for (const policy of Object.values(policies)) {
        expect(valueAt(policy, path)).toEqual(valueAt(defaultPolicy, path));
      }
    }
  });

  test('does not compile without a place for each failure and each value of the policy', () => {
    // Checked by the compiler: each line must be an error, or `@ts-expect-error` is one.
    // @ts-expect-error a kind of failure that nobody makes
    makers satisfies Record<FailureKind | 'unheard-of', unknown>;
    // @ts-expect-error a value that no policy has
    policyPlaces satisfies Places<Omit<Policy, 'oauth2'> & { oauth2: Policy['oauth2'] | 'sometimes' }>;
    // @ts-expect-error a scheme that no policy has
    policyPlaces satisfies Places<
      Omit<Policy, 'schemes'> & { schemes: readonly ('basic' | 'bearer' | 'digest')[] }
    >;
    // @ts-expect-error a field that no policy has
    policyPlaces satisfies Places<Policy & { patience: boolean }>;
    expect(Object.keys(policyPlaces).sort()).toEqual(Object.keys(defaultPolicy).sort());
  });
});

describe('the exploration', () => {
  test('walks every state there is', () => {
    expect(report.unfinished).toEqual([]);
    expect(report.handshake.states).toBeGreaterThan(1_000);
    expect(report.exchange.states).toBeGreaterThan(1_000);
  });

  test.runIf(!isShort)('puts every check of every rule to the test', () => {
    expect(report.idle).toEqual([]);
  });
});

describe('the machines', () => {
  test.each(
    ruleNumbers.filter((number) => number !== 10).map((number) => [number, rules[number].title] as const),
  )('rule %i: %s', (number) => {
    expect(report.violations.get(number) ?? []).toEqual([]);
  });

  test(`rule 10: ${rules[10].title}`, () => {
    const expected = Object.entries(makers).flatMap(([kind, by]) =>
      by.map((maker) => `${kind} by the ${maker === 'driver' ? 'seam' : maker}`),
    );
    const passedOn = [...report.made].filter((made) => made.endsWith('by the seam'));
    expect([...report.made].sort()).toEqual([...new Set([...expected, ...passedOn])].sort());
    expect([...report.reasons].sort()).toEqual(Object.keys(deniedReasons).sort());
  });
});

interface Placed {
  readonly path: readonly string[];
  /** The value, or `null` when any will do. */
  readonly value: string | null;
  readonly place: PolicyPlace;
}

/** The leaves of `policyPlaces`: a field, and one of its values if they can be listed. */
function placesOf(places: object, path: readonly string[] = []): Placed[] {
  return Object.entries(places).flatMap(([name, place]): Placed[] => {
    if (typeof place === 'object') return placesOf(place, [...path, name]);
    const isField = valueAt(defaultPolicy, [...path, name]) !== undefined;
    return [isField ? { path: [...path, name], value: null, place } : { path, value: name, place }];
  });
}

function valueAt(policy: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => Object.entries(at ?? {}).find(([key]) => key === name)?.[1],
    policy,
  );
}
