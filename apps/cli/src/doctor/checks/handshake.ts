/**
 * Checks of the handshake: what the registry asks for, where it sends its users, and whether that takes the credential.
 *
 * Rules of this file: pure decisions over facts; a failure of the handshake is a problem of one check, the one whose business it
 * is.
 */

import { defaultPolicy, type Failure, judgeRealm, type ParsedChallenges, parseChallenges } from '@reg/core';
import { isWebPage } from '../../registry/answer.ts';
import { quote } from '../../report/shell.ts';
import type { About } from '../about.ts';
import { type Decision, type Fault, ok, run, skipped, unknown } from '../finding.ts';
import type { CredentialFacts } from '../gather/credentials.ts';
import type { RouteFacts, TlsFacts } from '../gather/network.ts';
import type { Answered } from '../gather/requests.ts';
import { bare, problemOf, said } from './failure.ts';
import { connectionFault, pastProxy } from './network.ts';

/** `v2.ping` */
export function decidePing(ping: Answered, route: RouteFacts, about: About): Decision {
  if (isAbout(ping.failure, 'redirect-refused')) return problemOf(ping.failure, about);
  // Some registries are at another place than their name: what answers there counts.
  const first = ping.responses.find(({ head }) => !isRedirect(head.status)) ?? ping.responses[0];
  if (first === undefined)
    return ping.failure === null ? unknown('no answer') : problemOf(ping.failure, about);
  const { status } = first.head;
  const header = (name: string): string | null =>
    first.head.headers.find(([field]) => field === name)?.[1] ?? null;
  const version = header('docker-distribution-api-version');
  const type = header('content-type') ?? '';
  const via = header('via');
  const location = header('location');
  const evidence = [
    `GET ${bare(ping.url)} answered ${status}`,
    `Docker-Distribution-Api-Version: ${version ?? '(absent)'}`,
    ...(type === '' ? [] : [`Content-Type: ${type}`]),
    ...(via === null ? [] : [`Via: ${via}`]),
    ...(location === null ? [] : [`Location: ${bare(location)}`]),
    ...said(first.problems),
  ];
  const isPage = isWebPage(first.head);
  const isProxys = status === 407 || header('proxy-authenticate') !== null;
  if (isProxys || (isPage && (via !== null || route.kind === 'proxy'))) {
    return {
      status: 'problem',
      summary:
        status === 407
          ? 'a proxy answers in its place, and wants to know who asks (407)'
          : `a proxy answers in its place (${status})`,
      evidence,
      cause: 'proxy-in-the-way',
      fix:
        route.kind === 'proxy'
          ? pastProxy(about.registry, route.variable)
          : run(
              `curl -v ${quote(ping.url)}`,
              'what answers is no registry: a sign-in page or filter of this network. Sign in there, or have its operator let the registry through',
            ),
    };
  }
  if (status === 429) return ok('429: it asks to wait', ...evidence);
  if (status === 401 || (status >= 200 && status < 300 && !isPage)) {
    return ok(`${status}${version === null ? '' : ' + Docker-Distribution-Api-Version'}`, ...evidence);
  }
  if (status >= 500) {
    return {
      status: 'problem',
      summary: `answered ${status}`,
      evidence,
      cause: 'registry-error',
      fix: run(
        `curl -i ${quote(ping.url)}`,
        'the registry, or what it stands behind, is at fault: its operator finds why in its log',
      ),
    };
  }
  if (status === 403) {
    // A registry that forbids this alone may serve the repository all the same.
    const isRegistrys = version !== null || first.problems.length > 0;
    return {
      status: isRegistrys ? 'warning' : 'problem',
      summary: `answered 403${isPage ? ' with a web page' : ''}, where a registry answers 200 or 401`,
      evidence,
      cause: 'ping-forbidden',
      fix: run(
        `curl -i ${quote(ping.url)}`,
        `have the operator of ${about.name} let this machine in: a firewall before the registry, or a rule by address, keeps it out before it can say who it is`,
      ),
    };
  }
  return {
    status: 'problem',
    summary: `answered ${status}${isPage ? ' with a web page' : ''}: this is no registry`,
    evidence,
    cause: 'not-a-registry',
    fix: run(
      `curl -i ${quote(ping.url)}`,
      `check how ${about.name} is spelled, its port too: a registry answers /v2/ with 200 or 401`,
    ),
  };
}

/** `v2.ping` of a port that is asked over plain http and takes TLS, which answers the one or other thing to that. */
export function speaksTls(decision: Decision, { registry, commands }: About): Fault {
  return {
    status: 'problem',
    summary: `${registry.host} speaks https, and is asked over plain http`,
    evidence: [decision.summary, 'it answers a TLS hello with a certificate'],
    cause: 'registry-speaks-https',
    fix: run(commands.https, 'leave --plain-http (or http://) out'),
  };
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

/** The 401 that asked for a login, if one did. */
function challengeIn({ responses }: Answered): string | null {
  const asked = responses.find(({ head }) => head.status === 401);
  if (asked === undefined) return null;
  return asked.head.headers
    .filter(([name]) => name === 'www-authenticate')
    .map(([, value]) => value)
    .join(', ');
}

/** `challenge.parse` */
export function decideChallenge(ping: Answered, about: About): Decision {
  const { failure } = ping;
  const header = challengeIn(ping);
  if (header === null) {
    const status = ping.responses[0]?.head.status ?? 0;
    return status === 429 ? unknown('it asks to wait') : skipped('nobody is asked who they are');
  }
  if (failure?.kind === 'challenge-unusable' || failure?.kind === 'scheme-downgrade') {
    const decision = problemOf(failure, about);
    const problems = failure.kind === 'challenge-unusable' ? failure.problems : [];
    return { ...decision, evidence: [...pointedAt(header, problems), ...(decision.evidence ?? [])] };
  }
  const parsed = parseChallenges(header);
  const summary = parsed.challenges.map(shownChallenge).join('; ');
  const notes = parsed.problems.map(({ offset, message }) => `read all the same: ${message} at ${offset}`);
  return ok(summary, `WWW-Authenticate: ${header}`, ...notes);
}

function shownChallenge({ scheme, params }: ParsedChallenges['challenges'][number]): string {
  const shown = ['service', 'scope'].flatMap((name) =>
    params[name] === undefined ? [] : [`${name} ${params[name]}`],
  );
  return [scheme, ...shown].join(', ');
}

/** What is shown of a header before the place that is wrong. */
const BEFORE = 48;

/** The header as it came, and a mark below the first place that is wrong. */
function pointedAt(header: string, problems: ParsedChallenges['problems']): readonly string[] {
  if (header === '') return [];
  const [first] = problems;
  if (first === undefined) return [`WWW-Authenticate: ${header}`];
  const from = Math.max(0, first.offset - BEFORE);
  const shown = `${from > 0 ? '…' : ''}${header.slice(from, from + 2 * BEFORE)}`;
  return [
    `WWW-Authenticate: ${shown}`,
    `${' '.repeat('WWW-Authenticate: '.length + first.offset - from + (from > 0 ? 1 : 0))}^ ${first.message}`,
  ];
}

/** The realm of the Bearer challenge that was answered, if there was one. */
export function realmIn(answered: Answered | null): string | null {
  const { challenges } = parseChallenges(answered === null ? '' : (challengeIn(answered) ?? ''));
  return challenges.find(({ scheme }) => scheme === 'bearer')?.params['realm'] ?? null;
}

/** `challenge.realm` */
export function decideRealm(ping: Answered, credential: boolean, about: About): Decision {
  const realm = realmIn(ping);
  if (realm === null) return skipped('there is no token server');
  const evidence = [`realm: ${bare(realm)}`];
  const { failure } = ping;
  if (isAbout(failure, 'realm-forbidden', 'realm-untrusted', 'insecure-transport')) {
    const decision = problemOf(failure, about);
    return { ...decision, evidence: [...evidence, ...(decision.evidence ?? [])] };
  }
  const { url, release } = judgeRealm(
    realm,
    { registry: ping.url, credential },
    ping.policy ?? defaultPolicy,
  );
  return ok(`${bare(url?.href ?? realm)} (${reasons[release.reason] ?? release.reason})`, ...evidence);
}

/** Why a realm may see a credential. */
const reasons: Readonly<Record<string, string>> = {
  'no-credential': 'asked anonymously',
  'same-origin': "the registry's own",
  'same-host': 'on the same host',
  'ancestor-domain': 'above it in DNS',
  'built-in-pair': 'known to belong to it',
  'user-pair': 'trusted by you',
};

/** `realm.reach` */
export function decideReach(ping: Answered, tls: TlsFacts | null, about: About, now: number): Decision {
  const { failure, tokens } = ping;
  const last = tokens.at(-1);
  if (failure?.kind === 'network' && failure.to === 'authority') {
    const end = new URL(failure.url);
    const isTls = failure.phase === 'tls';
    const decision = isTls ? connectionFault(tls?.fault ?? failure, end, about, tls, now) : null;
    // What to do about plain http is another thing for a token server.
    return decision === null || decision.cause === 'registry-speaks-http'
      ? problemOf(failure, about)
      : decision;
  }
  if (isAbout(failure, 'deadline', 'token-invalid', 'token-redirected')) return problemOf(failure, about);
  if (failure?.kind === 'token-refused' && failure.status !== 401 && failure.status !== 403) {
    return problemOf(failure, about);
  }
  if (last === undefined) return skipped('it was not asked');
  const ms = Math.max(0, Math.round(last.answer.at - last.answer.sentAt));
  return ok(`${last.answer.head.status}, ${ms} ms`, `${bare(last.url)} answered ${last.answer.head.status}`);
}

export interface Acceptance {
  readonly ping: Answered;
  /** The request for the repository, where the ping asked for no credential. */
  readonly pull: Answered | null;
  /** The same without a credential, where one was refused. */
  readonly anonymous: Answered | null;
  readonly from: CredentialFacts['from'];
  /** Whether there is one. */
  readonly credential: boolean;
}

/** `creds.accepted` */
export function decideAcceptance(
  { ping, pull, anonymous, from, credential }: Acceptance,
  about: About,
): Decision {
  const asked = pull ?? ping;
  const { failure } = asked;
  if (isAbout(failure, 'rate-limited') || ping.responses.at(-1)?.head.status === 429)
    return unknown('it asks to wait');
  if (isAbout(failure, 'credential-missing')) return problemOf(failure, about);
  if (!credential) return skipped('there is no credential');
  if (isRefusal(failure, pull === null)) {
    if (anonymous?.head != null && anonymous.head.status < 300) return breaksPublicPull(failure, from, about);
    const decision = problemOf(failure, about);
    // Q35: a token server that was asked for nothing in particular refuses who asks.
    if (failure.kind !== 'token-refused') return decision;
    const fix = run(about.commands.login, 'the password is wrong, expired or revoked: sign in again');
    return { ...decision, cause: 'wrong-password', fix };
  }
  if (isAbout(failure, 'credential-unusable', 'credential-unavailable')) return problemOf(failure, about);
  if (failure !== null && !isPast(failure, asked.tokens)) {
    return skipped(`not known: ${problemOf(failure, about).summary}`);
  }
  if (!asked.identified) return skipped('nobody asked for it');
  const status = asked.head?.status ?? 0;
  if (status >= 500 && asked.tokens.length === 0) return skipped(`not known: it answers ${status} to it`);
  return ok(asked.tokens.length > 0 ? 'the token server takes it' : 'the registry takes it');
}

/** Whether a request that failed was past the question of who asks. */
function isPast(failure: Failure, tokens: Answered['tokens']): boolean {
  if (failure.kind === 'denied') return true;
  const hasToken = (tokens.at(-1)?.answer.head.status ?? 0) === 200;
  return (
    hasToken &&
    (isAbout(failure, 'redirect-refused', 'limit') ||
      (isAbout(failure, 'network') && failure.to === 'registry'))
  );
}

type Refusal = Extract<Failure, { kind: 'credential-rejected' | 'token-refused' }>;

function isRefusal(failure: Failure | null, bare: boolean): failure is Refusal {
  if (failure?.kind === 'credential-rejected') return true;
  return bare && failure?.kind === 'token-refused' && (failure.status === 401 || failure.status === 403);
}

function breaksPublicPull(failure: Refusal, from: CredentialFacts['from'], { commands }: About): Fault {
  return {
    status: 'problem',
    summary: `${failure.status}: the credential was refused, and without it the pull works`,
    evidence: said(failure.problems),
    cause: 'expired-password-breaks-public-pull',
    fix:
      from === 'given'
        ? run(
            `${commands.doctor} --anonymous`,
            'what is public needs no credential: give none, or the right one',
          )
        : run(commands.logout, 'what is public needs no credential: forget this one, or sign in again'),
  };
}

/** Whether `failure` is one of `kinds`. */
export function isAbout<K extends Failure['kind']>(
  failure: Failure | null,
  ...kinds: readonly K[]
): failure is Extract<Failure, { kind: K }> {
  return failure !== null && kinds.some((kind) => kind === failure.kind);
}
