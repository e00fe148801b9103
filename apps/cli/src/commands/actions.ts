/**
 * What each command does once its arguments are parsed: decide, render, write.
 *
 * Rules of this file: it joins parts and writes. What is decided and how it is rendered is in the file of each command.
 * stdout gets data, stderr gets talk; what ends a command is thrown, and said by `report`.
 */

import { type Again, againFor, type Target, tagsTarget, traceTarget } from '../registry/argument.ts';
import { type Client, openClient } from '../registry/client.ts';
import { givenCredential, type NetworkOptions, readOrigin } from '../registry/options.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { renderTags, tagPages } from './tags.ts';
import { renderTrace, trace as traceOf } from './trace.ts';
import type { TraceFormat } from './trace-format.ts';

/** `reg tags` */
export async function tags(
  repository: string,
  options: NetworkOptions,
  surroundings: Surroundings,
): Promise<void> {
  const target = tagsTarget(repository, options);
  const again = againFor('tags', target, options);
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    for await (const page of tagPages(client, target.url, again)) surroundings.stdout.write(renderTags(page));
  });
}

/** `reg trace` */
export async function trace(
  about: string,
  options: NetworkOptions & { readonly output: TraceFormat },
  surroundings: Surroundings,
): Promise<void> {
  const { stdout, env } = surroundings;
  const target = traceTarget(about, options);
  const again = againFor('trace', target, options);
  await withClient({ target, options, again, bodies: true }, surroundings, async (client) => {
    const { transcript, complaint } = await traceOf(client, target.url, again);
    stdout.write(
      renderTrace(transcript, options.output, { paint: paintFor(stdout, env), width: widthOf(stdout) }),
    );
    if (complaint === null) return;
    // Where both are one screen, what was said and what it means are told apart.
    if (stdout.isTTY === true) stdout.write('\n');
    throw complaint;
  });
}

/** One command line, read. */
interface Task {
  readonly target: Target;
  readonly options: NetworkOptions;
  readonly again: Again;
  /** Whether the beginning of each body goes into the transcript. */
  readonly bodies: boolean;
}

/** Does `work` with a client that is made for the task, and closed when it is done. */
async function withClient(
  { target, options, again, bodies }: Task,
  surroundings: Surroundings,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const trustRealm = (options.trustRealm ?? []).map(readOrigin);
  const given = await givenCredential(options, surroundings, again.command);
  if (target.short !== null) surroundings.stderr.write(`reg: ${target.short} is short for ${target.shown}\n`);
  const setting = { registry: target.url, options: { ...options, trustRealm }, given, surroundings, bodies };
  const client = await openClient(setting);
  try {
    await work(client);
  } finally {
    client.close();
  }
}
