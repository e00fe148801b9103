/** The words of a diagnosis: the only place of them with English. Rules: pure; of a server no text but its URL's origin. */

import type { Finding } from './diagnosis.ts';
import { allowedOrigin } from './fixes.ts';
import type { Fact } from './judge.ts';

/** The header line to add; `null` where no line is known to be missing. */
export function headerFor(finding: Finding, page: string | null, facts: readonly Fact[]): string | null {
  switch (finding.verdict) {
    case 'origin-refused':
      return `Access-Control-Allow-Origin: ${allowedOrigin(page)}`;
    case 'redirect-refused':
      // Behind two hops across origins the page's is sent as `null` (WHATWG Fetch §4.4, "redirect-tainted").
      return 'Access-Control-Allow-Origin: *';
    case 'challenge-hidden':
      return 'Access-Control-Expose-Headers: WWW-Authenticate';
    case 'authorization-not-allowed':
    case 'authorization-not-in-wildcard':
      return 'Access-Control-Allow-Headers: Authorization';
    case 'ok':
      return lacksDigest(facts) ? 'Access-Control-Expose-Headers: Docker-Content-Digest' : null;
    case 'unreachable':
    case 'no-answer':
    case 'mixed-content':
    case 'preflight-refused':
    case 'realm-refused':
    // A second policy beside the page's own would only forbid more (CSP3 §8.1).
    case 'page-csp':
      return null;
  }
}

/** What is wrong and what to do about it. */
export function summaryOf(finding: Finding, page: string | null, facts: readonly Fact[]): string {
  const header = headerFor(finding, page, facts);
  if (finding.verdict === 'ok') {
    if (page === null) return 'This is no page of a browser, so that no server has to allow it anything.';
    const odd = oddStatus(facts);
    if (odd !== null) {
      return `CORS lets this page read, but the registry answered ${odd} where 200 or 401 is due: what is wrong there is no matter of CORS.`;
    }
    return header === null
      ? 'Nothing of CORS keeps this page from signing in and reading.'
      : `Nothing of CORS keeps this page from reading, but it sees no digest of manifests: if the registry sends one, have it add "${header}".`;
  }
  if (finding.verdict === 'realm-refused') {
    const at = finding.url === null ? '' : ` at ${finding.url.origin}`;
    return `The registry sends this page to a token server${at} that may not be contacted (${finding.reason}), and nothing was sent there: correct the realm of its challenge, or name the pair in \`policy.realms.pairs\` if it is meant.`;
  }
  const { origin } = finding.url;
  const isRegistry = finding.server === 'registry';
  const server = `${isRegistry ? 'The registry' : 'The token server'} at ${origin}`;
  // A form is sent without a preflight.
  const form = isRegistry ? '' : ", or, if it takes logins by a form, set `policy: { oauth2: 'prefer' }`";
  switch (finding.verdict) {
    case 'unreachable':
      return `${server} gives this page no HTTP answer, CORS or not: it is down, its name or port is wrong, it speaks no HTTP, the browser refuses its certificate, or it keeps this page from the local network; open its URL in a tab, which says which, and works where it is the last.`;
    case 'no-answer': {
      const late = facts.find(({ saw }) => saw === 'nothing')?.sent?.split(':')[0];
      const asked = late === undefined ? '' : ` with ${late}, or its preflight,`;
      return `${server} did not answer a request${asked} in time: see whether it is stuck, or whether the browser waits for leave to use the local network.`;
    }
    case 'mixed-content':
      return `${server} is on http and this page on https, which browsers block as mixed content: serve it over https, or the page and it under one origin.`;
    case 'page-csp':
      return `${server} may not be asked by this page, whose own Content-Security-Policy leaves out it, or where it redirects to: add that to the connect-src it has, ${nameable(finding.url)}.`;
    case 'origin-refused':
      return `${server} answers, and does not let this page read what: have it send "${header}" with every answer, errors too.`;
    case 'redirect-refused':
      return `${server} lets this page read, but sends it on to another that does not: have that one, a storage bucket perhaps, send "${header}", since it is told no page's origin.`;
    case 'challenge-hidden':
      return `${server} wants a login and this page cannot see where: have it send "${header}" with its 401, or give the page what it says there as \`challenges\`.`;
    case 'preflight-refused':
      return `${server} refuses preflights, so that this page can ask without a login at most: have OPTIONS answered with 204 and the Access-Control headers before a login is asked for, if need be by a proxy${form}.`;
    case 'authorization-not-allowed':
      return `${server} answers preflights, but does not let this page send a login or a token, or not read what it then answers: have OPTIONS answered with "${header}", and errors too with Access-Control-Allow-Origin${form}.`;
    case 'authorization-not-in-wildcard':
      return `${server} answers preflights with "Access-Control-Allow-Headers: *", which stands for every header but Authorization: have OPTIONS answered with "${header}"${form}.`;
  }
}

/** As a policy names a server: it has no form for an address of IPv6 (CSP3 §2.3.1). */
function nameable({ origin, hostname }: URL): string {
  return hostname.startsWith('[') ? 'under a name, since a policy names no IPv6 address' : `here ${origin}`;
}

/** What no registry answers to a request without a login, `null` when it is one of what they do. */
function oddStatus(facts: readonly Fact[]): number | null {
  const status = facts.find(({ server, ask }) => server === 'registry' && ask === 'plain')?.status ?? null;
  return status === null || status === 401 || status < 400 ? null : status;
}

/** A manifest comes with its digest, as a rule and not by duty (OCI distribution-spec 1.1, "Pulling manifests"). */
function lacksDigest(facts: readonly Fact[]): boolean {
  return facts.some(
    ({ ask, request, status, filtered, digest }) =>
      ask === 'plain' && request.includes('/manifests/') && status === 200 && filtered && !digest,
  );
}
