/**
 * Cases that a runtime cannot pass, with the reason.
 *
 * Rules of this file: an exception holds for the case it names and is held to it: one that passes after all fails the run, and so
 * does one that no case has the name of. What we could mend is mended, not listed.
 */

import type { Package } from './start.ts';

export interface Exception {
  /** The name of the runtime, without its version. */
  readonly runtime: string;
  readonly package: Package;
  readonly case: string;
  readonly why: string;
}

const copied =
  'workerd rejects with a copy of the reason that a signal was aborted with, the same text in another Error; until the head is there ' +
  'the driver puts the reason itself in its place, and the body is the platform’s own';
const followed = 'A page does not see where a redirect leads: its browser follows it, or nobody does';
const carried =
  'A browser that follows a redirect to another origin drops `Authorization` alone, so with other headers of the caller’s none is followed';
const endless = 'Chromium follows twenty redirects, and then says that the request failed and no more';
const streamed = 'Chromium sends a stream over HTTP/2 only, and the servers of the suite speak HTTP/1.1';

const everywhere = ['@reg/core', '@reg/browser'] as const;

export const exceptions: readonly Exception[] = [
  ...(
    [
      ['workerd', 'an abort in the middle of a body ends the body', copied],
      [
        'Chromium',
        'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
        carried,
      ],
      [
        'Chromium',
        'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
        followed,
      ],
      ['Chromium', 'redirects without end are refused: redirect-refused', endless],
      [
        'Chromium',
        'an upload that is sent to another origin is the caller’s 307; nothing goes there (requirement 140)',
        followed,
      ],
      ['Chromium', 'redirect "manual" hands the 3xx over', followed],
      [
        'Chromium',
        'a stream on an unknown origin: the ping learns the challenge, the body is sent once (rule 8)',
        streamed,
      ],
      ['Chromium', 'a stream on a known origin costs no ping', streamed],
      [
        'Chromium',
        'a 401 after a spent stream is the answer, and the caller’s own repeat works (rule 8)',
        streamed,
      ],
    ] as const
  ).flatMap(([runtime, name, why]) =>
    everywhere.map((one): Exception => ({ runtime, package: one, case: name, why })),
  ),
];
