/** Bodies in a transcript: only when asked for, and never at the caller's cost. */

import { describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../src/driver/index.ts';
import type { Transcript } from '../../src/transcript/transcript.ts';
import { World } from './world.ts';

async function transcriptOf(bodies: boolean): Promise<{ raw: string; transcript: Transcript }> {
  const world = new World();
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
