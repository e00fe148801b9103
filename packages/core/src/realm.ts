/**
 * Whom a challenge may send us to, and with what.
 *
 * Rules of this file: to contact a realm and to give it a credential are two decisions, made here and nowhere else, each
 * a verdict with the reason that decided. What has a credential's release allowed has its contact allowed. A realm is
 * input of an attacker: a registry that is hostile, or one that an attacker reached through a redirect, writes what it
 * likes into it (CVE-2026-24845, CVE-2026-33540, CVE-2026-48978). The third decision, where the token goes that the realm
 * returns, is `grant.ts`: to the registry it was asked for.
 */

import { type BlockedAddress, classifyHost, isBlocked } from './address.ts';
import type { Addresses } from './effect.ts';
import { builtInPairs } from './pairs.ts';
import type { Policy, RealmPair } from './policy.ts';
import { blockedAddress, isSameHostAndPort, readTarget, type TargetFault } from './target.ts';

/** A decision and the fact that decided it. */
export interface Verdict<R extends string = string> {
  readonly allow: boolean;
  readonly reason: R;
}

export type ContactReason =
  /** Allowed: over https, to an address that is not blocked or is the registry's own. */
  | 'https'
  /** Allowed over http, since the registry itself may speak it. */
  | 'insecure-registry'
  /** Allowed: an address that would be blocked, but a pair of the user names it. */
  | 'user-pair'
  /** Refused: http for a registry on https, or on http without leave (Q17). */
  | 'not-https'
  | TargetFault
  | BlockedAddress;

export type ReleaseReason =
  /** Allowed: there is nothing to release. */
  | 'no-credential'
  | 'same-origin'
  /** Allowed: the registry's host, on any port if both are https, on loopback on the same port only. */
  | 'same-host'
  /** Allowed: it controls the DNS of the registry's host already. */
  | 'ancestor-domain'
  | 'built-in-pair'
  | 'user-pair'
  /** Allowed by `realms.mode: 'any-https'` and by nothing better. */
  | 'any-https'
  /** Refused: the realm may not be contacted at all. */
  | 'no-contact'
  /** Refused: the realm or the registry may not carry a secret, since it speaks http without leave. */
  | 'not-https'
  /** Refused: nothing binds this realm to this registry. */
  | 'unrelated';

export interface RealmVerdict {
  /** Where the token request goes, without its fragment; `null` when the text is no URL that anyone may use. */
  readonly url: URL | null;
  readonly contact: Verdict<ContactReason>;
  readonly release: Verdict<ReleaseReason>;
}

/**
 * Judges the realm of a Bearer challenge.
 *
 * @param realm the parameter's value as it came; relative ones are resolved (requirement 33)
 * @param about `registry`: the URL of the response that carried the challenge, or the registry's origin, of which path
 *   and query count only for a relative realm; `credential`: whether one is to be sent along
 * @throws TypeError when `registry` is no absolute URL; never for anything in `realm`
 */
export function judgeRealm(
  realm: string,
  about: { readonly registry: string | URL; readonly credential: boolean },
  policy: Policy,
): RealmVerdict {
  const registry = new URL(String(about.registry));
  const { url, fault } = readTarget(realm, registry, policy.limits.realmChars);
  const contact: Verdict<ContactReason> =
    url === null ? { allow: false, reason: fault } : judgeContact(url, registry, policy);
  if (url === null || !contact.allow)
    return { url, contact, release: { allow: false, reason: 'no-contact' } };
  if (!about.credential) return { url, contact, release: { allow: true, reason: 'no-credential' } };
  return { url, contact, release: judgeRelease(url, registry, policy) };
}

/**
 * Which addresses a connection to `url`, a host that may be contacted, may be made to. The caller's own host may be anywhere,
 * and so may what a pair of the user names. A blocked address that is written out was judged as it stands.
 *
 * @param named `registry`: any URL of the registry that led to `url`, by its realm or by redirect; `byCaller`: whether that
 *   registry is one the caller named, and not itself a redirect's target
 */
export function addressesFor(
  url: URL,
  named: { readonly registry: URL; readonly byCaller: boolean },
  policy: Policy,
): Addresses {
  if (named.byCaller && isSameHostAndPort(url, named.registry)) return 'any';
  if (isBlocked(classifyHost(url.hostname))) return 'any';
  return isPaired(url, named.registry, policy.realms.pairs) ? 'any' : 'unblocked';
}

/** Whether a secret may travel to `url`: over https, or over http to loopback or a host of `policy.insecureHosts`. */
export function mayCarrySecrets(url: URL, policy: Policy): boolean {
  if (url.protocol !== 'http:') return url.protocol === 'https:';
  // `host` leaves out port 80, which a policy may or may not have written.
  return (
    // What ends in `.localhost` is asked of DNS by some resolvers, and DNS may say anything.
    (classifyHost(url.hostname) === 'loopback' && !url.hostname.endsWith('.localhost')) ||
    policy.insecureHosts.includes(url.host) ||
    policy.insecureHosts.includes(`${url.host}:80`)
  );
}

/** Whether a pair, built-in or the user's, names this registry: its token server is known, and is no secret of its own. */
export function inPair(registryOrigin: string, policy: Policy): boolean {
  const names = (pair: RealmPair): boolean => pair.registry === registryOrigin;
  return builtInPairs.some(names) || policy.realms.pairs.some(names);
}

function judgeContact(url: URL, registry: URL, policy: Policy): Verdict<ContactReason> {
  const overHttp = url.protocol === 'http:';
  if (overHttp && (registry.protocol !== 'http:' || !mayCarrySecrets(registry, policy))) {
    return { allow: false, reason: 'not-https' };
  }
  const blocked = blockedAddress(url, registry);
  if (blocked === null) return { allow: true, reason: overHttp ? 'insecure-registry' : 'https' };
  if (isPaired(url, registry, policy.realms.pairs)) return { allow: true, reason: 'user-pair' };
  return { allow: false, reason: blocked };
}

function judgeRelease(url: URL, registry: URL, policy: Policy): Verdict<ReleaseReason> {
  // A token for a registry that may not carry one would be obtained for nobody.
  if (!mayCarrySecrets(url, policy) || !mayCarrySecrets(registry, policy)) {
    return { allow: false, reason: 'not-https' };
  }
  const relation = relationOf(url, registry, policy);
  if (relation !== null) return { allow: true, reason: relation };
  if (policy.realms.mode === 'any-https' && url.protocol === 'https:')
    return { allow: true, reason: 'any-https' };
  return { allow: false, reason: 'unrelated' };
}

/** What binds the realm to the registry, the closest first; or `null`. */
function relationOf(url: URL, registry: URL, policy: Policy): ReleaseReason | null {
  if (url.origin === registry.origin) return 'same-origin';
  if (isSameHost(url, registry)) return 'same-host';
  if (isAncestor(url, registry)) return 'ancestor-domain';
  if (isPaired(url, registry, builtInPairs)) return 'built-in-pair';
  if (isPaired(url, registry, policy.realms.pairs)) return 'user-pair';
  return null;
}

/** On loopback and its like every port is a service of another owner; elsewhere the host's owner owns its https ports. */
function isSameHost(url: URL, registry: URL): boolean {
  if (url.hostname !== registry.hostname) return false;
  if (isBlocked(classifyHost(url.hostname))) return isSameHostAndPort(url, registry);
  return url.protocol === 'https:' && registry.protocol === 'https:';
}

/**
 * `gitlab.corp` for `registry.gitlab.corp`. Two labels or more, so that no top-level domain is one; siblings are not, since
 * `a.azurecr.io` and `b.azurecr.io` are two customers. An IP address never is: `new URL()` refuses names that end in one.
 */
function isAncestor(url: URL, registry: URL): boolean {
  return (
    url.protocol === 'https:' &&
    url.port === '' &&
    url.hostname.includes('.') &&
    registry.hostname.endsWith(`.${url.hostname}`)
  );
}

function isPaired(url: URL, registry: URL, pairs: readonly RealmPair[]): boolean {
  return pairs.some((pair) => pair.registry === registry.origin && pair.realm === url.origin);
}
