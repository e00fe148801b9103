/** The attack cases, how their data is read, and which of them are the core's. */

import { readFileSync } from 'node:fs';

export interface AttackCase {
  readonly id: string;
  readonly category: string;
  readonly title: string;
  readonly input: Members;
  /** Facts that a machine can check. */
  readonly assert: Members;
}

export type Members = Readonly<Record<string, unknown>>;

const file = new URL('data/attacks.json', import.meta.url);

export const attacks = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly cases: readonly AttackCase[];
  readonly count: number;
};

/** Whole categories that the core's flows say nothing about. */
const categories: Members = {
  'log-redaction': 'packages/core/src/transcript',
  'registry-name': 'packages/core/src/reference.ts',
  'config-file': 'packages/node',
  'credential-helper': 'packages/node',
  'file-write': 'packages/node',
  transport: 'packages/node',
  browser: 'packages/browser',
  'cli-output': 'apps/cli',
};

/** Who decides a case that turns on what the core never sees; `null` for the core's own. */
export function elsewhere({ category, input }: AttackCase): string | null {
  const whole = categories[category];
  if (typeof whole === 'string') return whole;
  // Addresses behind names, and which program has a cloud's credential.
  if (input['dns'] !== undefined || input['cloud_helper_pattern'] !== undefined) return 'packages/node';
  // Bytes before they are decoded.
  const response = membersOf(input['token_response']);
  if (response['gzip_of'] !== undefined || response['endless_headers'] !== undefined) return 'packages/node';
  // How credentials are written: the user `<token>`, a line end on standard input.
  if (input['username'] === '<token>') return 'packages/node';
  return input['stdin'] === undefined ? null : 'apps/cli';
}

/** The members of an object; none of anything else. */
export function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text, or what stands for one: `{repeat: {text, times}}`, `{concat: […]}`. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const { repeat, concat } = membersOf(value);
  if (concat !== undefined) return listOf(concat).map(textOf).join('');
  const { text, times } = membersOf(repeat);
  return String(text).repeat(Number(times));
}

export function textsOf(value: unknown): readonly string[] {
  return listOf(value).map(textOf);
}
