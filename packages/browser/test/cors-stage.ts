/** Diagnoses made in a page, for the tests of `diagnoseCors`. */

import type { CorsDiagnosis } from '@reg/browser';
import type { Opened } from './chromium.ts';

export interface Pair {
  readonly registry: string;
  readonly realm: string;
}

/** What the page is told about the registry at `url`. */
export function diagnose(
  { page }: Opened,
  url: string,
  pairs: readonly Pair[] = [],
  deadlineMs = 20_000,
): Promise<CorsDiagnosis> {
  return page.evaluate(
    ([url, pairs, deadlineMs]) =>
      globalThis.reg.diagnoseCors(url, { policy: { realms: { pairs }, deadlineMs } }),
    [url, pairs, deadlineMs] as const,
  );
}

/** The gist of a diagnosis. */
export const gist = ({ verdict, server, header }: CorsDiagnosis) => [verdict, server, header] as const;
