/**
 * What a failed handshake means for whoever runs into it, and what to do.
 *
 * Rules of this file: pure, and total: every kind of failure has a cause and a fix. The core says in English what happened; the
 * advice here is for an operator, who can change files and run commands.
 */

import { blockedAddressCode, describe, type Failure, type Problem } from '@reg/core';
import { loginBehindRedirect, secondsToWait } from '../../registry/hint.ts';
import { isMendedByTrust } from '../../report/exit-code.ts';
import { quote } from '../../report/shell.ts';
import type { About } from '../about.ts';
import { type CauseId, type Fault, type Fix, run, write } from '../finding.ts';
import { connectionFault, pastProxy, told } from './network.ts';

/** `failure` as a problem. */
export function problemOf(failure: Failure, about: About): Fault {
  if (failure.kind === 'network') {
    const { code, url, to } = failure;
    const end = new URL(url);
    // What a proxy refuses, and what this client hands to none (both codes say so).
    if (code === 'ERR_REG_PROXY' || code === 'ERR_PROXY_TUNNEL') {
      return problem(failure, 'proxy-in-the-way', pastProxy(end, end.protocol.replace(':', '_proxy')));
    }
    if (to === 'registry') {
      return connectionFault(failure, end, about) ?? problem(failure, 'connection-broken', again(about));
    }
    if (code === blockedAddressCode) return problem(failure, 'realm-untrusted', here(end.origin, about));
  }
  const { cause, fix } = causeOf(failure, about);
  return problem(failure, cause, fix);
}

function problem(failure: Failure, cause: CauseId, fix: Fix): Fault {
  return {
    status: 'problem',
    summary: summaryOf(failure),
    evidence: evidenceOf(failure),
    cause,
    fix,
  };
}

function causeOf(failure: Failure, about: About): { readonly cause: CauseId; readonly fix: Fix } {
  const { commands, name } = about;
  switch (failure.kind) {
    case 'challenge-unusable':
      return challengeCause(failure, about);
    case 'challenge-hidden':
      return {
        cause: 'cors-header-missing',
        fix: write(
          failure.line,
          `have ${name}, or the proxy before it, send this with every answer, the 401 too`,
        ),
      };
    case 'scheme-downgrade':
      return { cause: 'basic-after-bearer', fix: sameChallenge(failure, about) };
    case 'realm-forbidden':
      return forbiddenCause(failure, about);
    case 'realm-untrusted':
      return {
        cause: 'realm-untrusted',
        fix: run(
          commands.trust(failure.pair.realm),
          `if ${failure.pair.realm} is the token server of ${name}, let it see the credential`,
        ),
      };
    case 'insecure-transport':
      return {
        cause: 'insecure-transport',
        fix: run(
          commands.plainHttp,
          'the credential would be sent for everyone on the way to read: have the registry speak https, or say that it may',
        ),
      };
    case 'credential-missing':
      return { cause: 'no-credential', fix: run(commands.login, 'sign in') };
    case 'credential-rejected':
      return {
        cause: 'wrong-password',
        fix: run(commands.login, 'the password is wrong, expired or revoked: sign in again'),
      };
    case 'credential-unusable':
    case 'credential-unavailable':
      return { cause: 'credential-unusable', fix: run(commands.login, 'sign in again') };
    case 'token-refused':
      return refusedCause(failure, about);
    case 'token-invalid':
    case 'token-redirected':
      return {
        cause: 'token-unusable',
        fix: run(
          `${commands.trace} -o json > trace.json`,
          'the token server must answer with JSON that has a token in it, at the URL that the registry names: show this to its operator',
        ),
      };
    case 'rate-limited':
      return { cause: 'rate-limited', fix: waiting(failure.retryAfterMs, false, about) };
    case 'denied':
      return { cause: 'repository-missing-or-denied', fix: access(about, failure.anonymous) };
    case 'redirect-refused':
      return {
        cause: 'redirect-refused',
        fix: write(
          'proxy_set_header X-Forwarded-Proto $scheme;',
          'the registry must redirect to where clients may follow: behind a proxy that ends TLS, by this line in nginx',
        ),
      };
    case 'limit':
      return {
        cause: 'token-unusable',
        fix: run(
          `${commands.trace} -o json > trace.json`,
          'the registry does not take what its token server issues: show this to their operator',
        ),
      };
    case 'body-spent':
    case 'deadline':
    case 'network':
      return { cause: 'realm-unreachable', fix: reachable(failure, about) };
  }
}

/** The password stays here, whoever is right about it. */
function sameChallenge({ realm }: Failure & { readonly kind: 'scheme-downgrade' }, { name }: About): Fix {
  if (realm === null) {
    return run(
      'reg trust list',
      `a pair names a token server of ${name}, which asks for the password itself: if it has none, take the pair away (reg trust remove, --trust-realm)`,
    );
  }
  return write(
    'WWW-Authenticate: Bearer realm="…",service="…",scope="…"',
    `answer every 401 of ${name} with the same Bearer challenge, and take the Basic login of the proxy before it out (nginx: auth_basic off;)`,
  );
}

function challengeCause(
  failure: Failure & { readonly kind: 'challenge-unusable' },
  { name, commands }: About,
): { readonly cause: CauseId; readonly fix: Fix } {
  switch (failure.reason) {
    case 'absent':
      return {
        cause: 'challenge-missing',
        fix: write(
          'proxy_pass_header WWW-Authenticate;',
          `let 401 answers of ${name} have their WWW-Authenticate header: the proxy before it drops it (nginx: this line), or its auth settings are incomplete`,
        ),
      };
    case 'no-realm':
      return {
        cause: 'challenge-malformed',
        fix: write(
          'WWW-Authenticate: Bearer realm="https://…",service="…",scope="…"',
          `have ${name} name its token server in the realm of the challenge (auth.token.realm in config.yml of docker-registry)`,
        ),
      };
    case 'malformed':
      return {
        cause: 'challenge-malformed',
        fix: write(
          'WWW-Authenticate: Bearer realm="https://…",service="…",scope="…"',
          `have ${name}, or the proxy that rewrites its headers, write every value of the challenge in a pair of quotes (RFC 9110 §11.6.1)`,
        ),
      };
    case 'unsupported-scheme': {
      const target = loginBehindRedirect(failure);
      if (target !== null) {
        const text = `name that registry itself, here and in the tools that use ${name}: a redirect target gets no credential`;
        return { cause: 'challenge-unsupported', fix: run(`reg doctor ${quote(target)}`, text) };
      }
      return {
        cause: 'challenge-unsupported',
        fix: run(
          `${commands.trace} -o json > trace.json`,
          `${name} offers no Bearer or Basic, which container tools answer: show this to its operator`,
        ),
      };
    }
  }
}

function forbiddenCause(
  failure: Failure & { readonly kind: 'realm-forbidden' },
  about: About,
): { readonly cause: CauseId; readonly fix: Fix } {
  const { realm, reason } = failure;
  const { commands, name } = about;
  if (reason === 'not-https') return { cause: 'realm-plain-http', fix: httpsRealm(realm, about) };
  if (isMendedByTrust(failure)) {
    return { cause: 'realm-untrusted', fix: here(new URL(realm).origin, about) };
  }
  return {
    cause: 'realm-forbidden',
    fix: run(
      `${commands.trace} -o json > trace.json`,
      `no client should go there: have ${name} name its real token server, and show this to its operator`,
    ),
  };
}

/** A token server where nobody is sent on the word of another. */
function here(origin: string, { name, commands }: About): Fix {
  return run(
    commands.trust(origin),
    `if ${name} means a token server on this machine or its network, let it see the credential`,
  );
}

/** The line that products have for it, by the path of their token servers. */
function httpsRealm(realm: string, { registry }: About): Fix {
  const url = URL.canParse(realm) ? new URL(realm) : null;
  const https = url === null ? 'https://…' : `https://${url.host}${url.pathname}`;
  const path = url?.pathname ?? '';
  if (path.endsWith('/service/token')) {
    return write(
      `external_url: ${registry.origin}   # harbor.yml`,
      'Harbor makes the realm of its external_url: write https there, then run ./prepare and start it again',
    );
  }
  if (path.endsWith('/jwt/auth')) {
    return write(
      `external_url 'https://${url?.host ?? '…'}'   # gitlab.rb`,
      'GitLab makes the realm of its external_url: write https there, then run gitlab-ctl reconfigure',
    );
  }
  return write(
    `auth.token.realm: ${https}   # config.yml of the registry`,
    'have the registry name its token server by https; where it takes the scheme from the request, the proxy before it must set X-Forwarded-Proto: https',
  );
}

function refusedCause(
  failure: Failure & { readonly kind: 'token-refused' },
  about: About,
): { readonly cause: CauseId; readonly fix: Fix } {
  const { status, realm, anonymous } = failure;
  const { origin } = new URL(realm);
  if (status >= 500) {
    return {
      cause: 'token-server-error',
      fix: run(
        `${about.commands.trace} -o json > trace.json`,
        `the token server ${origin} is at fault: show this to its operator, who finds why in its log`,
      ),
    };
  }
  // Q35: of a token server both say that it does not like who asks, or for what.
  if (status === 401 || status === 403) {
    return { cause: 'repository-missing-or-denied', fix: access(about, anonymous) };
  }
  return {
    cause: 'token-unusable',
    fix: run(
      `${about.commands.trace} -o json > trace.json`,
      `the token server ${origin} does not take the request (${status}): the realm may name the wrong path. Show this to the operator`,
    ),
  };
}

/** What to do where an account may not do something, or there is nothing. */
export function access({ name, repository, push, commands }: About, anonymous: boolean): Fix {
  const what = repository === null ? name : `${name}/${repository}`;
  const right = push ? 'pull and push' : 'pull';
  const missing = `check how ${what} is spelled: registries answer the same for what is not there and for what you may not see`;
  return anonymous
    ? run(commands.login, `${missing}. If it is right, sign in with an account that has access (${right})`)
    : run(
        commands.login,
        `${missing}. If it is right, have its owner give your account access (${right}), or sign in with another`,
      );
}

/** What to do about a limit, which mostly is lower for who does not say who they are. */
export function waiting(retryAfterMs: number | null, anonymous: boolean, { commands }: About): Fix {
  const seconds = secondsToWait(retryAfterMs);
  const wait = seconds === null ? 'wait: limits end after minutes or hours' : `wait ${seconds} s, as it asks`;
  if (anonymous) return run(commands.login, `${wait}, or sign in: limits are lower for who is nobody`);
  return run(seconds === null ? commands.doctor : `sleep ${seconds}; ${commands.doctor}`, wait);
}

function reachable(failure: Failure, { name, commands }: About): Fix {
  const where = 'realm' in failure ? failure.realm : 'url' in failure ? failure.url : null;
  const origin = where === null ? 'the token server' : new URL(where).origin;
  return run(
    where === null ? commands.trace : `curl -v ${quote(bare(where))}`,
    `see that the token server ${origin} is running, and that DNS, firewall and proxy let this machine get there; else ${name} must name one that clients reach (auth.token.realm)`,
  );
}

function again({ commands }: About): Fix {
  return run(commands.trace, 'try again; if it stays so, look at what is between here and the registry');
}

function summaryOf(failure: Failure): string {
  switch (failure.kind) {
    case 'challenge-unusable':
      return {
        absent: '401 without a WWW-Authenticate header',
        malformed: 'the WWW-Authenticate header cannot be read',
        'unsupported-scheme':
          loginBehindRedirect(failure) === null
            ? `only ${failure.offered.join(', ')} is offered`
            : `redirects to ${new URL(failure.url).origin}, which asks for a login: a redirect target gets none`,
        'no-realm': 'a Bearer challenge without a realm',
      }[failure.reason];
    case 'challenge-hidden':
      return '401 with a challenge that the platform hides';
    case 'scheme-downgrade':
      return 'asks for the password itself (Basic), and has a token server';
    case 'realm-forbidden':
      return `${failure.realm === '' ? 'a realm that is empty' : bare(failure.realm)}: ${
        failure.reason === 'not-https'
          ? 'plain http behind an https registry'
          : isMendedByTrust(failure)
            ? 'on this machine, where nobody is sent on the word of another'
            : `nobody may be sent there (${failure.reason})`
      }`;
    case 'realm-untrusted':
      return `${failure.pair.realm}: nothing shows that it belongs to the registry`;
    case 'insecure-transport':
      return `a credential would go over plain http to ${failure.host}`;
    case 'credential-missing':
      return `${failure.status}: a credential is needed, and there is none`;
    case 'credential-rejected':
      return `${failure.status}: the credential was refused`;
    case 'credential-unusable':
      return 'the credential cannot be sent';
    case 'credential-unavailable':
      return 'the credential could not be looked up';
    case 'token-refused':
      return `${bare(failure.realm)} answered ${failure.status}`;
    case 'token-invalid':
      return `${bare(failure.realm)} answered ${failure.status} without a token`;
    case 'token-redirected':
      return `${bare(failure.realm)} redirects`;
    case 'rate-limited':
      return `${bare(failure.realm)} answered 429`;
    case 'denied':
      return `${failure.status}: does not exist, or access is denied`;
    case 'body-spent':
      return 'the request cannot be sent twice';
    case 'redirect-refused':
      return `redirects to ${failure.to === '' ? 'no place that can be read' : bare(failure.to)}`;
    case 'limit':
      return `asked for more than ${failure.max} tokens`;
    case 'network':
      return `${new URL(failure.url).origin}: ${told(failure)}`;
    case 'deadline':
      return `no authorization within ${Math.round(failure.ms / 1_000)} s`;
  }
}

/** A URL without its query, which may hold a signature. */
export function bare(url: string): string {
  if (!URL.canParse(url)) return url.slice(0, 200);
  const { protocol, origin, pathname } = new URL(url);
  if (origin === 'null') return `${protocol}…`;
  return origin + (pathname === '/' ? '' : pathname);
}

/** What the core says of it, where that is more than what is said here; and what the server says. */
function evidenceOf(failure: Failure): readonly string[] {
  switch (failure.kind) {
    case 'challenge-unusable':
    case 'realm-forbidden':
    case 'realm-untrusted':
    case 'insecure-transport':
    case 'network':
    case 'deadline':
      return [];
    case 'credential-missing':
    case 'credential-rejected':
    case 'rate-limited':
      return said(failure.problems);
    case 'token-refused': {
      const what = failure.asked === '' ? '' : ` for ${failure.asked}`;
      const how = failure.anonymous ? 'anonymously' : 'with the credential';
      return [`it was asked ${how} for a token${what}`, ...said(failure.problems)];
    }
    default:
      return [describe(failure, { policy: false })];
  }
}

/** A server's own words, a line each. */
export function said(problems: readonly Problem[]): readonly string[] {
  return problems.slice(0, 3).map(({ code, message }) => {
    return `it says: ${[code, message].filter((text) => text !== '').join(': ')}`;
  });
}
