/**
 * The one suite every adapter passes.
 *
 * Rules of this file: no runner is assumed but one that takes a name and an async function; each case has servers of its own.
 */

import { aborts } from './aborts.ts';
import { authority } from './authority.ts';
import { challenges } from './challenges.ts';
import type { Case, CreateFetch } from './contract.ts';
import { credentials } from './credentials.ts';
import { pull } from './pull.ts';
import { push } from './push.ts';
import { redirects } from './redirects.ts';
import { scopes } from './scopes.ts';

export const cases: readonly Case[] = [
  ...pull,
  ...credentials,
  ...challenges,
  ...scopes,
  ...redirects,
  ...authority,
  ...push,
  ...aborts,
];

/** Declares every case with `test`, to be run against the fetch that `createFetch` makes for it. */
export function runConformance({
  test,
  createFetch,
}: {
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  readonly createFetch: CreateFetch;
}): void {
  for (const { name, run } of cases) test(name, () => run(createFetch));
}
