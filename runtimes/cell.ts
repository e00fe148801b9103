/**
 * One cell of the table: the conformance suite, through a bridge, against what a guest serves.
 *
 * Rules of this file: every case ends, in green, as the exception it was declared to be, or in red with the reason; a secret at
 * any place it may not be at, what the guest printed included, is red too.
 */

import { activate, type CreateFetch, createTap, runConformance } from '@reg/testing';
import { within } from './within.ts';

/** A case waits for timers of a second at most. */
const patienceMs = 10_000;

/** So much red is one fault, and the rest of the cases would wait for it in vain. */
const enough = 10;

/** Most of a case is waiting, so some run side by side. */
const atOnce = 4;

export interface Cell {
  readonly cases: number;
  readonly passed: number;
  /** Why cases did not pass, each as it was declared, without repetitions. */
  readonly excepted: readonly string[];
  /** What must not be, as lines for a reader. */
  readonly red: readonly string[];
}

/**
 * Runs every case.
 *
 * @param expected why each of these cases cannot pass, by name
 * @param connect starts a guest and gives the client in it; `heard` is to be told what the guest prints
 */
export async function runCell(
  expected: ReadonlyMap<string, string>,
  connect: (heard: (text: string) => void) => Promise<CreateFetch>,
): Promise<Cell> {
  const tap = createTap();
  const restore = activate(tap);
  const red: string[] = [];
  let passed = 0;
  const excepted = new Set<string>();
  const all: [name: string, run: () => Promise<void>][] = [];
  try {
    const createFetch = await connect(tap.reader('stdout'));
    runConformance({ test: (name, run) => void all.push([name, run]), createFetch });
    const left = [...all];
    const worker = async () => {
      for (let next = left.shift(); next !== undefined && red.length < enough; next = left.shift()) {
        const [name, run] = next;
        const failure = await failureOf(run);
        const why = expected.get(name);
        if (failure === null && why === undefined) passed += 1;
        else if (failure === null) red.push(`passes, and is listed as one that cannot: ${name}`);
        else if (why === undefined) red.push(`${name}\n${indented(failure)}`);
        else excepted.add(name);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    if (left.length > 0) red.push(`given up, with ${left.length} cases left`);
    for (const name of expected.keys()) {
      if (!all.some(([one]) => one === name)) red.push(`listed, but no case: ${name}`);
    }
    for (const { kind, place } of tap.leaks()) red.push(`a ${kind} appeared at ${place}`);
  } finally {
    restore();
  }
  // In the order of the list, whatever ended first.
  const whys = [...expected].filter(([name]) => excepted.has(name)).map(([, why]) => why);
  return { cases: all.length, passed, excepted: [...new Set(whys)], red };
}

async function failureOf(run: () => Promise<void>): Promise<string | null> {
  return within(patienceMs, 'no end', run()).then(
    () => null,
    (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error)),
  );
}

const indented = (text: string): string => text.replaceAll(/^/gm, '      ');
