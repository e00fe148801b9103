/**
 * `reg blob`: a blob, as it is stored.
 *
 * Rules of this file: the bytes are those that the digest names. A file is there when they were verified, or not at all; on
 * stdout they go out as they come, and what turns out to be something else ends in an error.
 */

import { chunksOf, goodAnswer, lengthOf } from '../reading/answer.ts';
import { digestNamed, verified } from '../reading/digest.ts';
import { againFor, referenceTarget } from '../registry/argument.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import { usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import { progressFor, type Running } from '../terminal/progress.ts';
import { writeFileWhole } from '../writing/file.ts';
import { show } from '../writing/show.ts';
import { write } from '../writing/write.ts';

export interface BlobOptions extends NetworkOptions {
  /** A file; `-` is stdout, whatever it is. Without it stdout, but no terminal is sent what is no text. */
  readonly out?: string;
}

/** `reg blob` */
export async function blob(
  reference: string,
  options: BlobOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = referenceTarget(reference, 'blob', options);
  const digest = digestNamed(target.reference.digest ?? '');
  const { out } = options;
  if (out === '') throw usage('--out names no file');
  const again = againFor('blob', target, options, out === undefined ? [] : ['--out', out]);
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    const answer = await goodAnswer(client, { method: 'GET', url: target.url, stored: true }, again);
    // Where the blob itself is on the screen there is something to see.
    const seen = surroundings.stdout.isTTY === true && (out ?? '-') === '-';
    const running = seen
      ? null
      : progressFor(surroundings, options).start(digest.text.slice(0, 19), lengthOf(answer) ?? undefined);
    const chunks = verified(counted(chunksOf(answer, again), running), digest, again);
    try {
      if (out === undefined) await show(chunks, `${again.command} --out FILE`, surroundings);
      else if (out === '-') for await (const chunk of chunks) await write(chunk, surroundings);
      else await writeFileWhole(out, chunks);
    } finally {
      running?.end();
    }
  });
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  running: Running | null,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    running?.advance(chunk.length);
    yield chunk;
  }
}
