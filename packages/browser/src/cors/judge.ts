/**
 * What a page's attempts say about the servers it asks (WHATWG Fetch, "HTTP-CORS protocol" and "CORS check").
 *
 * Rules of this file: pure; facts go in, and out comes what to ask next, or a finding. The registry is judged before its token
 * server, since only its challenge says where that is, and a realm is judged before it is asked for anything.
 *
 * Theory: a failed fetch tells a script nothing, so that every verdict is made of what failed and what did not. What can be
 * asked without a preflight is asked first. If that fails and `no-cors` does not, the host is up and CORS is refused; if only
 * what carries `Authorization` fails, the preflight is; if the same with another header passes, its list of headers is. What the
 * deadline ended has not failed: it proves nothing, so that a verdict which would need it to have failed is `no-answer`.
 */

import { judgeRealm, type Policy, parseChallenges } from '@reg/core';
import type { CorsAsk, CorsProbe, CorsServer, Finding, ServerVerdict } from './diagnosis.ts';

/** A probe with what of its answer a decision needs. */
export interface Fact extends CorsProbe {
  /** Whether CORS filtered the answer. */
  readonly filtered: boolean;
  /** `WWW-Authenticate`, if the page may read it. */
  readonly challenge: string | null;
  /** Whether the page may read a `Docker-Content-Digest`. */
  readonly digest: boolean;
}

interface Scene {
  readonly url: URL;
  /** As the platform tells it; `null` outside of browsers. */
  readonly page: string | null;
  readonly facts: readonly Fact[];
  /** Origins that the page's Content-Security-Policy kept it from asking. */
  readonly blocked: readonly string[];
  readonly policy: Policy;
}

type Step =
  | {
      readonly kind: 'ask';
      readonly server: CorsServer;
      readonly url: URL;
      readonly asks: readonly CorsAsk[];
    }
  | { readonly kind: 'found'; readonly finding: Finding };

/** What to ask next, or what all of it means. */
export function judge(scene: Scene): Step {
  const { url, facts, policy } = scene;
  const registry = judgeServer('registry', url, scene);
  if (registry !== null) return registry;
  const ok: Finding = { verdict: 'ok', server: null };
  const answer = facts.find(({ server, ask }) => server === 'registry' && ask === 'plain');
  const challenge = answer?.status === 401 ? answer.challenge : null;
  const bearer = parseChallenges(challenge ?? '', policy.limits).challenges.find(
    ({ scheme, params }) => scheme === 'bearer' && params['realm'] !== undefined,
  );
  if (bearer === undefined) return { kind: 'found', finding: ok };
  const { realm = '', service, scope } = bearer.params;
  const verdict = judgeRealm(realm, { registry: url, credential: false }, policy);
  if (verdict.url === null || !verdict.contact.allow) {
    const reason = verdict.contact.reason;
    const finding = { verdict: 'realm-refused', server: 'token-server', url: verdict.url, reason } as const;
    return { kind: 'found', finding };
  }
  // What an anonymous client asks, since some servers answer anything else with an error that lacks the headers.
  const token = new URL(verdict.url);
  if (service !== undefined) token.searchParams.set('service', service);
  if (scope !== undefined) token.searchParams.set('scope', scope);
  return judgeServer('token-server', token, scene) ?? { kind: 'found', finding: ok };
}

/** Headers that the browser asks leave for in a preflight, but `Authorization`. */
const otherHeaders = ['accept', 'content-type', 'other'] as const;

/** What to ask of one server, or what is wrong with it; `null` when nothing is. */
function judgeServer(server: CorsServer, url: URL, { facts, page, blocked }: Scene): Step | null {
  const seen = (ask: CorsAsk) => facts.find((fact) => fact.server === server && fact.ask === ask);
  const ask = (...asks: CorsAsk[]): Step => ({ kind: 'ask', server, url, asks });
  const found = (verdict: ServerVerdict): Step => ({ kind: 'found', finding: { verdict, server, url } });

  const plain = seen('plain');
  if (plain === undefined) return ask('plain');
  if (plain.saw === 'failure') {
    if (blocked.includes(url.origin)) return found('page-csp');
    if (isMixedContent(url, page)) return found('mixed-content');
    const opaque = seen('no-cors');
    const manual = seen('manual');
    if (opaque === undefined || manual === undefined) return ask('no-cors', 'manual');
    if (manual.saw === 'redirect') return found('redirect-refused');
    if (opaque.saw === 'nothing' || manual.saw === 'nothing') return found('no-answer');
    return found(opaque.saw === 'opaque' ? 'origin-refused' : 'unreachable');
  }
  if (plain.saw !== 'answer') return found('no-answer');
  // The page's own origin, or no browser: all of the answer is shown, and no preflight is sent.
  if (!plain.filtered) return null;
  if (server === 'registry' && plain.status === 401 && plain.challenge === null) {
    return found('challenge-hidden');
  }

  const authorized = seen('authorization');
  if (authorized === undefined) return ask('authorization');
  if (authorized.saw === 'answer') return null;
  if (authorized.saw === 'nothing') return found('no-answer');
  const [first, second, third] = otherHeaders.map(seen);
  if (first === undefined || second === undefined || third === undefined) return ask(...otherHeaders);
  // A made-up header is in nobody's list.
  if (third.saw === 'answer') return found('authorization-not-in-wildcard');
  if (first.saw === 'answer' || second.saw === 'answer') return found('authorization-not-allowed');
  if ([first, second, third].some(({ saw }) => saw === 'nothing')) return found('no-answer');
  return found('preflight-refused');
}

/** Chromium and Firefox let pages on https ask this machine over http (W3C Secure Contexts §3.1). */
function isMixedContent({ protocol, hostname }: URL, page: string | null): boolean {
  return protocol === 'http:' && page !== null && page.startsWith('https:') && !isLoopback(hostname);
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    // The URL parser refuses names that end in a number and are no IPv4 address.
    (hostname.startsWith('127.') && !Number.isNaN(Number(hostname.slice(hostname.lastIndexOf('.') + 1))))
  );
}
