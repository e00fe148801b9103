/**
 * One failure at least of every kind, and of every reason that changes what is said.
 *
 * Rules of this file: a kind or a reason that is missing does not compile.
 */

import type { CredentialFault } from '../src/credential.ts';
import type { Failure, FailureKind, NetworkPhase } from '../src/failure.ts';
import type { TokenFault } from '../src/grant.ts';
import { exposeChallenge } from '../src/message.ts';
import type { ContactReason, ReleaseReason } from '../src/realm.ts';
import type { RedirectReason } from '../src/redirect.ts';

type Of<K extends FailureKind> = Extract<Failure, { readonly kind: K }>;

const registry = 'https://registry.example';
const realm = 'https://auth.example/token?account=x&sig=QUERYSECRET';
const url = 'https://registry.example/v2/a/b/tags/list?sig=QUERYSECRET';
const problems = [{ code: 'DENIED', message: 'requested access to the resource is denied' }];

const challenge = (
  reason: Of<'challenge-unusable'>['reason'],
  offered: readonly string[] = [],
): Of<'challenge-unusable'> => ({
  kind: 'challenge-unusable',
  url,
  reason,
  offered,
  problems: reason === 'malformed' ? [{ offset: 7, message: 'a quote is never closed' }] : [],
});

const denied = (reason: Of<'denied'>['reason'], rest: Partial<Of<'denied'>> = {}): Of<'denied'> => ({
  kind: 'denied',
  url,
  status: 401,
  reason,
  asked: 'repository:a/b:pull',
  challenged: 'repository:a/b:pull,push',
  granted: null,
  anonymous: false,
  problems,
  ...rest,
});

/** What is said of each reason, so that each is looked at. */
function each<K extends string, T>(reasons: Readonly<Record<K, unknown>>, make: (reason: K) => T): T[] {
  return (Object.keys(reasons) as K[]).map(make);
}

const contacts: Record<ContactReason, 0> = {
  https: 0,
  'insecure-registry': 0,
  'user-pair': 0,
  'not-https': 0,
  unparsable: 0,
  'too-long': 0,
  scheme: 0,
  'bad-authority': 0,
  userinfo: 0,
  loopback: 0,
  'link-local': 0,
  unspecified: 0,
  metadata: 0,
  'host-alias': 0,
  embedded: 0,
};

const releases: Record<ReleaseReason, 0> = {
  'no-credential': 0,
  'same-origin': 0,
  'same-host': 0,
  'ancestor-domain': 0,
  'built-in-pair': 0,
  'user-pair': 0,
  'any-https': 0,
  'no-contact': 0,
  'not-https': 0,
  unrelated: 0,
};

const redirects: Record<RedirectReason, 0> = {
  'same-origin': 0,
  'other-origin': 0,
  downgrade: 0,
  'cross-origin': 0,
  hops: 0,
  hidden: 0,
  status: 0,
  body: 0,
  method: 0,
  unparsable: 0,
  'too-long': 0,
  scheme: 0,
  'bad-authority': 0,
  userinfo: 0,
  loopback: 0,
  'link-local': 0,
  unspecified: 0,
  metadata: 0,
  'host-alias': 0,
  embedded: 0,
};

const credentialFaults: Record<CredentialFault, 0> = {
  empty: 0,
  'too-long': 0,
  'colon-in-username': 0,
  'control-character': 0,
  'lone-surrogate': 0,
  'not-a-token': 0,
  'identity-token-for-basic': 0,
  'registry-token-for-basic': 0,
};

const tokenFaults: Record<TokenFault, 0> = { 'too-large': 0, 'not-json': 0, 'no-token': 0, 'not-a-token': 0 };

const phases: Record<NetworkPhase, 0> = {
  lookup: 0,
  connect: 0,
  tls: 0,
  send: 0,
  head: 0,
  body: 0,
  unknown: 0,
};

/** Samples by kind. The first of each is the plainest. */
export const samples: { readonly [K in FailureKind]: readonly Of<K>[] } = {
  'challenge-unusable': [
    challenge('absent'),
    challenge('malformed'),
    challenge('unsupported-scheme', ['negotiate', 'digest']),
    challenge('unsupported-scheme', ['basic']),
    challenge('no-realm', ['bearer']),
  ],
  'challenge-hidden': [{ kind: 'challenge-hidden', url, line: exposeChallenge }],
  'scheme-downgrade': [
    { kind: 'scheme-downgrade', url, registry, realm },
    { kind: 'scheme-downgrade', url, registry, realm: null },
  ],
  'realm-forbidden': each(contacts, (reason) => ({
    kind: 'realm-forbidden' as const,
    registry,
    realm: 'http://169.254.169.254/token?sig=QUERYSECRET',
    reason,
  })),
  'realm-untrusted': each(releases, (reason) => ({
    kind: 'realm-untrusted' as const,
    registry,
    realm,
    reason,
    pair: { registry, realm: 'https://auth.example' },
  })),
  'insecure-transport': [
    { kind: 'insecure-transport', url: 'http://registry.example:5000/v2/', host: 'registry.example:5000' },
  ],
  'credential-missing': [
    { kind: 'credential-missing', registry, scheme: 'bearer', realm, status: 401, problems },
    { kind: 'credential-missing', registry, scheme: 'basic', realm: null, status: 401, problems: [] },
  ],
  'credential-rejected': [
    {
      kind: 'credential-rejected',
      registry,
      scheme: 'bearer',
      realm,
      status: 401,
      anonymousPull: true,
      problems: [{ code: '', message: 'incorrect username or password' }],
    },
    {
      kind: 'credential-rejected',
      registry,
      scheme: 'basic',
      realm: null,
      status: 401,
      anonymousPull: false,
      problems: [],
    },
  ],
  'credential-unusable': each(credentialFaults, (reason) => ({
    kind: 'credential-unusable' as const,
    registry,
    scheme: 'basic' as const,
    reason,
  })),
  'credential-unavailable': [
    {
      kind: 'credential-unavailable',
      registry,
      message: 'docker-credential-desktop: executable file not found\nin $PATH',
    },
  ],
  'token-refused': [403, 400, 503].flatMap((status) =>
    [true, false].map((anonymous) => ({
      kind: 'token-refused' as const,
      registry,
      realm,
      status,
      asked: anonymous ? '' : 'repository:a/b:pull,push',
      anonymous,
      problems,
    })),
  ),
  'token-invalid': each(tokenFaults, (reason) => ({
    kind: 'token-invalid' as const,
    registry,
    realm,
    status: 200,
    reason,
  })),
  'token-redirected': [
    { kind: 'token-redirected', registry, realm, status: 302, location: 'https://sso.example' },
    { kind: 'token-redirected', registry, realm, status: 302, location: null },
    { kind: 'token-redirected', registry, realm, status: 0, location: null },
  ],
  'rate-limited': [
    {
      kind: 'rate-limited',
      registry,
      realm,
      retryAfterMs: 61_000,
      problems: [{ code: 'TOOMANYREQUESTS', message: '' }],
    },
    { kind: 'rate-limited', registry, realm, retryAfterMs: null, problems: [] },
  ],
  denied: [
    denied('insufficient-scope'),
    denied('insufficient-scope', { granted: '', anonymous: true, asked: '' }),
    denied('insufficient-scope', { challenged: '' }),
    denied('token-refused'),
    denied('challenge-hidden', { challenged: '' }),
    denied('forbidden', { status: 403 }),
    denied('forbidden', { status: 403, anonymous: true, problems: [] }),
    denied('redirect-target'),
    denied('caller-authorization'),
  ],
  'body-spent': [{ kind: 'body-spent', url }],
  'redirect-refused': [
    ...each(redirects, (reason) => ({
      kind: 'redirect-refused' as const,
      from: url,
      to: 'https://cdn.example/blob',
      reason,
      hops: 0,
    })),
    { kind: 'redirect-refused', from: url, to: '', reason: 'hops', hops: 5 },
  ],
  limit: [{ kind: 'limit', url, limit: 'grants', max: 3 }],
  network: [
    ...each(phases, (phase) => ({
      kind: 'network' as const,
      url,
      to: 'registry' as const,
      phase,
      code: 'ECONNREFUSED',
      message: 'connect ECONNREFUSED 127.0.0.1:5000',
    })),
    {
      kind: 'network',
      url: realm,
      to: 'authority',
      phase: 'tls',
      code: 'CERT_HAS_EXPIRED',
      message: 'certificate has expired',
    },
    ...each({ registry: 0, authority: 0 }, (to) => ({
      kind: 'network' as const,
      url: realm,
      to,
      phase: 'unknown' as const,
      code: 'FETCH_FAILED',
      message: 'Failed to fetch',
    })),
    ...each({ registry: 0, authority: 0 }, (to) => ({
      kind: 'network' as const,
      url: realm,
      to,
      phase: 'lookup' as const,
      code: 'ERR_REG_BLOCKED_ADDRESS',
      message: 'auth.example stands for 127.0.0.1, which is loopback',
    })),
    {
      kind: 'network',
      url,
      to: 'registry',
      phase: 'tls',
      code: 'ERR_REG_CERTS',
      message: 'ca.crt holds no certificate',
    },
  ],
  deadline: [
    { kind: 'deadline', registry, realm, ms: 30_000 },
    { kind: 'deadline', registry, realm: null, ms: 1500 },
  ],
};

/** One sample of a kind, the plainest by default. */
export function sample<K extends FailureKind>(kind: K, index = 0): Of<K> {
  const found = samples[kind][index];
  if (found === undefined) throw new TypeError(`there are only ${samples[kind].length} samples of ${kind}`);
  return found;
}

/** Every kind there is. */
export const kinds = Object.keys(samples) as readonly FailureKind[];

/** All samples. */
export const failures: readonly Failure[] = Object.values(samples).flat();
