/** What a transcript holds of an operation: bodies, only when asked for and never at the caller's cost; and times. */

import { describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../src/driver/index.ts';
import type { Transcript } from '../../src/transcript/transcript.ts';
import { World, type WorldOptions } from './world.ts';

async function transcriptOf(
  bodies: boolean,
  options: WorldOptions = {},
): Promise<{ raw: string; transcript: Transcript }> {
  const world = new World(options);
  const { send, clock } = world;
  const authorizer = createAuthorizer({ send, now: clock.now, sleep: clock.sleep, transcript: { bodies } });
  const request = { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' } as const;
  const delivered = await clock.run(authorizer.request(request));
  return { raw: delivered.raw, transcript: delivered.transcript() };
}

/** Body and problems of each registry answer. */
function answers({ steps }: Transcript) {
  return steps.flatMap((step) =>
    'answer' in step && step.answer.type === 'response' ? [[step.answer.body, step.answer.problems]] : [],
  );
}

const problem = { code: 'UNAUTHORIZED', message: 'authentication required' };

describe('bodies in a transcript', () => {
  it('are those of errors and of the last answer, which the caller still gets', async () => {
    const { raw, transcript } = await transcriptOf(true);
    expect(answers(transcript)).toEqual([
      [expect.stringContaining('UNAUTHORIZED'), [problem]],
      ['{"tags":[]}', []],
    ]);
    expect(raw).toBe('{"tags":[]}');
  });

  it('are not there unless asked for; what an error says is', async () => {
    const { transcript } = await transcriptOf(false);
    expect(answers(transcript)).toEqual([
      [null, [problem]],
      [null, []],
    ]);
  });
});

it('every request in a transcript has taken its time, the first one too', async () => {
  const { transcript } = await transcriptOf(false, { latencyMs: 20 });
  const taken = transcript.steps.flatMap((step) =>
    'effect' in step && step.effect.type === 'send' ? [step.answer.at - step.at] : [],
  );
  expect(taken).toEqual([20, 20, 20]);
});
