/**
 * Steps and transcripts made by hand, for what is said about each.
 */

import { defaultPolicy } from '../src/policy.ts';
import { parseScopes } from '../src/scope.ts';
import type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RecordedAuthorization,
  RecordedGrant,
  RecordedSend,
  RetryStep,
  SentStep,
  Transcript,
  TranscriptStep,
} from '../src/transcript/index.ts';

export const registry = 'https://registry.example';
export const realm = 'https://auth.example/token';
export const tagsUrl = `${registry}/v2/a/b/tags/list`;
export const challenge = `Bearer realm="${realm}",service="svc",scope="repository:a/b:pull"`;

export const basic: RecordedAuthorization = { scheme: 'basic', username: 'alice', password: 'redacted-1' };
export const bearer: RecordedAuthorization = { scheme: 'bearer', token: 'redacted-2' };

export function send(rest: Partial<RecordedSend> = {}): RecordedSend {
  return {
    type: 'send',
    to: 'registry',
    method: 'GET',
    url: tagsUrl,
    headers: [['accept', 'application/json']],
    authorization: null,
    body: 'none',
    form: null,
    ...rest,
  };
}

type Reply = SentStep['answer'];

export function reply(
  status: number,
  headers: Extract<Reply, { type: 'response' }>['head']['headers'] = [],
): Reply {
  return { type: 'response', at: 1_038, head: { status, headers }, problems: [], body: null };
}

export const silence = {
  type: 'no-response',
  at: 1_038,
  phase: 'connect',
  code: 'ECONNREFUSED',
  message: 'connect ECONNREFUSED',
} as const;

export function sent(status: number, next: string, rest: Partial<SentStep> = {}): SentStep {
  return {
    machine: 'handshake',
    phase: 'sending',
    at: 1_000,
    effect: send(),
    answer: reply(status),
    next,
    ...rest,
  };
}

export const need = {
  registry,
  scheme: 'bearer',
  realm,
  service: 'svc',
  scopes: parseScopes('repository:a/b:pull'),
  challenged: parseScopes('repository:a/b:pull'),
  repository: 'a/b',
  anonymous: false,
} as const;

export const grant: RecordedGrant = {
  authorization: bearer,
  registry,
  realm,
  service: 'svc',
  principal: 1,
  from: 'exchange',
  asked: parseScopes('repository:a/b:pull'),
  granted: null,
  obtainedAt: 1_040,
  expiresAt: 301_040,
};

export function granted(
  rest: Partial<RecordedGrant> = {},
  reuse: 'fresh' | 'cached' | 'superset' = 'fresh',
): ObtainedStep['answer'] {
  return { type: 'granted', at: 1_100, grant: { ...grant, ...rest }, reuse };
}

export function obtained(rest: Partial<ObtainedStep> = {}): ObtainedStep {
  return {
    machine: 'handshake',
    phase: 'obtaining',
    at: 1_038,
    effect: { type: 'obtain', need, replacing: false },
    answer: granted(),
    next: 'sending',
    ...rest,
  };
}

export function begun(rest: Partial<BegunStep> = {}): BegunStep {
  return {
    machine: 'exchange',
    exchange: 1,
    phase: 'begin',
    at: 1_039,
    need,
    credential: { type: 'password', username: 'alice', password: 'redacted-1' },
    clientId: 'reg',
    principal: 1,
    next: 'getting',
    ...rest,
  };
}

export const tokenQuery = 'service=svc&scope=repository%3Aa%2Fb%3Apull&account=alice';

export function exchanged(
  status: number,
  text: string | null,
  next: string,
  rest: Partial<ExchangedStep> = {},
): ExchangedStep {
  return {
    machine: 'exchange',
    exchange: 1,
    phase: 'getting',
    at: 1_040,
    effect: send({ to: 'authority', url: `${realm}?${tokenQuery}`, authorization: basic }),
    answer: {
      type: 'token-response',
      at: 1_101,
      sentAt: 1_040,
      head: { status, headers: [['content-type', 'application/json']] },
      text,
      retryAfterMs: null,
    },
    next,
    ...rest,
  };
}

export function found(rest: Partial<CredentialStep> = {}): CredentialStep {
  return {
    machine: 'seam',
    phase: 'credential',
    at: 1_039,
    registry,
    found: { type: 'password', source: '~/.docker/config.json' },
    ...rest,
  };
}

export const retried: RetryStep = {
  machine: 'seam',
  phase: 'retry',
  at: 1_050,
  url: `${realm}?${tokenQuery}`,
  status: 503,
  waitMs: 250,
};

export function transcript(steps: readonly TranscriptStep[], rest: Partial<Transcript> = {}): Transcript {
  return {
    version: 1,
    request: { method: 'GET', url: tagsUrl, headers: [['accept', 'application/json']], body: 'none' },
    policy: {
      ...defaultPolicy,
      realms: { mode: 'paired', pairs: [{ registry, realm: 'https://auth.example' }] },
    },
    hint: null,
    steps,
    failure: null,
    ...rest,
  };
}

/** The three requests of a private tag list. */
export const whole: Transcript = transcript([
  sent(401, 'obtaining', {
    answer: {
      type: 'response',
      at: 1_038,
      head: {
        status: 401,
        headers: [
          ['www-authenticate', challenge],
          ['set-cookie', 'redacted-0'],
        ],
      },
      problems: [{ code: 'UNAUTHORIZED', message: 'authentication required' }],
      body: '{"errors":[{"code":"UNAUTHORIZED"}]}',
    },
  }),
  found(),
  begun(),
  exchanged(200, '{"token":"redacted-2","expires_in":300}', 'granted'),
  obtained(),
  sent(200, 'answered', {
    at: 1_102,
    effect: send({ authorization: bearer }),
    answer: { ...reply(200), at: 1_143 },
  }),
]);
