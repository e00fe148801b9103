/**
 * Checks of what the credential is good for: clocks, scopes, the repository, limits, uploads.
 *
 * Rules of this file: pure decisions over facts. That something does not exist and that one may not see it are the same answer
 * (Q46), so that both are said.
 */

import { coversScopes, formatScopes, missingScopes, parseChallenges, parseScopes } from '@reg/core';
import { secondsToWait } from '../../registry/hint.ts';
import { duration } from '../../report/duration.ts';
import { quote } from '../../report/shell.ts';
import type { About } from '../about.ts';
import { type CauseId, type Decision, type Fault, type Fix, ok, run, skipped, unknown } from '../finding.ts';
import type { Answered, TokenFacts, UploadFacts } from '../gather/requests.ts';
import { access, bare, problemOf, said, waiting } from './failure.ts';
import { isAbout } from './handshake.ts';

/** How far a server's clock is ahead of this machine's, negative for behind. */
export interface Skew {
  readonly who: 'the registry' | 'the token server';
  readonly ms: number;
  /** What told it. */
  readonly by: string;
}

/** What docker-registry forgives when it checks `nbf` and `exp`. */
const FORGIVEN_MS = 60_000;

/** Dates and tokens leave out what a second has begun: half of one, on average. */
const HALF_A_SECOND_MS = 500;

/** Clocks that differ, by the `Date` of every answer and the times in a token. */
export function skewsIn(answered: readonly Answered[], token: TokenFacts | null): readonly Skew[] {
  const skews: Skew[] = [];
  const note = (
    who: Skew['who'],
    headers: Answered['responses'][number]['head']['headers'],
    at: number,
  ): void => {
    const date = Date.parse(headers.find(([name]) => name === 'date')?.[1] ?? '');
    if (Number.isFinite(date)) skews.push({ who, ms: date + HALF_A_SECOND_MS - at, by: 'Date' });
  };
  for (const { responses, tokens } of answered) {
    for (const { head, at } of responses) note('the registry', head.headers, at);
    for (const { answer } of tokens)
      note('the token server', answer.head.headers, (answer.sentAt + answer.at) / 2);
  }
  const sentAt = answered.flatMap(({ tokens }) => tokens).at(-1)?.answer.sentAt ?? null;
  const claims = token?.claims ?? null;
  if (claims === null || sentAt === null) return skews;
  const { issuedAt, notBefore, expiresAt } = claims;
  const begins = Math.max(issuedAt ?? -Infinity, notBefore ?? -Infinity) + HALF_A_SECOND_MS;
  if (begins > sentAt + FORGIVEN_MS) {
    return [...skews, { who: 'the token server', ms: begins - sentAt, by: 'the token' }];
  }
  // A token that is made on demand ends a life after now, by the clock of whoever made it.
  if (expiresAt !== null && token?.expiresAt != null && issuedAt !== null) {
    const isNew = Math.abs(expiresAt - issuedAt - (token.expiresAt - sentAt)) <= 5_000;
    if (isNew) skews.push({ who: 'the token server', ms: expiresAt - token.expiresAt, by: 'the token' });
  }
  return skews;
}

/** `clock.skew` */
export function decideClock(skews: readonly Skew[], answered: readonly Answered[]): Decision {
  if (skews.length === 0) return skipped('no answer says what time it is');
  const worst = skews.reduce((a, b) => (Math.abs(b.ms) > Math.abs(a.ms) ? b : a));
  const evidence = [...new Set(skews.map(({ who, ms, by }) => `${who}, by ${by}: ${sideOf(ms)}`))];
  if (Math.abs(worst.ms) <= FORGIVEN_MS)
    return ok(`within ${duration(Math.max(1_000, Math.abs(worst.ms)))} of this machine`, ...evidence);
  const all = (who: Skew['who']): readonly number[] =>
    skews.filter((skew) => skew.who === who).map(({ ms }) => ms);
  const between = Math.max(...all('the token server')) - Math.min(...all('the registry'));
  const apart = Math.min(...all('the token server')) - Math.max(...all('the registry'));
  const differ = Math.max(Math.abs(between), Math.abs(apart));
  const refused = answered.some(
    ({ failure }) => isAbout(failure, 'denied') && failure.reason === 'token-refused',
  );
  const summary = `${worst.who} is ${duration(Math.abs(worst.ms))} ${worst.ms > 0 ? 'ahead of' : 'behind'} this machine`;
  const what = 'tokens say from when to when they are good, and a minute is forgiven';
  if (refused && differ > FORGIVEN_MS) {
    return {
      status: 'problem',
      summary: `${summary}, the other server is not, and tokens are refused`,
      evidence: [...evidence, what],
      cause: 'clock-skew',
      fix: clocks(worst.who),
    };
  }
  return {
    status: 'warning',
    summary: `${summary}: expect some 401`,
    evidence: [...evidence, what],
    cause: 'clock-skew',
    fix: clocks('whichever is off'),
  };
}

function clocks(who: string): Fix {
  return run(
    'timedatectl status   # "System clock synchronized" must be yes',
    `set the clock of ${who} by NTP (timedatectl set-ntp true, or chronyc makestep). On each machine this says whether it is`,
  );
}

function sideOf(ms: number): string {
  return Math.abs(ms) < 1_500 ? 'in step' : `${duration(Math.abs(ms))} ${ms < 0 ? 'behind' : 'ahead'}`;
}

/** What the request for the repository came to. */
export interface Pull {
  /** Whether it can be read. */
  readonly may: boolean;
  /** Whether a credential was used. */
  readonly identified: boolean;
}

/** `scope.grant` */
export function decideGrant(token: TokenFacts | null, pull: Pull, about: About): Decision {
  if (token === null) return skipped('no token was asked for');
  const { asked, granted, failure } = token;
  if (isAbout(failure, 'rate-limited')) return unknown('it asks to wait');
  if (isAbout(failure, 'token-refused') && (failure.status === 401 || failure.status === 403)) {
    const summary = `asked ${asked}: refused with ${failure.status}`;
    const evidence = said(failure.problems);
    // Some servers grant all or nothing.
    return pull.may && about.push
      ? { status: 'problem', summary, evidence, cause: 'token-lacks-push', fix: pushRight(about) }
      : {
          status: 'warning',
          summary,
          evidence,
          cause: 'repository-missing-or-denied',
          fix: access(about, failure.anonymous),
        };
  }
  if (failure !== null) return problemOf(failure, about);
  if (granted === null) return ok(`asked ${asked}; the server does not say what it granted`);
  const wanted = parseScopes(asked);
  const held = parseScopes(granted);
  const summary = `asked ${asked}, got ${actionsIn(granted)}`;
  if (coversScopes(held, wanted)) return ok(`asked ${asked}, got all of it`, `granted: ${granted}`);
  const missing = missingScopes(held, wanted);
  const lacksPush = about.push && missing.some((scope) => formatScopes([scope]).includes('push'));
  const reading = parseScopes(asked.replace(/:[^:]*$/, ':pull'));
  if (lacksPush && coversScopes(held, reading)) {
    return {
      status: 'problem',
      summary,
      evidence: [`granted: ${granted}`],
      cause: 'token-lacks-push',
      fix: pushRight(about),
    };
  }
  return {
    status: 'warning',
    summary,
    evidence: [`granted: ${granted === '' ? 'nothing' : granted}`],
    cause: 'repository-missing-or-denied',
    fix: access(about, !pull.identified),
  };
}

/** Of one repository the actions alone. */
function actionsIn(granted: string): string {
  if (granted === '') return 'nothing';
  return granted.includes(' ') ? granted : granted.slice(granted.lastIndexOf(':') + 1);
}

export function pushRight({ name, repository, commands }: About): Fix {
  return run(
    commands.login,
    `have the owner of ${name}/${repository} grant your account "push", or sign in with one that has it (a token needs the scope of writing too)`,
  );
}

/** `repository.access` */
export function decideAccess(
  {
    pull,
    ping,
    clockIsOff,
    canPush,
  }: {
    readonly pull: Answered | null;
    readonly ping: Answered;
    /** Whether clocks that differ are why tokens are refused. */
    readonly clockIsOff: boolean;
    readonly canPush: boolean;
  },
  about: About,
): Decision {
  const asked = pull ?? ping;
  const { failure, head, problems } = asked;
  const what = bare(asked.url);
  if (clockIsOff && isAbout(failure, 'denied') && failure.reason === 'token-refused') {
    return unknown('it needs clock.skew');
  }
  if (isAbout(failure, 'rate-limited') || head?.status === 429) return unknown('it asks to wait');
  if (failure !== null) {
    const decision = problemOf(failure, about);
    const error = isAbout(failure, 'denied') && failure.reason === 'token-refused' ? errorIn(asked) : null;
    if (error === 'invalid_token') return notAccepted(decision, error, about);
    const isAll = pull === null && isAbout(failure, 'denied') && failure.anonymous;
    return isAll
      ? { ...decision, cause: 'no-credential', fix: run(about.commands.login, 'sign in') }
      : decision;
  }
  if (head === null) return unknown('no answer');
  const { status } = head;
  const evidence = [`GET ${what} answered ${status}`, ...said(problems)];
  const type = head.headers.find(([name]) => name === 'content-type')?.[1] ?? '';
  if (status === 200 && pull !== null && type.toLowerCase().startsWith('text/html')) {
    return {
      status: 'problem',
      summary: 'answered 200 with a web page, and not as a registry does',
      evidence: [...evidence, `Content-Type: ${type}`],
      cause: 'not-a-registry',
      fix: run(
        about.commands.trace,
        `let all that begins with /v2/ get to the registry: what stands before ${about.name} answers this by a page of its own`,
      ),
    };
  }
  // Tags are for people: who pulls names one.
  if (status === 405 && what.endsWith('/tags/list')) {
    return skipped(`the registry lists no tags (405): look at an image, as in ${about.shown}:TAG`);
  }
  if (status >= 200 && status < 300)
    return ok(`${pull === null ? 'GET /v2/' : `${about.repository}`}: ${status}`, ...evidence);
  if (status === 404 && pull !== null) {
    if (about.push && canPush)
      return ok(`${about.repository} does not exist yet: a push makes it`, ...evidence);
    const isImage = problems.some(({ code }) => code === 'MANIFEST_UNKNOWN');
    if (isImage) {
      return {
        status: 'problem',
        summary: `404: the repository does not have ${about.image ?? 'it'}`,
        evidence,
        cause: 'image-missing',
        fix: run(`reg tags ${quote(`${about.name}/${about.repository}`)}`, 'see which tags there are'),
      };
    }
    return {
      status: 'problem',
      summary: '404: does not exist, or access is denied',
      evidence,
      cause: 'repository-missing-or-denied',
      fix: access(about, !asked.identified),
    };
  }
  if (status === 401 || status === 403) {
    return {
      status: 'problem',
      summary: `${status}: does not exist, or access is denied`,
      evidence,
      cause: 'repository-missing-or-denied',
      fix: access(about, !asked.identified),
    };
  }
  return {
    status: 'problem',
    summary: `answered ${status}`,
    evidence,
    cause: 'registry-error',
    fix: run(about.commands.trace, 'see the whole answer, and show it to the operator of the registry'),
  };
}

/** What the challenge of the last 401 has against the token that came with the request (RFC 6750 §3). */
function errorIn({ responses }: Answered): string | null {
  const last = responses.at(-1)?.head;
  if (last?.status !== 401) return null;
  const values = last.headers.filter(([name]) => name === 'www-authenticate').map(([, value]) => value);
  const { challenges } = parseChallenges(values.join(', '));
  return challenges.find(({ scheme }) => scheme === 'bearer')?.params['error'] ?? null;
}

/** A token that was just issued and is invalid at once: that is between the two servers. */
function notAccepted(decision: Fault, error: string, { name, commands }: About): Fault {
  return {
    status: 'problem',
    summary: '401: the registry does not accept what its token server issues',
    evidence: [`error: ${error}`, ...(decision.evidence ?? [])],
    cause: 'token-not-accepted',
    fix: {
      text: `have the operator of ${name} let it and its token server agree: on the key (auth.token.rootcertbundle or jwks), on issuer and on service (auth.token.issuer, .service), and on the time; its log says which`,
      command: `${commands.trace} -o json > trace.json`,
      line: null,
    },
  };
}

/** `rate.limit` */
export function decideLimit(answered: readonly Answered[], about: About): Decision {
  const headersOf = ({ responses }: Answered): readonly (readonly [string, string])[] =>
    responses.flatMap(({ head }) => head.headers).filter(([name]) => name.startsWith('ratelimit-'));
  const limits = [...new Map(answered.flatMap(headersOf)).entries()].map(
    ([name, value]) => `${name}: ${value}`,
  );
  for (const one of answered) {
    if (isAbout(one.failure, 'rate-limited')) {
      const decision = problemOf(one.failure, about);
      return { ...decision, summary: `the token server answers 429${wordsOf(one.failure.retryAfterMs)}` };
    }
    const limited = one.responses.find(({ head }) => head.status === 429);
    if (limited === undefined) continue;
    const wait = limited.head.headers.find(([name]) => name === 'retry-after')?.[1] ?? null;
    const ms = retryAfter(wait, limited.at);
    return {
      status: 'problem',
      summary: `429${wordsOf(ms)}`,
      evidence: [
        `GET ${bare(one.url)} answered 429`,
        ...(wait === null ? [] : [`Retry-After: ${wait}`]),
        ...limits,
        ...said(limited.problems),
      ],
      cause: 'rate-limited',
      fix: waiting(ms, !one.identified, about),
    };
  }
  return limits.length === 0 ? ok('no limit is told') : ok(limits.join(', '));
}

function wordsOf(ms: number | null): string {
  const seconds = secondsToWait(ms);
  return seconds === null ? ': too many requests' : `: too many requests, wait ${seconds} s`;
}

/** RFC 9110 §10.2.3: seconds, or a date, which may be long past. */
function retryAfter(value: string | null, at: number): number | null {
  if (value === null) return null;
  const seconds = /^\d{1,8}$/.test(value.trim()) ? Number(value) : (Date.parse(value) - at) / 1_000;
  return Number.isFinite(seconds) ? seconds * 1_000 : null;
}

function refusedUpload(begun: Answered, evidence: readonly string[], about: About): Fault {
  const { head } = begun;
  const status = head?.status ?? 0;
  const header = (name: string): string | null =>
    head?.headers.find(([field]) => field === name)?.[1] ?? null;
  const problem = (summary: string, cause: CauseId, fix: Fix): Fault => ({
    status: 'problem',
    summary,
    evidence,
    cause,
    fix,
  });
  const traced = (text: string): Fix => run(about.commands.tracePush, text);
  if (status === 429) {
    const ms = retryAfter(header('retry-after'), begun.responses.at(-1)?.at ?? 0);
    return problem(`429${wordsOf(ms)}`, 'rate-limited', waiting(ms, !begun.identified, about));
  }
  if (status >= 500) {
    const text = 'the registry, or the storage behind it, is at fault: its operator finds why in its log';
    return problem(`an upload cannot be begun: ${status}`, 'registry-error', traced(text));
  }
  if (status === 404) {
    const text = `some registries want ${about.repository} to be created before it is pushed to, others hide it like this: create it there, or check how it is spelled`;
    return problem('404: nothing can be uploaded there', 'repository-missing-or-denied', traced(text));
  }
  if (status === 202) {
    const where = header('location');
    const summary = `an upload is begun, and ${where === null ? 'no Location says where' : 'its Location cannot be read'}`;
    const text = 'the registry, or the proxy before it, must say by Location where an upload goes on';
    return problem(summary, 'upload-location-missing', traced(text));
  }
  return problem(
    `an upload cannot be begun: ${status === 0 ? 'no answer' : status}`,
    'upload-refused',
    traced('the registry may be read-only, or a mirror: ask its operator where to push'),
  );
}

/** `upload.location` */
export function decideUpload({ begun, location, ended }: UploadFacts, about: About): Decision {
  const { failure, head, problems } = begun;
  const evidence = [`POST ${bare(begun.url)} answered ${head?.status ?? 'nothing'}`, ...said(problems)];
  if (isAbout(failure, 'denied') || head?.status === 401 || head?.status === 403) {
    return {
      status: 'problem',
      summary: `${head?.status ?? ''}: an upload is not allowed`.trim(),
      evidence,
      cause: 'token-lacks-push',
      fix: pushRight(about),
    };
  }
  if (failure !== null) return problemOf(failure, about);
  if (location === null) return refusedUpload(begun, evidence, about);
  const target = new URL(location);
  if (target.protocol === 'http:' && about.registry.protocol === 'https:') {
    return {
      status: 'problem',
      summary: `uploads go on at ${target.origin}: plain http behind an https registry`,
      evidence: [...evidence, `Location: ${bare(location)}`],
      cause: 'upload-location-downgraded',
      fix: {
        text: 'the proxy that ends TLS must tell the registry so: nginx by this line, others by the header X-Forwarded-Proto: https. docker-registry alone by http.host in its config.yml',
        command: null,
        line: 'proxy_set_header X-Forwarded-Proto $scheme;',
      },
    };
  }
  // To take it back some want the right to delete. It is empty, and registries forget what is not finished.
  const end = ended ? 'begun and taken back' : 'begun, and left to be forgotten';
  return ok(`goes on at ${target.origin}; ${end}`, ...evidence);
}
