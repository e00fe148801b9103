/**
 * What a failure is called, whose it is, and what to say about it.
 *
 * Rules of this file: the one place with English. It says what was asked, what was answered, who is at fault and what to do
 * next, in that order, in one paragraph, from the facts of the failure alone. No secret is in those facts; a peer's words
 * are quoted, made visible and cut; of a URL only origin and path are shown, since a query may hold a signature.
 */

import { type BlockedAddress, blockedAddressCode } from './address.ts';
import type { CredentialFault } from './credential.ts';
import { type Failure, type FailureKind, isOwnRefusal, type NetworkPhase } from './failure.ts';
import type { TokenFault } from './grant.ts';
import { exposeChallenge, type Problem } from './message.ts';
import type { RealmPair } from './policy.ts';
import type { ContactReason, ReleaseReason } from './realm.ts';
import type { Bound, RedirectReason } from './redirect.ts';
import type { TargetFault } from './target.ts';
import type { Transcript } from './transcript/transcript.ts';
import { toVisible } from './visible.ts';

type Snake<T extends string> = T extends `${infer Head}-${infer Tail}`
  ? `${Uppercase<Head>}_${Snake<Tail>}`
  : Uppercase<T>;

/** `ERR_REG_` and the failure's kind: `ERR_REG_REALM_UNTRUSTED`. */
export type RegistryAuthErrorCode = `ERR_REG_${Snake<FailureKind>}`;

/**
 * What a call rejects with when it ends before the registry's own answer. Its message is `describe(failure)`.
 * Recognise it with {@link isRegistryAuthError}, which also knows the errors of another copy of this package.
 */
export class RegistryAuthError extends Error {
  readonly code: RegistryAuthErrorCode;
  readonly failure: Failure;
  /** What went over the wire, without secrets; `null` when nothing recorded it. Made when it is first read. */
  declare readonly transcript: Transcript | null;

  /**
   * @param about.transcript made on demand, at most once
   * @param about.cause the platform's or the keychain's own error
   */
  constructor(
    failure: Failure,
    about: { readonly transcript?: () => Transcript; readonly cause?: unknown } = {},
  ) {
    super(describe(failure), about.cause === undefined ? undefined : { cause: about.cause });
    this.code = codeOf(failure.kind);
    this.failure = failure;
    let transcript: Transcript | null | undefined;
    // Neither is enumerable: a log that spreads or prints the error shows the failure and not the whole operation.
    Object.defineProperties(this, {
      [Symbol.for(brand)]: { value: true },
      transcript: {
        get() {
          transcript ??= about.transcript?.() ?? null;
          return transcript;
        },
      },
    });
  }

  override get name(): string {
    return 'RegistryAuthError';
  }
}

const brand = 'reg.RegistryAuthError';
const mark = 'reg.failure';

/** Whether `value` is a `RegistryAuthError`, of this or another copy of this package. */
export function isRegistryAuthError(value: unknown): value is RegistryAuthError {
  return value instanceof Error && Object.hasOwn(value, Symbol.for(brand));
}

/** Why the registry's 401 or 403 `response` is final, or `null` when it is none or nothing is known about it. */
export function failureOf(response: object): Failure | null {
  const failure: unknown = Object.getOwnPropertyDescriptor(response, Symbol.for(mark))?.value;
  return isFailure(failure) ? failure : null;
}

/** Lets `failureOf(response)` find `failure`. For adapters, on the response they hand to their caller. */
export function markFailure(response: object, failure: Failure): void {
  Object.defineProperty(response, Symbol.for(mark), { value: failure, configurable: true });
}

/** Only `markFailure` writes under the mark. */
function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** `toUpperCase` is typed as any text; `Snake` says which. */
function codeOf(kind: FailureKind): RegistryAuthErrorCode {
  return `ERR_REG_${kind.replaceAll('-', '_').toUpperCase()}` as RegistryAuthErrorCode;
}

/**
 * Who has to act: the `caller` (credential, access, policy, request), the operator of the `registry`, the operator of the
 * token server (`authority`), or whoever runs what lies between (`network`).
 */
export function blame(failure: Failure): 'caller' | 'registry' | 'authority' | 'network' {
  switch (failure.kind) {
    case 'challenge-unusable':
    case 'challenge-hidden':
    case 'scheme-downgrade':
    case 'realm-forbidden':
    case 'realm-untrusted':
    case 'limit':
      return 'registry';
    case 'redirect-refused':
      return failure.reason === 'hidden' ? 'caller' : 'registry';
    case 'insecure-transport':
    case 'credential-missing':
    case 'credential-rejected':
    case 'credential-unusable':
    case 'credential-unavailable':
    case 'rate-limited':
    case 'body-spent':
      return 'caller';
    case 'token-refused':
      return failure.status === 401 || failure.status === 403 ? 'caller' : 'authority';
    case 'token-invalid':
    case 'token-redirected':
      return 'authority';
    case 'denied':
      return failure.reason === 'token-refused' || failure.reason === 'redirect-target'
        ? 'registry'
        : 'caller';
    case 'network':
      return blameForSilence(failure);
    case 'deadline':
      return failure.realm === null ? 'caller' : 'authority';
  }
}

function blameForSilence({ to, code }: Failure & { kind: 'network' }): ReturnType<typeof blame> {
  if (code === blockedAddressCode) return to;
  return isOwnRefusal(code) ? 'caller' : 'network';
}

/** A text that names the policy, or another for those who have none. */
type Told = (named: string, unnamed?: string) => string;

const named: Told = (text) => text;
const unnamed: Told = (_, text = '') => text;

/**
 * What happened and what to do about it: one paragraph of plain text, on one line, without secrets.
 *
 * @param options.policy `false` does not name the settings of the policy, for a program whose user writes none
 */
export function describe(failure: Failure, options: { readonly policy?: boolean } = {}): string {
  const told = options.policy === false ? unnamed : named;
  switch (failure.kind) {
    case 'challenge-unusable':
      return describeChallenge(failure, told);
    case 'challenge-hidden':
      return (
        `${shown(failure.url)} answered 401, and the platform hides from this page how to sign in. Its operator, or that of ` +
        `the proxy before it, must add to every answer, the 401 too: ${failure.line}.` +
        told(
          ' Or pass what that header would say in the option challenges; diagnoseCors(url) says what else is missing.',
        )
      );
    case 'scheme-downgrade': {
      const { registry, realm } = failure;
      const known = realm === null ? 'a pair names its token server' : `its tokens come from ${shown(realm)}`;
      const mend = realm === null ? 'take its pair out of the policy' : 'let this client forget the registry';
      return (
        `${shown(registry)} asks for the password itself, by Basic, although ${known}. An attacker would do that, so nothing ` +
        `was sent. ${told(`If the registry really changed, ${mend}; else tell`, 'Tell')} its operator.`
      );
    }
    case 'realm-forbidden': {
      const { registry, realm, reason } = failure;
      return `${shown(registry)} sends clients to ${shown(realm)} for a token. That ${contactWords[reason]}, so nothing was sent.${contactAdvice(failure, told)}`;
    }
    case 'realm-untrusted': {
      const { registry, realm, reason, pair } = failure;
      const advice =
        reason === 'not-https'
          ? ' The registry must name an https realm.'
          : told(` If the two belong together, add to the policy: ${pairLine(pair)}.`);
      return (
        `${shown(registry)} sends clients to ${shown(realm)} for a token, but ${releaseWords[reason]}, so no credential was ` +
        `sent. A client that does not check would have sent it there.${advice}`
      );
    }
    case 'insecure-transport':
      return (
        `${shown(failure.url)} is plain http, where everyone on the way can read a credential, so none was sent. Use https` +
        told(`, or add ${literal(failure.host)} to policy.insecureHosts if the network in between is yours`) +
        '.'
      );
    case 'credential-missing': {
      const { registry, realm, status, problems } = failure;
      const who =
        realm === null
          ? shown(registry)
          : `${shown(realm)}, asked for a token for ${shown(registry)} anonymously,`;
      return `${who} answered ${status}${said(problems)}: it wants a credential, and none was found. Sign in to ${hostOf(registry)}, or check where its credential is looked up.`;
    }
    case 'credential-rejected': {
      const { registry, realm, status, anonymousPull, problems } = failure;
      const who =
        realm === null ? shown(registry) : `${shown(realm)}, asked for a token for ${shown(registry)},`;
      const instead = anonymousPull
        ? told(" A policy with rejectedCredential: 'anonymous-pull' would have gone on without it.")
        : '';
      return `${who} refused the credential with ${status}${said(problems)}. It is wrong, expired or revoked: sign in to ${hostOf(registry)} again.${instead}`;
    }
    case 'credential-unusable': {
      const { registry, reason } = failure;
      return `The credential for ${shown(registry)} cannot be sent: ${credentialWords[reason]}. Sign in to ${hostOf(registry)} again.`;
    }
    case 'credential-unavailable': {
      const { registry, message } = failure;
      return (
        `The credential for ${shown(registry)} could not be looked up: ${quoted(message)}. Nothing was sent without it; mend ` +
        'the helper or file, or choose another source.'
      );
    }
    case 'token-refused':
      return describeRefusal(failure);
    case 'token-invalid': {
      const { realm, status, reason } = failure;
      const limit = reason === 'too-large' ? told(' (policy.limits.tokenBodyBytes)') : '';
      return `${shown(realm)} answered ${status} ${tokenWords[reason]}${limit}. Its operator must mend the token server, or the registry must name another.`;
    }
    case 'token-redirected': {
      const { realm, status, location } = failure;
      const to = location === null ? 'no place that can be read' : shown(location);
      const answer =
        status === 0
          ? 'answered with a redirect that this platform hides'
          : `answered ${status} and pointed to ${to}`;
      return (
        `${shown(realm)} ${answer}. Token requests follow no redirect, since a credential would ` +
        "go along. The registry's operator must name the final URL as the realm."
      );
    }
    case 'rate-limited': {
      const { realm, retryAfterMs, problems } = failure;
      const wait =
        retryAfterMs === null
          ? 'It does not say how long to wait'
          : `It asks to wait ${seconds(retryAfterMs)}`;
      return (
        `${shown(realm)} answered 429${said(problems)}: too many token requests from this address or account. ${wait}${told(', and policy.deadlineMs and policy.retry allow no more')}. ` +
        'Try later, or sign in: anonymous limits are lower.'
      );
    }
    case 'denied':
      return describeDenial(failure);
    case 'body-spent':
      return (
        `${shown(failure.url)} answered 401 when the body had been sent, and a stream cannot be sent twice. The token it ` +
        'refused is forgotten: send the request again, with a new body.'
      );
    case 'redirect-refused': {
      const { from, to, reason, hops } = failure;
      const after = hops === 0 ? '' : `, after ${hops} redirects,`;
      const target = to === '' ? 'elsewhere' : `to ${shown(to)}`;
      return `${shown(from)} redirects${after} ${target}. That ${redirectWords[reason]}, so it was not followed.${redirectAdvice(failure, told)}`;
    }
    case 'limit':
      return (
        `${shown(failure.url)} asks for another token after ${failure.max} were obtained for this one request` +
        `${told(' (policy.limits.grants)')}. ` +
        'The registry does not accept what its token server issues: tell their operator.'
      );
    case 'network': {
      const { url, to, phase, code, message } = failure;
      const peer = to === 'registry' ? '' : 'the token server ';
      if (isOwnRefusal(code)) {
        const advice =
          code === blockedAddressCode
            ? ` A name that a peer chose may not lead there${told(', unless policy.realms.pairs has it beside the registry')}.`
            : '';
        return `Nothing was sent to ${peer}${shown(url)} (${shortly(code)}: ${quoted(message)}).${advice}`;
      }
      const advice = code === unsaidCode ? unsaidAdvice : phaseAdvice[phase];
      return `No answer from ${peer}${shown(url)}: ${phaseWords[phase]} (${shortly(code)}: ${quoted(message)}). ${advice}`;
    }
    case 'deadline': {
      const { registry, realm, ms } = failure;
      const slow = realm === null ? 'the credential look-up' : shown(realm);
      return `No authorization for ${shown(registry)} within ${seconds(ms)}${told(' (policy.deadlineMs)')}: ${slow} did not answer in time. Try again, or allow more time.`;
    }
  }
}

function describeChallenge(failure: Failure & { kind: 'challenge-unusable' }, told: Told): string {
  const url = shown(failure.url);
  switch (failure.reason) {
    case 'absent':
      return (
        `${url} answered 401 without a WWW-Authenticate header, so it does not say how to sign in. The registry, or a proxy ` +
        'in front of it, drops the header: tell its operator.'
      );
    case 'malformed': {
      const places = failure.problems
        .slice(0, 3)
        .map(({ offset, message }) => `${quoted(message)} at ${offset}`);
      return (
        `${url} answered 401 with a WWW-Authenticate header that cannot be read: ${places.join(', ')}. The registry, or a ` +
        'proxy that rewrites its headers, must write it as RFC 9110 §11.6.1 has it.'
      );
    }
    case 'unsupported-scheme': {
      const offered = failure.offered.slice(0, 5).map(quoted).join(', ');
      // Basic is answered everywhere but there, unless the policy leaves it out.
      const advice = failure.offered.includes('basic')
        ? `A redirect target gets no credential: ask ${hostOf(failure.url)} itself`
        : 'Its operator must offer Bearer or Basic';
      return `${url} answered 401 and offers ${offered}, which this client does not answer there${told(' (policy.schemes)')}. ${advice}.`;
    }
    case 'no-realm':
      return (
        `${url} answered 401 with a Bearer challenge that has no realm, so there is no token server to ask. Its operator ` +
        'must name one.'
      );
  }
}

function describeRefusal(failure: Failure & { kind: 'token-refused' }): string {
  const { realm, status, asked, anonymous, problems } = failure;
  const how = anonymous ? 'anonymously' : 'with the credential';
  return `${shown(realm)}, asked ${how} for a token${scopes(asked, ' for ')}, answered ${status}${said(problems)}. ${refusalAdvice(failure)}`;
}

function refusalAdvice({ registry, status, anonymous }: Failure & { kind: 'token-refused' }): string {
  if (status >= 500) return 'The token server is at fault: try again later.';
  if (status !== 401 && status !== 403) {
    return 'It does not take the request: the operator of the token server, or of the registry that named it, is at fault.';
  }
  return anonymous
    ? `That does not exist or is not public: check the name, or sign in to ${hostOf(registry)}.`
    : // Q35
      `That does not exist, the account has no access to it, or its credential was revoked: check the name, ask for access, or sign in to ${hostOf(registry)} again.`;
}

function describeDenial(failure: Failure & { kind: 'denied' }): string {
  const { url, status, reason, asked, challenged, granted, anonymous, problems } = failure;
  const answer = `${shown(url)} answered ${status}${said(problems)}`;
  // Q46: registries do not say which of the two it is.
  const missing = anonymous
    ? 'What was asked for does not exist or is not public: check the name, or sign in.'
    : 'What was asked for does not exist or the account has no access to it: check the name, or ask for access.';
  switch (reason) {
    case 'insufficient-scope': {
      const got = granted === null ? '' : ` and granted ${scopes(granted, '') || 'nothing'}`;
      return `${answer} to a token that was asked for ${scopes(asked, '') || 'no scope'}${got}, and wants ${scopes(challenged, '') || 'more'}. ${missing}`;
    }
    case 'forbidden':
      return `${answer}. ${missing}`;
    case 'token-refused':
      return (
        `${answer} to a token that its own token server had just issued${scopes(asked, ' for ')}. ${missing} If neither helps, ` +
        'the two servers do not agree on keys, service name or time: tell their operator.'
      );
    case 'challenge-hidden':
      return (
        `${answer} to a token that was issued${scopes(asked, ' for ')}, and the platform hides from this page what it wants. ` +
        `${missing} To see what it wants, its operator must add to every answer: ${exposeChallenge}.`
      );
    case 'redirect-target':
      return (
        `${answer}. The registry redirected there, and what was for the registry is not shown to another origin. Its operator ` +
        'must redirect to where no more authorization is needed.'
      );
    case 'caller-authorization':
      return `${answer} to the Authorization header that the caller set. Leave that header out to have the challenge answered.`;
  }
}

/** What makes a URL of a peer's choice unfit, and what a host must not be. Each completes "That …". */
const targetWords = {
  unparsable: 'is no URL',
  'too-long': 'is longer than any URL of its kind',
  scheme: 'is neither https nor http',
  'bad-authority': 'has a host that can be read in two ways',
  userinfo: 'has a user name in it',
} as const satisfies Record<TargetFault, string>;

const addressWords = {
  loopback: 'is an address of this machine',
  'link-local': 'is a link-local address',
  unspecified: 'is an address that means any machine',
  metadata: 'is where a cloud keeps the credentials of its machines',
  'host-alias': 'is a name for this machine',
  embedded: 'is an IPv6 address that leads to an IPv4 one of this machine or its cloud',
} as const satisfies Record<BlockedAddress, string>;

const allowed = 'is allowed';

export const contactWords = {
  ...targetWords,
  ...addressWords,
  https: allowed,
  'insecure-registry': allowed,
  'user-pair': allowed,
  'not-https': 'is plain http, where everyone on the way can read the token',
} as const satisfies Record<ContactReason, string>;

/** Each completes "but …". */
export const releaseWords = {
  'no-credential': allowed,
  'same-origin': allowed,
  'same-host': allowed,
  'ancestor-domain': allowed,
  'built-in-pair': allowed,
  'user-pair': allowed,
  'any-https': allowed,
  'no-contact': 'nobody may be sent there',
  'not-https': 'one of them speaks plain http, where everyone on the way can read a secret',
  unrelated: 'nothing shows that this token server belongs to it',
} as const satisfies Record<ReleaseReason, string>;

export const credentialWords = {
  empty: 'it is empty',
  'too-long': 'it is longer than 16,384 characters, more than servers take',
  'colon-in-username': 'the user name has a colon in it, which would end it (RFC 7617 §2)',
  'control-character': 'it has a control character in it (RFC 7617 §2)',
  'lone-surrogate': 'it has half a surrogate pair in it, which has no UTF-8 form',
  'not-a-token': 'it has a character in it that no bearer token has (RFC 6750 §2.1)',
  'identity-token-for-basic': 'it is an identity token, and the registry asks for user name and password',
  'registry-token-for-basic': 'it is a bearer token, and the registry asks for user name and password',
} as const satisfies Record<CredentialFault, string>;

export const tokenWords = {
  'too-large': 'with a body larger than is read',
  'not-json': 'with something that is no JSON object: mostly a sign-in or error page',
  'no-token': 'without a token in it',
  'not-a-token': 'with a token that has characters no header may hold',
} as const satisfies Record<TokenFault, string>;

const callers = 'is for the caller to follow';

export const redirectWords = {
  ...targetWords,
  ...addressWords,
  'same-origin': allowed,
  'other-origin': allowed,
  downgrade: 'goes from https to plain http',
  'cross-origin': 'is another origin',
  hops: 'is one redirect too many',
  hidden: 'is a place that the platform hides and nobody can judge',
  status: callers,
  body: callers,
  method: callers,
} as const satisfies Record<RedirectReason, string>;

export const phaseWords = {
  lookup: 'its name could not be looked up',
  connect: 'no connection',
  tls: 'no TLS session',
  send: 'the connection broke while the request was sent',
  head: 'the connection broke before the response',
  body: 'the connection broke in the middle of the response',
  unknown: 'the request failed',
} as const satisfies Record<NetworkPhase, string>;

const phaseAdvice = {
  lookup: 'Check the name and the resolver.',
  connect: 'Check host, port, proxy and firewall.',
  tls: 'Check the certificate, its issuer and the clock, and that the port speaks TLS.',
  send: 'Try again.',
  head: 'Try again.',
  body: 'Try again.',
  unknown: 'Check the network and try again.',
} as const satisfies Record<NetworkPhase, string>;

/** The code of a `fetch` that rejects: to a page it says no more, so that it cannot probe what it may not read. */
const unsaidCode = 'FETCH_FAILED';

const unsaidAdvice =
  'The platform does not say why: either nothing answers there, or this page may not read the answer (CORS); ' +
  'diagnoseCors(url) of @reg/browser tells which.';

function contactAdvice(
  { registry, realm, reason }: Failure & { kind: 'realm-forbidden' },
  told: Told,
): string {
  // Nobody's token server is where a cloud keeps credentials: that line is not offered.
  if (Object.hasOwn(addressWords, reason) && reason !== 'metadata') {
    return told(` If this is meant, add to the policy: ${pairLine({ registry, realm: originOf(realm) })}.`);
  }
  // Q17
  if (reason === 'not-https') return ` Its operator must let it write an https realm, ${proxyHeader}.`;
  return ' Its operator must correct the realm of its challenge.';
}

function redirectAdvice({ reason, bound }: Failure & { kind: 'redirect-refused' }, told: Told): string {
  switch (reason) {
    case 'cross-origin':
      return told(
        " policy.redirects.crossOrigin: 'bare' or 'anonymous' follows it without what is for the registry.",
      );
    case 'hops':
      return ` ${told('policy.redirects.max is the limit; a', 'A')} longer chain is mostly a loop.`;
    case 'hidden':
      return hiddenAdvice(bound, told);
    case 'downgrade':
      return ` Its operator must let it write https URLs, ${proxyHeader}.`;
    default:
      return ' Its operator must correct it.';
  }
}

function hiddenAdvice(bound: Bound | undefined, told: Told): string {
  if (bound === undefined) {
    return told(
      " policy.redirects has the platform follow it with mode: 'platform', unless crossOrigin or max forbids.",
    );
  }
  const itself = 'send the request to the place itself.';
  if (bound.method !== null) return ` Nor may a platform repeat a ${shortly(bound.method)} there: ${itself}`;
  const how = told(" (policy.redirects.mode: 'platform')");
  return ` A platform that follows${how} would take along ${shortly(bound.headers.join(', '))}: leave that out, or ${itself}`;
}

/** Q17, Q53: a registry behind a proxy that ends TLS takes its own scheme from this header. */
const proxyHeader = 'mostly by having the proxy in front of it set X-Forwarded-Proto: https';

function pairLine({ registry, realm }: RealmPair): string {
  return `policy.realms.pairs: { registry: ${literal(registry)}, realm: ${literal(realm)} }`;
}

/** A literal that can be pasted into a policy: a host may hold a quote. */
function literal(text: string): string {
  return `'${toVisible(text).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : shown(origin);
}

/** Origin and path of a URL; of what is none, what stands before a query and after an `@`. */
function shown(url: string): string {
  if (URL.canParse(url)) {
    const { origin, pathname, protocol } = new URL(url);
    return origin === 'null'
      ? quoted(`${protocol}…`)
      : shortly(pathname === '/' ? origin : origin + pathname);
  }
  const query = url.indexOf('?');
  const bare = query < 0 ? url : url.slice(0, query);
  return quoted(bare.slice(bare.lastIndexOf('@') + 1));
}

/** What the server said about it, in parentheses. */
function said(problems: readonly Problem[]): string {
  const words = problems
    .slice(0, 2)
    .map(({ code, message }) =>
      quoted(code === '' || message === '' ? code + message : `${code}: ${message}`),
    );
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function quoted(text: string): string {
  return `"${shortly(text)}"`;
}

/** Visible, and no more than a screenful: enough to recognise anything. */
function shortly(text: string): string {
  const visible = toVisible(text);
  return visible.length > 256 ? `${visible.slice(0, 255)}…` : visible;
}

/** A list of scopes with the word that goes before it, or `''` when it is empty. */
function scopes(text: string, before: string): string {
  return text === '' ? '' : before + shortly(text);
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 100) / 10} s`;
}
