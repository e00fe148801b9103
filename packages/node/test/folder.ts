/** A folder for one test, and what is in it. */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new folder, which ends with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** `0600` and the like. */
export function modeOf(path: string): string {
  return `0${(statSync(path).mode & 0o777).toString(8)}`;
}

export function namesIn(path: string): readonly string[] {
  return readdirSync(path).sort();
}

/** Whether tests can have files of other users, and say why not once. */
export const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log('skipped: files of other users (only root can make them)');

/** The number of a user that owns nothing. */
export const nobody = 65_534;

/** Runs `work` with nobody's rights to files. Only root may. */
export async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  process.seteuid?.(nobody);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
