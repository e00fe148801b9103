/**
 * What each step of a transcript means, in one line of English.
 *
 * Rules of this file: it reads the record and decides nothing; it says what the machines did and why, not what they might have
 * done. Its text holds words of peers and names of secrets: whoever shows it makes both safe.
 */

import { readTokenResponse } from '../grant.ts';
import { coversScopes, formatScopes, parseScopes, type Scope } from '../scope.ts';
import { followingHandshake, originOf, parameter } from './legs.ts';
import type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RecordedSend,
  RecordedTokenAnswer,
  RetryStep,
  SentStep,
  TranscriptStep,
} from './transcript.ts';

/** The meaning of `step`, which is `steps[index]`; or `''` where the steps around it say it. */
export function explain(step: TranscriptStep, index: number, steps: readonly TranscriptStep[]): string {
  switch (step.phase) {
    case 'probing':
    case 'sending':
      return explainSent(step, steps, index);
    case 'obtaining':
      return explainObtained(step, steps, index);
    case 'begin':
      return explainBegun(step);
    case 'posting':
    case 'getting':
      return explainExchanged(step, steps, index);
    case 'credential':
      return explainCredential(step);
    case 'retry':
      return explainRetry(step);
  }
}

function explainSent(step: SentStep, steps: readonly TranscriptStep[], index: number): string {
  const { effect, answer, next } = step;
  if (answer.type === 'no-response') return 'no response came';
  const { status } = answer.head;
  const following = followingHandshake(steps, index);
  const carried = effect.authorization !== null;
  const source = mountSource(effect);
  switch (next) {
    case 'obtaining': {
      return following?.phase === 'obtaining'
        ? explainNeed(following.effect, carried)
        : 'the registry wants to know who asks';
    }
    case 'sending':
      return explainAgain(step, status, following);
    case 'failed':
      return 'this is not answered';
    default:
      if (status === 401 || status === 403) return 'this is the registry’s last word';
      if (status >= 400) return 'this is the registry’s answer, and not about authorization';
      if (status === 202 && source !== null) return explainUpload(source, steps, index);
      return `${carried ? 'the registry takes it' : 'the registry asks for nothing'}: this is its answer`;
  }
}

function explainNeed({ need, replacing }: ObtainedStep['effect'], carried: boolean): string {
  if (need.scheme === 'basic') return 'the registry wants user name and password (Basic)';
  const service = need.service === null ? '' : `, service ${need.service}`;
  const wants = !carried
    ? 'the registry wants a Bearer token'
    : replacing
      ? 'the registry does not take this token any more'
      : 'the registry wants more than this token';
  return `${wants}: ask ${need.realm} for ${words(need.scopes)}${service}`;
}

/** A registry request that led to another one, without a token being asked for in between. */
function explainAgain(step: SentStep, status: number, following: TranscriptStep | undefined): string {
  if (step.phase === 'probing') return 'the registry does not ask at its door: send the request itself';
  if (status < 300 || status >= 400) return 'what was remembered of this registry does not hold: begin anew';
  const from = originOf(step.effect.url);
  const to = following?.phase === 'sending' ? originOf(following.effect.url) : 'elsewhere';
  return to === from
    ? 'redirected within the registry'
    : `redirected to ${to}: go there with nothing that was for ${from}`;
}

/** Requirement 139: an upload begins where a mount was asked for. Why is told where it is known. */
function explainUpload(source: string, steps: readonly TranscriptStep[], index: number): string {
  const held = steps.slice(0, index).findLast((step) => step.phase === 'obtaining');
  const grant = held?.answer.type === 'granted' ? held.answer.grant : null;
  const reads = parseScopes(`repository:${source}:pull`);
  const isUnread = grant?.from === 'exchange' && !coversScopes(grant.granted ?? grant.asked, reads);
  const why = isUnread ? `the token does not read ${source}` : `${source} lacks the blob or does not show it`;
  return `not mounted, since ${why}: an upload begins in its place`;
}

/** The repository that a request would mount a blob from, or `null` when it mounts none (distribution spec, end-11). */
function mountSource({ method, url }: RecordedSend): string | null {
  if (method !== 'POST' || !URL.canParse(url)) return null;
  const query = new URL(url).searchParams;
  return query.has('mount') ? query.get('from') : null;
}

function explainObtained(step: ObtainedStep, steps: readonly TranscriptStep[], index: number): string {
  const { answer, next } = step;
  if (answer.type === 'refused') {
    if (next === 'failed') return 'there is nothing to send';
    return `that did not work (${answer.failure.kind}): ${next === 'sending' ? 'begin anew' : 'ask as the registry says now'}`;
  }
  const { grant, reuse, at } = answer;
  if (grant.from === 'credential') {
    return grant.authorization.scheme === 'basic'
      ? `send user name and password to ${grant.registry} itself`
      : `send the ready token to ${grant.registry}`;
  }
  const before = steps[index - 1];
  if (reuse === 'fresh' && before?.machine === 'exchange') return '';
  const left = grant.expiresAt === null ? '' : `, good for ${seconds(grant.expiresAt - at)} more`;
  return `a token for ${words(grant.granted ?? grant.asked)} is at hand${left}`;
}

function explainBegun({ credential, need, next }: BegunStep): string {
  if (next === 'failed') return `${need.realm} is not asked`;
  switch (credential?.type) {
    case undefined:
      return 'ask for it anonymously';
    case 'password':
      return `ask for it as ${credential.username}, with the password`;
    case 'identity':
    case 'registry':
      return 'ask for it with the identity token';
  }
}

function explainExchanged(step: ExchangedStep, steps: readonly TranscriptStep[], index: number): string {
  const { effect, answer, phase, next } = step;
  if (answer.type === 'no-response') return 'no response came';
  const { status } = answer.head;
  if (next === 'granted') return explainGranted(effect, answer);
  if (next === 'failed') return status < 300 ? 'that is no token' : 'the token server gives no token';
  const again = steps.slice(index + 1).find((s) => s.machine === 'exchange');
  if (again === undefined || again.phase === 'begin') return 'ask again';
  if (isSigned(effect) && !isSigned(again.effect)) {
    return 'the credential is refused: ask anonymously (policy.rejectedCredential)';
  }
  return phase === 'posting' && next === 'getting'
    ? 'this token server takes no POST: ask by GET'
    : `refused for all of that: ask for ${asked(again.effect)} alone`;
}

/** Whether a token request carries a credential: only those that do are POSTed. */
function isSigned({ authorization, form }: RecordedSend): boolean {
  return authorization !== null || form !== null;
}

function explainGranted(effect: RecordedSend, answer: RecordedTokenAnswer): string {
  const read = readTokenResponse(answer.text ?? '', answer.sentAt);
  if (!read.ok) return 'that is a token';
  const wanted = asked(effect);
  const given = read.granted === null ? wanted : formatScopes(read.granted);
  const less = given === wanted ? '' : ` (asked for ${wanted})`;
  return `a token for ${given === '' ? 'no scope' : given}${less}, good for ${seconds(read.expiresAt - answer.sentAt)}`;
}

function explainCredential({ registry, found }: CredentialStep): string {
  if (found === null) return `no credential for ${registry}`;
  switch (found.type) {
    case 'anonymous':
      return `no credential for ${registry} (${found.source})`;
    case 'password':
      return `credential for ${registry}: user name and password (${found.source})`;
    case 'identity':
      return `credential for ${registry}: an identity token (${found.source})`;
    case 'registry':
      return `credential for ${registry}: a ready token (${found.source})`;
  }
}

function explainRetry({ url, status, waitMs }: RetryStep): string {
  const why = status === null ? 'no response' : `${status}`;
  return `${why} from ${originOf(url)}: ask again after ${seconds(waitMs)}`;
}

function asked(effect: RecordedSend): string {
  return parameter(effect, 'scope').join(' ');
}

function words(scopes: readonly Scope[]): string {
  return scopes.length === 0 ? 'no scope' : formatScopes(scopes);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
