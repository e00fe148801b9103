/**
 * Runs checks, each after those it needs.
 *
 * Rules of this file: it knows nothing about registries. A check that needs one which failed is skipped and says so, so that one
 * cause is one problem. Texts are made visible and cut here, so that no check can forget it: most of them quote a peer.
 */

import { toVisible } from '@reg/core';
import { masked } from '../report/masked.ts';
import type { CheckId, Decision, Finding } from './finding.ts';

/** One check. What it looks at is gathered by `look` when its turn comes; what it means is decided by pure functions. */
export interface Check<S> {
  readonly id: CheckId;
  readonly needs: readonly CheckId[];
  look(scene: S): Promise<Decision> | Decision;
}

/** The ids in `only` and all that they need. */
export function withNeeds<S>(checks: readonly Check<S>[], only: readonly CheckId[]): ReadonlySet<CheckId> {
  const wanted = new Set<CheckId>();
  const add = (id: CheckId): void => {
    if (wanted.has(id)) return;
    wanted.add(id);
    for (const check of checks) if (check.id === id) check.needs.forEach(add);
  };
  only.forEach(add);
  return wanted;
}

/** What each of `checks` finds, in their order, which puts what a check needs before it. Rejects only where `look` does. */
export async function runChecks<S>(checks: readonly Check<S>[], scene: S): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  /** What could not be decided, and the check that failed first. */
  const blocked = new Map<CheckId, CheckId>();
  for (const check of checks) {
    const { id, needs } = check;
    const failed = needs.map((need) => blocked.get(need)).find((first) => first !== undefined);
    const decision: Decision =
      failed === undefined
        ? await check.look(scene)
        : { status: 'skipped', summary: `not looked at: it needs ${failed}`, blocks: true };
    if (decision.status === 'problem' || (decision.status === 'skipped' && decision.blocks === true))
      blocked.set(id, failed ?? id);
    findings.push(findingOf(id, decision));
  }
  return findings;
}

function findingOf(id: CheckId, decision: Decision): Finding {
  const { status } = decision;
  const evidence = 'evidence' in decision ? (decision.evidence ?? []) : [];
  const isFault = status === 'problem' || status === 'warning';
  const { text = '', command = null, line = null } = isFault ? decision.fix : {};
  return {
    id,
    status,
    summary: shown(decision.summary, LONGEST_SUMMARY),
    evidence: evidence.map((line) => shown(line)),
    cause: isFault ? decision.cause : null,
    fix: isFault
      ? {
          text: shown(text),
          command: command === null ? null : toVisible(command),
          line: line === null ? null : toVisible(line),
        }
      : null,
  };
}

/** More than any text of ours, and less than a screen of whatever was quoted in it. */
const LONGEST = 1_000;

/** Three lines. */
const LONGEST_SUMMARY = 200;

function shown(text: string, longest = LONGEST): string {
  // A peer's words may give a secret back, which its transcript has a name for.
  const visible = masked(toVisible(text));
  return visible.length > longest ? `${visible.slice(0, longest)}…` : visible;
}
