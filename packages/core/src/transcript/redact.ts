/**
 * What of a request, a response or a failure may be recorded.
 *
 * Rules of this file:
 * 1. Headers, query parameters and members of a token response are shown by name from a list of what is known to be harmless;
 *    the rest is masked (requirement 98; the redactors that listed what is secret missed the next one, GHSA-5jhf-2qmf-m8c5).
 * 2. What is shown is searched for the secrets of the operation all the same.
 * 3. Redaction keeps every verdict: what the machines would refuse in the original they refuse in the record, so that a
 *    replay takes the same way.
 */

import { isBearerToken } from '../credential.ts';
import type { Failure } from '../failure.ts';
import type { HeaderList, Problem } from '../message.ts';
import { formatScopes, parseScopes, type Scope } from '../scope.ts';
import type { Claims } from './claims.ts';
import { flawOf, masked, Secrets } from './secrets.ts';
import type { Redacted } from './transcript.ts';

const requestHeaders = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-length',
  'content-range',
  'content-type',
  'host',
  'if-match',
  'if-none-match',
  'if-range',
  'origin',
  'range',
  'user-agent',
]);

/** Their names say nothing about who asked, and their values are not accepted anywhere as proof of it. */
const responseHeaders = new Set([
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'age',
  'allow',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'docker-content-digest',
  'docker-distribution-api-version',
  'docker-ratelimit-source',
  'etag',
  'keep-alive',
  'link',
  'oci-chunk-min-length',
  'oci-filters-applied',
  'oci-namespace',
  'oci-subject',
  'oci-tag',
  'range',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
  'server',
  'strict-transport-security',
  'transfer-encoding',
  'vary',
  'via',
  'warning',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-request-id',
]);

/** Parameters of registries and token servers. Any other may be a signature or an upload's `_state`. */
const queryNames = new Set([
  'account',
  'artifactType',
  'client_id',
  'digest',
  'from',
  'last',
  'mount',
  'n',
  'ns',
  'scope',
  'service',
  'tag',
]);

/** Members of a token response or its error that are words and not keys (RFC 6749 §5, RFC 9457, Q40). */
const proseMembers = new Set([
  'code',
  'detail',
  'details',
  'error',
  'error_description',
  'error_uri',
  'expires_in',
  'issued_at',
  'message',
  'scope',
  'title',
  'token_type',
  'type',
]);

/** Members by whose exact name a token response is read; others are searched for secrets. */
const knownMembers = new Set([...proseMembers, 'access_token', 'refresh_token', 'token']);

/** `expires_in` is read up to nine digits; a time in RFC 3339 is shorter than this with any fraction that is in use. */
const longestValue = new Map([
  ['expires_in', 9],
  ['issued_at', 64],
  ['token_type', 16],
]);

/** Nobody's token response nests deeper, and a body of 128 KiB can. */
const deepest = 8;

export class Redactor {
  readonly #secrets: Secrets;

  /** @param url of the request that the record is about */
  constructor(url: string) {
    this.#secrets = new Secrets(url);
  }

  /** See {@link Secrets.name}. */
  name(secret: string, username?: string): Redacted {
    return this.#secrets.name(secret, username);
  }

  /** A user name. Some registries take a token in its place; a colon in it is a fault that a replay must find. */
  username(text: string): string {
    const shown = this.clean(text);
    return text.includes(':') && !shown.includes(':') ? `${shown}:` : shown;
  }

  /** `text` without known secrets, and without what stands before the `@` of a URL. */
  clean(text: string): string {
    return withoutUserinfo(this.#secrets.hide(text));
  }

  /** Words of a peer or a platform: also without the query of any URL in them. */
  prose(text: string): string {
    const clean = this.clean(text);
    if (!clean.includes('?')) return clean;
    let shown = '';
    let from = 0;
    for (let at = 0; at <= clean.length; at++) {
      if (at < clean.length && !' \t\r\n"\'`<>()[]{}'.includes(clean.charAt(at))) continue;
      const run = clean.slice(from, at);
      shown += (run.includes('?') ? withoutQuery(run) : run) + clean.charAt(at);
      from = at + 1;
    }
    return shown;
  }

  /** A URL of a registry or of where it redirected. */
  url(text: string): string {
    return withoutQuery(this.clean(text));
  }

  requestHeaders(headers: HeaderList): HeaderList {
    return headers.map(([name, value]) => {
      if (requestHeaders.has(name)) return [name, this.clean(value)];
      if (name === 'authorization' || name === 'proxy-authorization') this.#authorization(value);
      return [name, masked];
    });
  }

  responseHeaders(headers: HeaderList): HeaderList {
    return headers.map(([name, value]) => {
      if (name === 'location') return [name, this.url(value)];
      // The query of a realm stays: the token request repeats it, and whoever asks is told it.
      if (name === 'www-authenticate' || name === 'proxy-authenticate') return [name, this.clean(value)];
      return [name, responseHeaders.has(name) ? this.prose(value) : masked];
    });
  }

  problems(problems: readonly Problem[]): readonly Problem[] {
    return problems.map(({ code, message }) => ({ code: this.clean(code), message: this.prose(message) }));
  }

  /**
   * The shape of a token response: JSON that `readTokenResponse` gives the same verdict about, with every token named and
   * whatever is not known to be harmless masked; `''` for what is not JSON.
   */
  tokenBody(text: string): string {
    let body: unknown;
    try {
      body = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
    } catch {
      return '';
    }
    return JSON.stringify(this.#member('', body, 0));
  }

  /** What a token says, where it repeats nothing secret. Its scopes are written anew, as of any other place. */
  claims(claims: Claims): Claims {
    const { issuer, subject, audience, access, others } = claims;
    const words = (texts: readonly string[]): readonly string[] => texts.map((text) => this.prose(text));
    return {
      ...claims,
      issuer: issuer === null ? null : this.prose(issuer),
      subject: subject === null ? null : this.prose(subject),
      audience: words(audience),
      access: access === null ? null : this.scopes(access),
      others: words(others),
    };
  }

  scopes(scopes: readonly Scope[]): readonly Scope[] {
    return scopes.flatMap((scope) => parseScopes(this.clean(formatScopes([scope]))));
  }

  failure(failure: Failure): Failure {
    switch (failure.kind) {
      case 'challenge-unusable': {
        const problems = failure.problems.map((p) => ({ ...p, message: this.clean(p.message) }));
        const offered = failure.offered.map((scheme) => this.clean(scheme));
        return { ...failure, url: this.url(failure.url), offered, problems };
      }
      case 'scheme-downgrade': {
        const realm = failure.realm === null ? null : this.clean(failure.realm);
        return { ...failure, url: this.url(failure.url), realm };
      }
      case 'realm-forbidden':
        return { ...failure, realm: this.clean(failure.realm) };
      case 'realm-untrusted': {
        const { registry, realm } = failure.pair;
        return { ...failure, realm: this.clean(failure.realm), pair: { registry, realm: this.clean(realm) } };
      }
      case 'challenge-hidden':
      case 'insecure-transport':
      case 'body-spent':
      case 'limit':
        return { ...failure, url: this.url(failure.url) };
      case 'credential-missing':
      case 'credential-rejected': {
        const realm = failure.realm === null ? null : this.clean(failure.realm);
        return { ...failure, realm, problems: this.problems(failure.problems) };
      }
      case 'credential-unusable':
        return failure;
      case 'credential-unavailable':
        return { ...failure, message: this.prose(failure.message) };
      case 'token-refused': {
        const { realm, asked, problems } = failure;
        return {
          ...failure,
          realm: this.clean(realm),
          asked: this.clean(asked),
          problems: this.problems(problems),
        };
      }
      case 'token-invalid':
      case 'token-redirected':
        return { ...failure, realm: this.clean(failure.realm) };
      case 'rate-limited':
        return { ...failure, realm: this.clean(failure.realm), problems: this.problems(failure.problems) };
      case 'denied': {
        const { url, asked, challenged, granted, problems } = failure;
        return {
          ...failure,
          url: this.url(url),
          asked: this.clean(asked),
          challenged: this.clean(challenged),
          granted: granted === null ? null : this.clean(granted),
          problems: this.problems(problems),
        };
      }
      case 'redirect-refused':
        return { ...failure, from: this.url(failure.from), to: this.url(failure.to) };
      case 'network': {
        const { url, to, code, message } = failure;
        const shown = to === 'registry' ? this.url(url) : this.clean(url);
        return { ...failure, url: shown, code: this.clean(code), message: this.prose(message) };
      }
      case 'deadline':
        return { ...failure, realm: failure.realm === null ? null : this.clean(failure.realm) };
    }
  }

  /** The caller's own `Authorization`: what it proves is a secret wherever it turns up. */
  #authorization(value: string): void {
    const proof = value.slice(value.indexOf(' ') + 1).trim();
    this.#secrets.name(proof);
    if (value.slice(0, 6).toLowerCase() !== 'basic ') return;
    const pair = decodeBase64(proof);
    this.#secrets.name(pair.slice(pair.indexOf(':') + 1));
  }

  #member(name: string, value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.#text(name, value);
    // A number in a token's place is refused for not being a text, unless it is 0, which counts as absent.
    if (typeof value === 'number') return isTokenName(name) ? Number(value !== 0) : value;
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value))
      return depth < deepest ? value.map((v) => this.#member(name, v, depth + 1)) : [];
    if (depth >= deepest) return {};
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [
        knownMembers.has(key) ? key : this.clean(key),
        this.#member(key, member, depth + 1),
      ]),
    );
  }

  #text(name: string, value: string): string {
    if (value === '') return '';
    if (isTokenName(name)) {
      const shown = this.name(value);
      return isBearerToken(value) ? shown : `${shown} (not a token)`;
    }
    const limit = longestValue.get(name) ?? value.length;
    return proseMembers.has(name) && value.length <= limit ? this.prose(value) : masked;
  }
}

/** `token`, `access_token`, `refresh_token`, `id_token`, in any case: members whose value is a secret with a name. */
function isTokenName(name: string): boolean {
  return name.toLowerCase().endsWith('token');
}

/** The user and password of a Basic header, or `''`. Each byte becomes one unit: only the ASCII part is recognisable. */
function decodeBase64(text: string): string {
  try {
    return atob(text);
  } catch {
    return '';
  }
}

/** The values of a query, and the fragment, masked. What is no URL goes through unchanged up to its `?`. */
function withoutQuery(url: string): string {
  const hash = url.indexOf('#');
  const bare = hash < 0 ? url : url.slice(0, hash);
  const fragment = hash < 0 ? '' : `#${mask(url.slice(hash + 1))}`;
  const query = bare.indexOf('?');
  if (query < 0) return bare + fragment;
  const pairs = bare.slice(query + 1).split('&');
  return `${bare.slice(0, query)}?${pairs.map(maskedPair).join('&')}${fragment}`;
}

function maskedPair(pair: string): string {
  const equals = pair.indexOf('=');
  if (equals < 0) return mask(pair);
  const name = pair.slice(0, equals);
  return queryNames.has(name) ? pair : `${name}=${mask(pair.slice(equals + 1))}`;
}

function mask(text: string): string {
  return text === '' ? '' : masked + flawOf(text);
}

/** The userinfo of every URL in `text` masked; its `@` stays, since a realm or a redirect with one is refused for it. */
function withoutUserinfo(text: string): string {
  if (!text.includes('@')) return text;
  let shown = '';
  let from = 0;
  let run = 0;
  let at = -1;
  for (let i = 0; i <= text.length; i++) {
    const char = text.charAt(i);
    if (char === '@') at = i;
    if (i < text.length && !' "<>/\\?#'.includes(char)) continue;
    const start = at < run ? -1 : userinfoStart(text, run);
    if (start >= 0) {
      shown += text.slice(from, start) + mask(text.slice(start, at));
      from = at;
    }
    run = i + 1;
  }
  return shown + text.slice(from);
}

/**
 * Where userinfo would begin if the run of characters from `run` on holds an `@`, or -1 when it is not the authority of a
 * URL. `new URL()` takes backslashes for slashes, needs one of them or, after `https:`, none.
 */
function userinfoStart(text: string, run: number): number {
  const before = text.slice(Math.max(0, run - 2), run);
  if (before === '//' || before === '\\\\' || before === '\\/' || before === '/\\') return run;
  if (before === ':/' || before === ':\\') return run;
  const scheme = text.slice(run, run + 6).toLowerCase();
  if (scheme === 'https:') return run + 6;
  return scheme.startsWith('http:') ? run + 5 : -1;
}
