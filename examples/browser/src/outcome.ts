/**
 * How a run ended, in words: what came, or whose fault it is and what to do.
 *
 * Rules of this file: pure. What failed is told by the core's own `describe` and `blame`; the page adds a heading, and the line
 * to add where there is one.
 */

import { blame, describe, type Failure, type RealmPair, toVisible } from '@reg/core';
import { statusWords } from '@reg/core/transcript';
import type { Cut, Ending } from './run.ts';

export interface Outcome {
  readonly tone: 'good' | 'bad' | 'plain';
  readonly title: string;
  /** Who has to act; `''` where nobody has. */
  readonly who: string;
  readonly text: string;
  /** Lines to paste somewhere. */
  readonly lines: readonly Line[];
}

export interface Line {
  readonly label: string;
  readonly text: string;
}

export function outcomeOf(ending: Ending): Outcome {
  switch (ending.type) {
    case 'stopped':
      return { tone: 'plain', title: 'Stopped', who: '', text: 'Nothing more is sent or read.', lines: [] };
    case 'broken':
      return { tone: 'bad', title: 'This cannot be asked', who: '', text: ending.message, lines: [] };
    case 'failed':
      return failed(titles[ending.failure.kind], ending.failure);
    case 'answered': {
      const { status, failure, answer } = ending;
      const heading = statusWords(status);
      if (failure !== null) return failed(`${titles[failure.kind]}: ${heading}`, failure);
      if (status >= 400) {
        const text =
          status === 404
            ? 'This is not about authorization: what was asked for is not there.'
            : 'This is not about authorization.';
        return { tone: 'bad', title: heading, who: '', text, lines: [] };
      }
      if (answer.type === 'text')
        return { tone: 'good', title: heading, who: '', text: 'The registry answered.', lines: [] };
      const { tags, cut } = answer;
      const tone = cut?.reason === 'answer' ? 'plain' : 'good';
      return { tone, title: counted(tags.length), who: '', text: cut === null ? '' : restOf(cut), lines: [] };
    }
  }
}

function restOf(cut: Cut): string {
  if (cut.reason === 'limit') return 'There are more, which this page does not fetch.';
  const isSuccess = cut.status >= 200 && cut.status < 300;
  const unread = isSuccess ? ' and is no list of tags' : '';
  return `There are more tags. The page after these was answered with ${statusWords(cut.status)}${unread}.`;
}

export function counted(tags: number): string {
  return tags === 1 ? '1 tag' : `${tags.toLocaleString('en')} tags`;
}

function failed(title: string, failure: Failure): Outcome {
  return {
    tone: 'bad',
    title,
    who: whose[blame(failure)],
    text: describe(failure),
    lines: linesFor(failure),
  };
}

const whose = {
  caller: 'Yours to mend',
  registry: 'The registry’s operator has to mend it',
  authority: 'The token server’s operator has to mend it',
  network: 'Something in between: network, proxy or CORS',
} as const;

function linesFor(failure: Failure): readonly Line[] {
  switch (failure.kind) {
    case 'realm-untrusted': {
      return failure.reason === 'not-https' ? [] : pairLines(failure.pair);
    }
    case 'realm-forbidden': {
      const { registry, realm, reason } = failure;
      // What is no URL has no origin, and where a cloud keeps credentials is no token server.
      const mayBeMeant = reason === 'loopback' || reason === 'link-local' || reason === 'host-alias';
      return mayBeMeant ? pairLines({ registry, realm: new URL(realm).origin }) : [];
    }
    case 'insecure-transport':
      return [
        {
          label: 'In code, in the policy, if the network in between is yours',
          text: toVisible(`insecureHosts: ['${failure.host}']`),
        },
      ];
    case 'challenge-hidden':
      return [{ label: 'In every answer of the registry', text: failure.line }];
    default:
      return [];
  }
}

function pairLines({ registry, realm }: RealmPair): readonly Line[] {
  const pair = `realms: { pairs: [{ registry: '${registry}', realm: '${realm}' }] }`;
  return [
    { label: 'On this page, as token server to trust, if the two belong together', text: toVisible(realm) },
    { label: 'In code, in the policy', text: toVisible(pair) },
  ];
}

const titles = {
  'challenge-unusable': 'The registry asks in a way nobody can answer',
  'challenge-hidden': 'The page may not read the challenge',
  'scheme-downgrade': 'The registry suddenly wants the password itself',
  'realm-forbidden': 'That token server may not be contacted',
  'realm-untrusted': 'That token server may not see the credential',
  'insecure-transport': 'A secret would travel in the open',
  'credential-missing': 'A credential is needed',
  'credential-rejected': 'The credential was refused',
  'credential-unusable': 'The credential cannot be sent',
  'credential-unavailable': 'The credential could not be looked up',
  'token-refused': 'No token was given',
  'token-invalid': 'That was no token',
  'token-redirected': 'The token server points elsewhere',
  'rate-limited': 'Too many requests',
  denied: 'Access denied',
  'body-spent': 'The body cannot be sent again',
  'redirect-refused': 'That redirect is not followed',
  limit: 'The registry asks again and again',
  network: 'No answer that this page may read',
  deadline: 'No token in time',
} as const satisfies Record<Failure['kind'], string>;
