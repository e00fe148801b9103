/**
 * What each step of a transcript means, in one line of English.
 *
 * Rules of this file: it reads the record and decides nothing; it says what the machines did and why, not what they might have
 * done. Its text holds words of peers and names of secrets: whoever shows it makes both safe.
 */

import { type Need, readTokenResponse } from '../grant.ts';
import { type Head, hidesChallenge } from '../message.ts';
import type { Policy } from '../policy.ts';
import { judgeRealm, type ReleaseReason } from '../realm.ts';
import { coversScopes, formatScopes, missingScopes, parseScopes, type Scope } from '../scope.ts';
import { originOf, parameter, stepAfter } from './legs.ts';
import type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RecordedSend,
  RecordedTokenAnswer,
  RetryStep,
  SentStep,
  Transcript,
  TranscriptStep,
} from './transcript.ts';

/** What is read of a transcript. */
export type Story = Pick<Transcript, 'steps' | 'policy'>;

/** The meaning of `step`, which is `steps[index]`; or `''` where the steps around it say it. */
export function explain(step: TranscriptStep, index: number, { steps, policy }: Story): string {
  switch (step.phase) {
    case 'probing':
    case 'sending':
      return explainSent(step, steps, index);
    case 'obtaining':
      return explainObtained(step, steps, index);
    case 'begin':
      return explainBegun(step, policy);
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
  if (status === 0 && next !== 'sending') return 'where it leads is hidden: only the platform could follow';
  const following = stepAfter('handshake', steps, index);
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
      return isHidden(answer.head)
        ? 'what the registry wants is hidden from this page'
        : 'this is not answered';
    default:
      if (isHidden(answer.head))
        return 'what the registry wants is hidden from this page, and this is its last word';
      if (status === 401 || status === 403) return 'this is the registry’s last word';
      if (status >= 400) return 'this is the registry’s answer, and not about authorization';
      if (status === 202 && source !== null) return explainUpload(source, steps, index);
      return `${carried ? 'the registry takes it' : 'the registry asks for nothing'}: this is its answer`;
  }
}

/** A 401 whose challenge the platform does not show, and nobody knows. */
function isHidden(head: Head): boolean {
  return head.status === 401 && head.known === undefined && hidesChallenge(head);
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

function explainBegun({ credential, need, next }: BegunStep, policy: Policy): string {
  if (next === 'failed') return `${need.realm} is not asked`;
  switch (credential?.type) {
    case undefined:
      return 'ask for it anonymously';
    case 'password':
      return `ask for it as ${credential.username}, with the password${explainRelease(need, policy)}`;
    case 'identity':
    case 'registry':
      return `ask for it with the identity token${explainRelease(need, policy)}`;
  }
}

/** Why the token server may see the credential. */
function explainRelease({ realm, registry }: Need, policy: Policy): string {
  if (realm === null || !URL.canParse(registry)) return '';
  const { url, release } = judgeRealm(realm, { registry, credential: true }, policy);
  const why = releaseWords.get(release.reason);
  return url === null || why === undefined ? '' : `, which ${url.host} may see: ${why}`;
}

const releaseWords: ReadonlyMap<ReleaseReason, string> = new Map([
  ['same-origin', 'it is the registry itself'],
  ['same-host', 'it is the registry’s own host'],
  ['ancestor-domain', 'it is a parent domain of the registry'],
  ['built-in-pair', 'it is known to be this registry’s'],
  ['user-pair', 'you trust it with this registry'],
  ['any-https', 'the policy trusts any https realm'],
]);

function explainExchanged(step: ExchangedStep, steps: readonly TranscriptStep[], index: number): string {
  const { effect, answer, phase, next } = step;
  if (answer.type === 'no-response') return 'no response came';
  const { status } = answer.head;
  if (next === 'granted') return explainGranted(effect, answer);
  if (next === 'failed') {
    if (status > 0 && status < 300) return 'that is no token';
    return status === 401 && isSigned(effect)
      ? 'the token server refuses the credential'
      : 'the token server gives no token';
  }
  const again = stepAfter('exchange', steps, index);
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
  const life = `good for ${seconds(read.expiresAt - answer.sentAt)}`;
  const wanted = parseScopes(asked(effect));
  const given = grantedBy(answer);
  const missing = missingFrom(effect, answer);
  if (given === null || missing.length === 0) return `a token for ${words(given ?? wanted)}, ${life}`;
  const some = words(given.filter((scope) => !('actions' in scope) || scope.actions.length > 0));
  return `asked for ${words(wanted)}, got a token for ${some}, ${life}; not granted: ${explainMissing(missing, wanted)}`;
}

/** What of the scopes that were asked for was not granted, as far as anybody says. */
export function missingFrom(effect: RecordedSend, answer: RecordedTokenAnswer): readonly Scope[] {
  const given = grantedBy(answer);
  return given === null ? [] : missingScopes(given, parseScopes(asked(effect)));
}

/** What the registry goes by is in the token, if anybody but the registry can read it; else what its server says beside it. */
function grantedBy({ claims, text, sentAt }: RecordedTokenAnswer): readonly Scope[] | null {
  const read = readTokenResponse(text ?? '', sentAt);
  return claims?.access ?? (read.ok ? read.granted : null);
}

/** `push`, where one resource alone was asked for; else the scopes in full. */
function explainMissing(missing: readonly Scope[], wanted: readonly Scope[]): string {
  const [only] = missing;
  return wanted.length === 1 && only !== undefined && 'actions' in only
    ? only.actions.join(',')
    : formatScopes(missing);
}

/** What the token of a token response says of itself, where that was recorded; else `''`. */
export function explainClaims(step: TranscriptStep): string {
  if (!('answer' in step) || step.answer.type !== 'token-response') return '';
  const { claims, at } = step.answer;
  if (claims === undefined) return '';
  if (claims === null) return 'the token is opaque: only its registry can read it';
  const { issuer, subject, audience, issuedAt, notBefore, expiresAt, others } = claims;
  const parts = [
    ...(issuer === null ? [] : [`issued by ${issuer}`]),
    ...(subject === null ? [] : [`for ${subject}`]),
    ...(audience.length === 0 ? [] : [`to be shown to ${audience.join(', ')}`]),
    ...(expiresAt === null ? [] : [`ends ${seconds(expiresAt - at)} after it came`]),
    ...aheadWords(Math.max(issuedAt ?? 0, notBefore ?? 0) - at),
    ...(others.length === 0 ? [] : [`not shown: ${others.join(', ')}`]),
  ];
  return parts.length === 0 ? '' : `the token says: ${parts.join('; ')}`;
}

/** Times in a token are whole seconds, rounded by whoever issued it as it likes. */
function aheadWords(ms: number): readonly string[] {
  return ms > 1_000 ? [`clock skew: it begins ${seconds(ms)} from now`] : [];
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
