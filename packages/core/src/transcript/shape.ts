/**
 * The shape of a transcript: what `toJson` writes and `readTranscript` takes.
 *
 * Rules of this file: one description for both directions, checked against the types by the compiler, so that a field added to
 * a type must be added here. What a transcript does not name is neither written nor read.
 */

import {
  contactWords,
  credentialWords,
  phaseWords,
  redirectWords,
  releaseWords,
  tokenWords,
} from '../error.ts';
import type { Failure } from '../failure.ts';
import type { Need } from '../grant.ts';
import type { Hint } from '../handshake.ts';
import {
  exposeChallenge,
  type Head,
  type HeaderList,
  type Problem,
  type RegistryRequest,
  type Timing,
} from '../message.ts';
import type { Limits, Policy, RealmPair, Retry, Scheme } from '../policy.ts';
import type { Bound } from '../redirect.ts';
import type { OpaqueScope, ResourceScope, Scope } from '../scope.ts';
import type { Claims } from './claims.ts';
import {
  exactly,
  flag,
  list,
  members,
  nullable,
  number,
  oneOf,
  pair,
  type Reader,
  record,
  text,
  variant,
} from './reader.ts';
import type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RecordedAnswer,
  RecordedAuthorization,
  RecordedCredential,
  RecordedSend,
  RetryStep,
  SentStep,
  Transcript,
  TranscriptStep,
} from './transcript.ts';

type Answer<T extends RecordedAnswer['type']> = Extract<RecordedAnswer, { readonly type: T }>;
type Policed<K extends keyof Policy> = Policy[K];

const headers: Reader<HeaderList> = list(pair(text, text));
const problems: Reader<readonly Problem[]> = list(record<Problem>({ code: text, message: text }));
const scheme: Reader<Scheme> = oneOf<Scheme>({ bearer: 0, basic: 0 });

const request = record<RegistryRequest>(
  {
    method: text,
    url: text,
    headers,
    body: oneOf({ none: 0, replayable: 0, once: 0 }),
    redirect: oneOf({ follow: 0, manual: 0 }),
  },
  ['redirect'],
);

const head = record<Head>({ status: number, headers, url: text, filtered: flag, known: text }, [
  'url',
  'filtered',
  'known',
]);

const timing = record<Timing>({
  lookupMs: nullable(number),
  connectMs: nullable(number),
  tlsMs: nullable(number),
  waitMs: number,
});

const realmPair = record<RealmPair>({ registry: text, realm: text });

const policy = record<Policy>({
  schemes: list(scheme),
  realms: record<Policed<'realms'>>({ mode: oneOf({ paired: 0, 'any-https': 0 }), pairs: list(realmPair) }),
  redirects: record<Policed<'redirects'>>({
    mode: oneOf({ judge: 0, platform: 0 }),
    max: number,
    crossOrigin: oneOf({ anonymous: 0, bare: 0, refuse: 0 }),
  }),
  insecureHosts: list(text),
  rejectedCredential: oneOf({ fail: 0, 'anonymous-pull': 0 }),
  oauth2: oneOf({ 'identity-only': 0, prefer: 0 }),
  account: flag,
  deadlineMs: number,
  retry: record<Retry>({ attempts: number, baseMs: number, capMs: number, budget: number }),
  limits: record<Limits>({
    grants: number,
    hops: number,
    challengeBytes: number,
    challenges: number,
    params: number,
    realmChars: number,
    tokenBodyBytes: number,
    problemBytes: number,
    cachedGrants: number,
    origins: number,
  }),
});

const open = record<Extract<Hint, { scheme: 'none' }>>({
  scheme: exactly('none'),
  elsewhere: nullable(text),
});
const challenged = record<Exclude<Hint, { scheme: 'none' }>>({
  scheme,
  realm: nullable(text),
  service: nullable(text),
  elsewhere: nullable(text),
});
const hint: Reader<Hint> = (value, path) => {
  return members(value, path)['scheme'] === 'none' ? open(value, path) : challenged(value, path);
};

const resourceScope = record<ResourceScope>({ type: text, class: text, name: text, actions: list(text) }, [
  'class',
]);
const opaqueScope = record<OpaqueScope>({ opaque: text });
const scopes: Reader<readonly Scope[]> = list((value, path) => {
  return Object.hasOwn(members(value, path), 'opaque')
    ? opaqueScope(value, path)
    : resourceScope(value, path);
});

const claims = record<Claims>({
  issuer: nullable(text),
  subject: nullable(text),
  audience: list(text),
  issuedAt: nullable(number),
  notBefore: nullable(number),
  expiresAt: nullable(number),
  access: nullable(scopes),
  others: list(text),
});

const need = record<Need>({
  registry: text,
  scheme,
  realm: nullable(text),
  service: nullable(text),
  scopes,
  challenged: scopes,
  repository: nullable(text),
  anonymous: flag,
});

const credential = variant<RecordedCredential, 'type'>('type', {
  password: record({ type: exactly('password'), username: text, password: text }),
  identity: record({ type: exactly('identity'), token: text }),
  registry: record({ type: exactly('registry'), token: text }),
});

const authorization = variant<RecordedAuthorization, 'scheme'>('scheme', {
  basic: record({ scheme: exactly('basic'), username: text, password: text }),
  bearer: record({ scheme: exactly('bearer'), token: text }),
});

const failure = variant<Failure, 'kind'>('kind', {
  'challenge-unusable': record({
    kind: exactly('challenge-unusable'),
    url: text,
    reason: oneOf({ absent: 0, malformed: 0, 'unsupported-scheme': 0, 'no-realm': 0 }),
    offered: list(text),
    problems: list(record({ offset: number, message: text })),
  }),
  'challenge-hidden': record({
    kind: exactly('challenge-hidden'),
    url: text,
    line: exactly(exposeChallenge),
  }),
  'scheme-downgrade': record({
    kind: exactly('scheme-downgrade'),
    url: text,
    registry: text,
    realm: nullable(text),
  }),
  'realm-forbidden': record({
    kind: exactly('realm-forbidden'),
    registry: text,
    realm: text,
    reason: oneOf(contactWords),
  }),
  'realm-untrusted': record({
    kind: exactly('realm-untrusted'),
    registry: text,
    realm: text,
    reason: oneOf(releaseWords),
    pair: realmPair,
  }),
  'insecure-transport': record({ kind: exactly('insecure-transport'), url: text, host: text }),
  'credential-missing': record({
    kind: exactly('credential-missing'),
    registry: text,
    scheme,
    realm: nullable(text),
    status: number,
    problems,
  }),
  'credential-rejected': record({
    kind: exactly('credential-rejected'),
    registry: text,
    scheme,
    realm: nullable(text),
    status: number,
    anonymousPull: flag,
    problems,
  }),
  'credential-unusable': record({
    kind: exactly('credential-unusable'),
    registry: text,
    scheme,
    reason: oneOf(credentialWords),
  }),
  'credential-unavailable': record({
    kind: exactly('credential-unavailable'),
    registry: text,
    message: text,
  }),
  'token-refused': record({
    kind: exactly('token-refused'),
    registry: text,
    realm: text,
    status: number,
    asked: text,
    anonymous: flag,
    problems,
  }),
  'token-invalid': record({
    kind: exactly('token-invalid'),
    registry: text,
    realm: text,
    status: number,
    reason: oneOf(tokenWords),
  }),
  'token-redirected': record({
    kind: exactly('token-redirected'),
    registry: text,
    realm: text,
    status: number,
    location: nullable(text),
  }),
  'rate-limited': record({
    kind: exactly('rate-limited'),
    registry: text,
    realm: text,
    retryAfterMs: nullable(number),
    problems,
  }),
  denied: record({
    kind: exactly('denied'),
    url: text,
    status: number,
    reason: oneOf({
      'insufficient-scope': 0,
      'token-refused': 0,
      'challenge-hidden': 0,
      forbidden: 0,
      'redirect-target': 0,
      'caller-authorization': 0,
    }),
    asked: text,
    challenged: text,
    granted: nullable(text),
    anonymous: flag,
    problems,
  }),
  'body-spent': record({ kind: exactly('body-spent'), url: text }),
  'redirect-refused': record(
    {
      kind: exactly('redirect-refused'),
      from: text,
      to: text,
      reason: oneOf(redirectWords),
      hops: number,
      bound: record<Bound>({ method: nullable(text), headers: list(text) }),
    },
    ['bound'],
  ),
  limit: record({ kind: exactly('limit'), url: text, limit: exactly('grants'), max: number }),
  network: record({
    kind: exactly('network'),
    url: text,
    to: oneOf({ registry: 0, authority: 0 }),
    phase: oneOf(phaseWords),
    code: text,
    message: text,
  }),
  deadline: record({ kind: exactly('deadline'), registry: text, realm: nullable(text), ms: number }),
});

const send = record<RecordedSend>({
  type: exactly('send'),
  to: oneOf({ registry: 0, authority: 0 }),
  method: text,
  url: text,
  headers,
  authorization: nullable(authorization),
  body: oneOf({ none: 0, caller: 0, form: 0 }),
  form: nullable(list(pair(text, text))),
});

const response = record<Answer<'response'>>(
  {
    type: exactly('response'),
    at: number,
    head,
    problems,
    body: nullable(text),
    address: exactly('unchecked'),
    timing,
  },
  ['address', 'timing'],
);

const tokenResponse = record<Answer<'token-response'>>(
  {
    type: exactly('token-response'),
    at: number,
    sentAt: number,
    head,
    text: nullable(text),
    retryAfterMs: nullable(number),
    claims: nullable(claims),
    address: exactly('unchecked'),
    timing,
  },
  ['claims', 'address', 'timing'],
);

const noResponse = record<Answer<'no-response'>>({
  type: exactly('no-response'),
  at: number,
  phase: oneOf(phaseWords),
  code: text,
  message: text,
});

const refused = record<Answer<'refused'>>({ type: exactly('refused'), at: number, failure });

const granted = record<Answer<'granted'>>({
  type: exactly('granted'),
  at: number,
  grant: record<Answer<'granted'>['grant']>({
    registry: text,
    realm: nullable(text),
    service: nullable(text),
    principal: number,
    from: oneOf({ exchange: 0, credential: 0 }),
    asked: scopes,
    granted: nullable(scopes),
    obtainedAt: number,
    expiresAt: nullable(number),
    authorization,
  }),
  reuse: oneOf({ fresh: 0, cached: 0, superset: 0 }),
});

const sent = record<SentStep>({
  machine: exactly('handshake'),
  phase: oneOf({ probing: 0, sending: 0 }),
  at: number,
  effect: send,
  answer: variant<Answer<'response' | 'no-response'>, 'type'>('type', {
    response,
    'no-response': noResponse,
  }),
  next: text,
});

const obtained = record<ObtainedStep>({
  machine: exactly('handshake'),
  phase: exactly('obtaining'),
  at: number,
  effect: record<ObtainedStep['effect']>({
    type: exactly('obtain'),
    need,
    replacing: flag,
  }),
  answer: variant<Answer<'granted' | 'refused'>, 'type'>('type', { granted, refused }),
  next: text,
});

const began = record<BegunStep>({
  machine: exactly('exchange'),
  exchange: number,
  phase: exactly('begin'),
  at: number,
  need,
  credential: nullable(credential),
  clientId: text,
  principal: number,
  next: text,
});

const exchanged = record<ExchangedStep>({
  machine: exactly('exchange'),
  exchange: number,
  phase: oneOf({ posting: 0, getting: 0 }),
  at: number,
  effect: send,
  answer: variant<Answer<'token-response' | 'no-response'>, 'type'>('type', {
    'token-response': tokenResponse,
    'no-response': noResponse,
  }),
  next: text,
});

const found = record<CredentialStep>({
  machine: exactly('seam'),
  phase: exactly('credential'),
  at: number,
  registry: text,
  found: nullable(
    record({ type: oneOf({ password: 0, identity: 0, registry: 0, anonymous: 0 }), source: text }),
  ),
});

const retried = record<RetryStep>({
  machine: exactly('seam'),
  phase: exactly('retry'),
  at: number,
  url: text,
  status: nullable(number),
  waitMs: number,
});

const step: Reader<TranscriptStep> = (value, path) => {
  const { machine, phase } = members(value, path);
  switch (machine) {
    case 'seam':
      return phase === 'retry' ? retried(value, path) : found(value, path);
    case 'exchange':
      return phase === 'begin' ? began(value, path) : exchanged(value, path);
    default:
      return phase === 'obtaining' ? obtained(value, path) : sent(value, path);
  }
};

const transcript = record<Transcript>({
  version: exactly(1),
  request,
  policy,
  hint: nullable(hint),
  steps: list(step),
  failure: nullable(failure),
});

/**
 * The transcript that `value` is, members in the order of the types and others left out.
 *
 * @throws TypeError that names the first place where it is none
 */
export function readTranscript(value: unknown): Transcript {
  return transcript(value, 'transcript');
}
