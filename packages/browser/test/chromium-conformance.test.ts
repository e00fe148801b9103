/** The conformance suite in a page: servers, log and assertions here, `fetch` of `@reg/browser` in Chromium. */

import { type CreateFetch, remoteFetch, runConformance } from '@reg/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';

/** What is open until the file ends. */
const endings: (() => Promise<void>)[] = [];
const until = (end: () => Promise<void>): void => void endings.push(end);
afterAll(() => Promise.all(endings.map((end) => end())));

const chromium = useChromium();

/** Connects to the one page that all cases share. */
async function connect(): Promise<CreateFetch> {
  const { page } = await chromium.open(await serveSite({ script: 'conformance.ts' }, until), { until });
  let hear: (text: string) => void = () => {};
  let end: (why: string) => void = () => {};
  await page.exposeFunction('toCases', (text: string) => hear(text));
  return remoteFetch({
    send(text) {
      page.evaluate((text) => globalThis.fromCases(text), text).catch((error: unknown) => end(String(error)));
    },
    listen(heard, ended) {
      hear = heard;
      end = ended;
    },
  });
}

let connected: Promise<CreateFetch> | null = null;
const createFetch: CreateFetch = async (options) => {
  connected ??= connect();
  return (await connected)(options);
};

const hidden =
  'a page sees neither status nor target of a redirect: it is followed by the platform or not at all';
const stream = 'Chromium sends a stream over HTTP/2 only, and the servers of the suite speak HTTP/1.1';

/** Cases that a page cannot pass, and why. One that passes after all fails. */
const exceptions: ReadonlyMap<string, string> = new Map([
  [
    'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
    'the platform drops Authorization alone: with other headers of the caller’s a redirect is refused',
  ],
  [
    'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
    hidden,
  ],
  [
    'redirects without end are refused: redirect-refused',
    'Chromium follows twenty, and then says of the request that it failed and no more',
  ],
  [
    'an upload that is sent to another origin is the caller’s 307; nothing goes there (requirement 140)',
    hidden,
  ],
  ['redirect "manual" hands the 3xx over', hidden],
  ['a stream on an unknown origin: the ping learns the challenge, the body is sent once (rule 8)', stream],
  ['a stream on a known origin costs no ping', stream],
  ['a 401 after a spent stream is the answer, and the caller’s own repeat works (rule 8)', stream],
]);

describe.skipIf(chromiumIsMissing)('in Chromium', () => {
  const names = new Set<string>();
  runConformance({
    createFetch,
    test(name, run) {
      names.add(name);
      const why = exceptions.get(name);
      if (why === undefined) test(name, run);
      else test(`not: ${name}: ${why}`, () => expect(run()).rejects.toThrow());
    },
  });

  test('every exception is a case', () => {
    expect([...names]).toEqual(expect.arrayContaining([...exceptions.keys()]));
  });
});
