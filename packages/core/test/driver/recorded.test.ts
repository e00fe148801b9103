/** What a transcript holds of an operation: bodies, only when asked for and never at the caller's cost; and times. */

import { describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../src/driver/index.ts';
import { fromJson, type Transcript, toJson, toText } from '../../src/transcript/index.ts';
import { isLeg as isSent } from '../../src/transcript/legs.ts';
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

describe('an address that a peer’s name stands for (design §5)', () => {
  const elsewhere = { realm: 'https://auth.test/token' };
  const redirected: WorldOptions = {
    scheme: 'none',
    onRegistry: (_, { url }) =>
      url.includes('cdn.test') ? null : { status: 307, headers: [['location', 'https://cdn.test/blob']] },
  };

  it.each<[string, WorldOptions, 'checked' | undefined, readonly string[]]>([
    ['nobody looked at it: a realm', elsewhere, undefined, ['https://auth.test/token']],
    ['nobody looked at it: a redirect’s target', redirected, undefined, ['https://cdn.test/blob']],
    ['the transport says it did', elsewhere, 'checked', []],
    ['the caller named all there is', {}, undefined, []],
  ])('%s', async (_, options, address, unchecked) => {
    const world = new World(options);
    const { clock } = world;
    const send: typeof world.send = async (out, signal) => {
      const reply = await world.send(out, signal);
      return address === undefined ? reply : { ...reply, address };
    };
    const authorizer = createAuthorizer({ send, now: clock.now, sleep: clock.sleep });
    const request = { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' } as const;
    const transcript = (await clock.run(authorizer.request(request))).transcript();
    const told = transcript.steps.flatMap((step) =>
      isSent(step) && 'address' in step.answer ? [step.effect.url.split('?')[0]] : [],
    );
    expect(told).toEqual(unchecked);
    expect(fromJson(toJson(transcript))).toEqual(transcript);
    expect(toText(transcript).includes('an address that nobody checked')).toBe(unchecked.length > 0);
  });
});

describe('where the time of a request went', () => {
  const timing = { lookupMs: 1.5, connectMs: 2, tlsMs: null, waitMs: 20 };

  it('is in the transcript as the transport measured it, for registry and token server', async () => {
    const world = new World();
    const { clock } = world;
    const send: typeof world.send = async (out, signal) => ({ ...(await world.send(out, signal)), timing });
    const authorizer = createAuthorizer({ send, now: clock.now, sleep: clock.sleep });
    const request = { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' } as const;
    const transcript = (await clock.run(authorizer.request(request))).transcript();
    const told = transcript.steps.flatMap((step) =>
      isSent(step) && step.answer.type !== 'no-response' ? [[step.effect.to, step.answer.timing]] : [],
    );
    expect(told).toEqual([
      ['registry', timing],
      ['authority', timing],
      ['registry', timing],
    ]);
    expect(fromJson(toJson(transcript))).toEqual(transcript);
  });

  it('is not there when it did not', async () => {
    const { transcript } = await transcriptOf(false);
    expect(toJson(transcript)).not.toContain('timing');
  });
});
