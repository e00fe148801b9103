/**
 * What the command makes of a registry's answer: nothing to say, or a complaint.
 *
 * Rules of this file: decisions only. The core says in English why a handshake failed; of the other answers the status
 * and the registry's own words are told as they are.
 */

import { STATUS_CODES } from 'node:http';
import { describe, type Failure, type Head, isRegistryAuthError, type Problem } from '@reg/core';
import type { Delivered } from '@reg/core/driver';
import type { Transcript } from '@reg/core/transcript';
import { Complaint } from '../report/complaint.ts';
import { codeOfFailure, codeOfStatus, exitCode } from '../report/exit-code.ts';
import { bareUrl } from '../report/url.ts';
import { SendError } from '../transport/send-error.ts';
import type { Again } from './argument.ts';
import { hintFor, onward } from './hint.ts';

/** The complaint about a web page where a registry was asked, or `null` where it is none. */
export function complaintAboutPage(
  { head, url }: Pick<Delivered<unknown>, 'head' | 'url'>,
  again: Again,
): Complaint | null {
  // A 401 may well have a page in its body: what asks for a login is its head.
  if (codeOfStatus(head.status) !== exitCode.ok || !isWebPage(head)) return null;
  const message = `${bareUrl(url)} answered ${head.status} with a web page: this is no registry`;
  return new Complaint(exitCode.protocol, message, { code: 'not-a-registry', hint: onward(again) });
}

/** Whether an answer is a web page, and no registry's (distribution API "API Version Check": a registry says that it is one). */
export function isWebPage({ headers }: Pick<Head, 'headers'>): boolean {
  return (
    headers.some(([name, value]) => name === 'content-type' && /^\s*text\/html\b/i.test(value)) &&
    !headers.some(([name]) => name === 'docker-distribution-api-version')
  );
}

/** What is wrong with an answer, or `null` when it is the one that was asked for. */
export function complaintAbout(
  delivered: Pick<Delivered<unknown>, 'head' | 'failure' | 'url' | 'transcript'>,
  again: Again,
): Complaint | null {
  const { head, failure, url } = delivered;
  if (failure !== null) return complaintOf(failure, again);
  const code = codeOfStatus(head.status);
  if (code === exitCode.ok) return null;
  const reason = STATUS_CODES[head.status] ?? '';
  return new Complaint(code, `${bareUrl(url)} answered ${head.status} ${reason}`.trimEnd(), {
    problems: problemsOf(delivered.transcript()),
    hint: onward(again),
  });
}

/** The complaint that `error` stands for; what is none of this command's is given back as it came. */
export function complaintFrom(error: unknown, again: Again): unknown {
  if (isRegistryAuthError(error)) return complaintOf(error.failure, again);
  if (error instanceof SendError) {
    const message = `the answer broke off: ${error.message} (${error.code})`;
    return new Complaint(exitCode.unreachable, message, { hint: again.command });
  }
  return error;
}

/** What a failed handshake, or a request without an answer, is told as. */
export function complaintOf(failure: Failure, again: Again): Complaint {
  return new Complaint(codeOfFailure(failure), describe(failure, { policy: false }), {
    code: failure.kind,
    hint: hintFor(failure, again),
    quoted: quotedIn(failure),
  });
}

/** The problems of a challenge are its own, and not of a server's making. */
function quotedIn(failure: Failure): readonly Problem[] {
  return 'problems' in failure && failure.kind !== 'challenge-unusable' ? failure.problems : [];
}

/** What the registry's last answer says. */
function problemsOf({ steps }: Transcript): readonly Problem[] {
  for (const step of steps.toReversed()) {
    if ('answer' in step && step.answer.type === 'response') return step.answer.problems;
  }
  return [];
}
