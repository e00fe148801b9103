/**
 * A client for one command line, from its options to its end.
 *
 * Rules of this file: it joins parts. stdout is not touched; a notice goes to stderr.
 */

import type { ClaimsReader } from '@reg/core/transcript';
import type { Surroundings } from '../surroundings.ts';
import type { Again, Target } from './argument.ts';
import { type Client, openClient } from './client.ts';
import { givenCredential } from './given.ts';
import type { NetworkOptions } from './options.ts';

/** One command line, read. */
export interface Task {
  readonly target: Target;
  readonly options: NetworkOptions;
  readonly again: Again;
  /** Whether the beginning of each body goes into the transcript. */
  readonly bodies: boolean;
  /** As of a `ClientSetting`. */
  readonly claims?: ClaimsReader;
  readonly store?: boolean;
}

/** Does `work` with a client that is made for the task, and closed when it is done. */
export async function withClient<T>(
  { target, options, again, ...recorded }: Task,
  surroundings: Surroundings,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const given = await givenCredential(options, surroundings, again.command);
  if (target.short !== null && options.quiet !== true) {
    surroundings.stderr.write(`reg: ${target.short} is short for ${target.shown}\n`);
  }
  const setting = { registry: target.url, options, given, surroundings, ...recorded };
  const client = await openClient(setting);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
