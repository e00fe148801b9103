/**
 * Runs the vectors of one topic: facts from the tests of other registry clients, each an input and what that client makes
 * of it (`data/README.md`).
 *
 * Rules of this file:
 * 1. Every case is looked at. It must agree with the core, or a rule sets it aside.
 * 2. A rule looks at what is asked and what is expected, never at the id, so that it holds of cases it has not seen. A case
 *    set aside by `policy` still runs and must disagree in the way the rule says; one set aside as `foreign` asks for
 *    something the core does not do.
 * 3. How many cases each rule takes is printed, and pinned for the cases of this repository. More than a tenth of a topic
 *    set aside by policy needs a decision record.
 *
 * `REG_VECTORS=/folder` runs the same topics on other cases; pins and shares are those of this repository and not checked.
 *
 * A topic is one call of `describeTopic` in a test file of its name. An operation gives our answer in the words of the
 * vector, and where the vector says more than can be compared, the vector's answer cut down to that.
 */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';

/** Part of a case, read with a check of its type: a case of another shape fails by name. */
export class Fields {
  readonly #where: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(where: string, value: unknown) {
    if (!isRecord(value)) throw new TypeError(`${where} is no object`);
    this.#where = where;
    this.#fields = value;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  value(name: string): unknown {
    return this.#fields[name];
  }

  text(name: string): string {
    return this.#as(name, (value) => typeof value === 'string');
  }

  number(name: string): number {
    return this.#as(name, (value) => typeof value === 'number');
  }

  texts(name: string): readonly string[] {
    return this.#as(name, isTextList);
  }

  /** The members of an array, each an object. */
  list(name: string): readonly Fields[] {
    const value = this.#as(name, (list) => Array.isArray(list));
    return value.map((member, i) => new Fields(`${this.#where}.${name}[${i}]`, member));
  }

  entries(): readonly (readonly [string, unknown])[] {
    return Object.entries(this.#fields);
  }

  /** The fields without `names`, as plain data. */
  without(...names: readonly string[]): Readonly<Record<string, unknown>> {
    return Object.fromEntries(this.entries().filter(([name]) => !names.includes(name)));
  }

  #as<T>(name: string, is: (value: unknown) => value is T): T {
    const value = this.#fields[name];
    if (!is(value)) throw new TypeError(`${this.#where}.${name} is missing or of another type`);
    return value;
  }
}

export interface Vector {
  readonly id: string;
  readonly op: string;
  readonly name: string;
  readonly input: Fields;
  readonly expect: Fields;
  /** `owner/repo` whose test this is. */
  readonly client: string;
}

export interface Operation {
  /** What the core answers, in the words of the vector, or a promise of it. */
  readonly ours: (vector: Vector) => unknown;
  /** What the vector expects, cut down to what `ours` can say. Without it, all of `expect`. */
  readonly theirs?: (vector: Vector) => unknown;
}

export interface Rule {
  readonly name: string;
  readonly reason: string;
  /** `foreign`: another client's own operation. `policy`: we decide otherwise, on purpose. */
  readonly kind: 'foreign' | 'policy';
  readonly applies: (vector: Vector) => boolean;
  /** For `policy`: whether our answer differs from theirs as the reason says. */
  readonly differs?: (ours: unknown, vector: Vector) => boolean;
}

export interface Topic {
  readonly operations: Readonly<Record<string, Operation>>;
  /** The first that applies sets a case aside. */
  readonly rules: readonly Rule[];
  /** How many cases there are, and how many each rule sets aside. */
  readonly pins: { readonly cases: number; readonly rules: Readonly<Record<string, number>> };
  /** Path of the record, from the root of the repository, when policy sets more than a tenth aside. */
  readonly decision?: string;
  /** The folder of this repository's cases, for a topic of another package. */
  readonly data?: string;
}

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../../..');

export function describeTopic(name: string, topic: Topic): void {
  const ownData = topic.data ?? join(here, 'data');
  const folder = process.env['REG_VECTORS'] ?? ownData;
  const path = join(folder, `${name}.json`);
  if (!existsSync(path)) {
    it(`vectors: ${name}`, () => console.log(`vectors: ${folder} has no ${name}.json, so none of them ran`));
    return;
  }
  const vectors = readVectors(path);
  const rules = [...topic.rules, unknownOperation(topic)];
  const ruleOf = new Map(vectors.map((vector) => [vector, rules.find((rule) => rule.applies(vector))]));
  const counts = new Map(rules.map((rule) => [rule, [...ruleOf.values()].filter((r) => r === rule).length]));

  describe(`vectors: ${name}`, () => {
    for (const vector of vectors) {
      const rule = ruleOf.get(vector);
      const title = `${vector.id} ${vector.op}${vector.name === '' ? '' : `: ${vector.name}`}`;
      if (rule === undefined) it(title, () => runs(topic, vector));
      else it(`${title} [set aside: ${rule.name}]`, () => standsAside(topic, vector, rule));
    }

    it('prints what was set aside', () => {
      const aside = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const lines = [
        `vectors: ${name}: ${vectors.length} cases, ${vectors.length - aside} agree, ${aside} set aside`,
      ];
      for (const [rule, count] of counts) {
        if (count > 0)
          lines.push(`  ${String(count).padStart(3)} ${rule.kind.padEnd(7)} ${rule.name}: ${rule.reason}`);
      }
      console.log(lines.join('\n'));
    });

    if (folder !== ownData) return;

    it('sets aside as many cases as pinned', () => {
      const found = rules
        .map((rule) => [rule.name, counts.get(rule) ?? 0] as const)
        .filter(([, count]) => count > 0);
      expect({ cases: vectors.length, rules: Object.fromEntries(found) }).toEqual(topic.pins);
    });

    it('sets aside more than a tenth by policy only with a decision record', () => {
      const policy = [...counts]
        .filter(([rule]) => rule.kind === 'policy')
        .reduce((sum, [, count]) => sum + count, 0);
      const recorded = topic.decision !== undefined && existsSync(join(root, topic.decision));
      expect(policy <= vectors.length / 10 || recorded, `${policy} of ${vectors.length}`).toBe(true);
    });
  });
}

async function runs(topic: Topic, vector: Vector): Promise<void> {
  const operation = topic.operations[vector.op];
  if (operation === undefined) throw new Error(`no operation ${vector.op}`);
  expect(await operation.ours(vector)).toEqual(theirsOf(operation, vector));
}

/** A set-aside case that we can answer must disagree: the day it agrees, the rule is gone. */
async function standsAside(topic: Topic, vector: Vector, rule: Rule): Promise<void> {
  const operation = topic.operations[vector.op];
  if (rule.kind === 'foreign') {
    expect(
      operation === undefined ||
        rule.differs === undefined ||
        rule.differs(await operation.ours(vector), vector),
    ).toBe(true);
    return;
  }
  if (operation === undefined || rule.differs === undefined)
    throw new Error(`${rule.name} has nothing to compare`);
  const ours = await operation.ours(vector);
  const theirs = theirsOf(operation, vector);
  expect(isDeepStrictEqual(ours, theirs), `agrees after all: ${JSON.stringify(ours)}`).toBe(false);
  expect(rule.differs(ours, vector), `differs otherwise than said: ${JSON.stringify(ours)}`).toBe(true);
}

function theirsOf(operation: Operation, vector: Vector): unknown {
  return operation.theirs === undefined ? vector.expect.without() : operation.theirs(vector);
}

function unknownOperation(topic: Topic): Rule {
  return {
    name: 'unknown-operation',
    reason: 'an operation that none of the known vectors asks for',
    kind: 'foreign',
    applies: ({ op }) => topic.operations[op] === undefined,
  };
}

function readVectors(path: string): readonly Vector[] {
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(parsed)) throw new TypeError(`${path} holds no array`);
  return parsed.map((value, i) => {
    const fields = new Fields(`${path}[${i}]`, value);
    const id = fields.text('id');
    const source = fields.text('source');
    return {
      id,
      op: fields.text('op'),
      name: typeof fields.value('name') === 'string' ? fields.text('name') : '',
      input: new Fields(`${id}.input`, fields.value('input')),
      expect: new Fields(`${id}.expect`, fields.value('expect')),
      client: source.split(' ', 1)[0] ?? '',
    };
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The members of an object that a test does not know; none of anything else. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** The texts of an array that a test does not know. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((member) => typeof member === 'string') : [];
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((member) => typeof member === 'string');
}
