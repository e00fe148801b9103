/**
 * Why a page cannot use a registry: `diagnoseCors`.
 *
 * Rules of this file: it asks what `judge` wants asked, until that has found something; one deadline is over all of it. Whatever
 * a server does is a verdict, never an error.
 */

import { completePolicy, type PartialPolicy } from '@reg/core';
import { headerFor, summaryOf } from './describe.ts';
import type { CorsDiagnosis, CorsFixes, Finding } from './diagnosis.ts';
import { fixesFor } from './fixes.ts';
import { type Fact, judge } from './judge.ts';
import { probe } from './probe.ts';

export interface DiagnoseCorsOptions {
  /** `realms.pairs` and `insecureHosts` say which token servers may be contacted; `deadlineMs` bounds the whole, 30 s by default. */
  readonly policy?: PartialPolicy;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal;
}

/**
 * Finds out what keeps this page or worker from using a registry. Call it where the trouble is: what it finds is true of the
 * page it runs in.
 *
 * It asks the registry, and the token server that its challenge names if that may be contacted: one to five GET requests each,
 * without cookies, of which some have the browser send a preflight. None has a credential; what stands in `Authorization` is
 * `CORS-Probe`, a scheme without one.
 *
 * @param url of the registry: anything below `/v2/` is asked for as it is, without its query; for anything else, `/v2/`
 * @returns what is in the way first, and what to add where. Rejects for nothing that a server does.
 * @throws TypeError when `url` is no absolute http or https URL, or holds a user name or password, which is not shown; the
 *   signal's reason when it aborts
 */
export async function diagnoseCors(
  url: string | URL,
  options: DiagnoseCorsOptions = {},
): Promise<CorsDiagnosis> {
  const { fetch = globalThis.fetch, signal } = options;
  const target = targetOf(String(url));
  const policy = completePolicy(options.policy);
  signal?.throwIfAborted();

  const ended = new AbortController();
  const onAbort = (): void => ended.abort();
  signal?.addEventListener('abort', onAbort);
  // More than 31 bits would ring at once.
  const timer = setTimeout(onAbort, Math.min(policy.deadlineMs, 2_147_483_647));
  const blocked = watchPolicy();
  try {
    const facts: Fact[] = [];
    const page = pageOrigin();
    for (;;) {
      const step = judge({ url: target, page, facts, blocked: blocked.origins, policy });
      if (step.kind === 'found') return diagnosisOf(step.finding, target, page, facts);
      const { server, url, asks } = step;
      const seen = await Promise.all(asks.map((ask) => probe(fetch, server, url, ask, ended.signal)));
      signal?.throwIfAborted();
      facts.push(...seen);
      // The event of a violation is a task of its own, which may come after the failure.
      if (seen.some(({ saw }) => saw === 'failure')) await new Promise((resolve) => setTimeout(resolve));
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    blocked.end();
  }
}

function targetOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TypeError('[@reg/browser] diagnoseCors takes an absolute URL, https or http');
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('[@reg/browser] the URL to diagnose holds a user name or password: leave it out');
  }
  return new URL(url.pathname.includes('/v2/') ? url.pathname : '/v2/', url.origin);
}

/** As the platform tells it, `null` as text where a page has none; `null` outside of browsers. */
function pageOrigin(): string | null {
  return 'origin' in globalThis && typeof globalThis.origin === 'string' ? globalThis.origin : null;
}

/** Notes the origins that the page's Content-Security-Policy keeps it from asking, until `end` is called. */
function watchPolicy(): { readonly origins: readonly string[]; end(): void } {
  const origins: string[] = [];
  const note = (event: SecurityPolicyViolationEvent): void => {
    const { disposition, effectiveDirective, blockedURI } = event;
    if (disposition !== 'enforce' || effectiveDirective !== 'connect-src') return;
    if (URL.canParse(blockedURI)) origins.push(new URL(blockedURI).origin);
  };
  // A document's events reach its window; a worker's are its own.
  const at = 'addEventListener' in globalThis ? globalThis : null;
  at?.addEventListener('securitypolicyviolation', note);
  return { origins, end: () => at?.removeEventListener('securitypolicyviolation', note) };
}

/** What a server's configuration mends. */
function fixesOf(finding: Finding, page: string | null): CorsFixes | null {
  switch (finding.verdict) {
    case 'origin-refused':
    case 'challenge-hidden':
    case 'preflight-refused':
    case 'authorization-not-allowed':
    case 'authorization-not-in-wildcard':
      return fixesFor(finding.server, finding.url, page);
    case 'ok':
    case 'unreachable':
    case 'no-answer':
    case 'mixed-content':
    case 'page-csp':
    case 'redirect-refused':
    case 'realm-refused':
      return null;
  }
}

function diagnosisOf(finding: Finding, url: URL, page: string | null, facts: readonly Fact[]): CorsDiagnosis {
  return {
    url: url.href,
    page,
    verdict: finding.verdict,
    server: finding.server,
    header: headerFor(finding, page, facts),
    summary: summaryOf(finding, page, facts),
    probes: facts.map(({ server, ask, request, sent, saw, status }) => ({
      server,
      ask,
      request,
      sent,
      saw,
      status,
    })),
    fixes: fixesOf(finding, page),
  };
}
