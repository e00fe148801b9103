/**
 * Plays recorded answers through the driver, and tells every transcript.
 *
 * Rules of this file: nothing of the runtime is asked. The wire, the clock and every wait are the script's, in one order, so what
 * comes out is the machines' own doing and the same text everywhere. The one thing random in a transcript, the jitter of a
 * retry, is left out by `retry: { capMs: 0 }` where a scene has one.
 */

import type { createAuthorizer, Reply, staticKeychain } from '../../packages/core/src/driver/index.ts';
import type { defaultPolicy, isRegistryAuthError } from '../../packages/core/src/index.ts';
import type { Transcript, toJson } from '../../packages/core/src/transcript/index.ts';
import { type Answer, type Scene, script } from './script.ts';

/** What is tried, handed in: from the sources in a test, as it is built in a runtime. */
export interface Core {
  readonly createAuthorizer: typeof createAuthorizer;
  readonly defaultPolicy: typeof defaultPolicy;
  readonly isRegistryAuthError: typeof isRegistryAuthError;
  readonly staticKeychain: typeof staticKeychain;
  readonly toJson: typeof toJson;
}

/** JSON: for each request of each scene its outcome and its transcript, as `toJson` wrote it. */
export async function play(core: Core): Promise<string> {
  const told: string[] = [];
  for (const scene of script) told.push(...(await playScene(core, scene)));
  return `[\n${told.join(',\n')}\n]\n`;
}

async function playScene(core: Core, { scene, requests, answers, ...set }: Scene): Promise<string[]> {
  const left = [...answers];
  let now = 1_700_000_000_000;
  let silent = () => {};
  let asked = answers.length;

  const authorizer = core.createAuthorizer<null>({
    keychain: core.staticKeychain(set.credentials ?? {}),
    policy: set.policy ?? {},
    now: () => now,
    // A wait is over at once, and takes its time; the deadline is over when a server is silent.
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const end = () => {
          if (!signal.aborted) now += ms;
          resolve();
        };
        if (ms < core.defaultPolicy.deadlineMs) return end();
        silent = end;
        signal.addEventListener('abort', resolve);
      }),
    send: async () => {
      now += 7;
      const answer = left.shift();
      if (answer === undefined) {
        asked += 1;
        throw new Error('no answer is left');
      }
      if ('fault' in answer) throw Object.assign(new Error(answer.fault.message), answer.fault);
      if ('status' in answer) return replyOf(answer);
      silent();
      return new Promise(() => {});
    },
  });

  const told: string[] = [];
  for (const { method, url, headers = [], body = 'none', laterMs = 0 } of requests) {
    now += laterMs;
    const { outcome, transcript } = await authorizer.request({ method, url, headers, body }).then(
      ({ head, redirected, transcript }) => ({
        outcome: { status: head.status, redirected },
        transcript: transcript(),
      }),
      (error: unknown) => failed(core, error),
    );
    const about = JSON.stringify({ scene, outcome }).slice(0, -1);
    told.push(`${about},"transcript":${core.toJson(transcript)}}`);
  }
  const used = asked - left.length;
  if (used !== answers.length) {
    throw new TypeError(`'${scene}' has ${answers.length} answers, and ${used} were asked for`);
  }
  authorizer.close();
  return told;
}

function failed({ isRegistryAuthError }: Core, error: unknown) {
  if (!isRegistryAuthError(error) || error.transcript === null) throw error;
  const { code, message, transcript } = error;
  return { outcome: { code, message }, transcript } satisfies { outcome: object; transcript: Transcript };
}

function replyOf(answer: Extract<Answer, { status: number }>): Reply<null> {
  const { status, headers = [], body = '', filtered } = answer;
  const fields = headers.map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  return {
    head: { status, headers: fields, ...(filtered === undefined ? {} : { filtered }) },
    raw: null,
    text: async (limit) => (new TextEncoder().encode(body).length > limit ? null : body),
    peek: async (limit) => body.slice(0, limit),
    discard: async () => {},
  };
}
