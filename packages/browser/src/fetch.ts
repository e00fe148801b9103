/**
 * `fetch` for registries, over the platform's own.
 *
 * Rules of this file:
 * 1. Input is read by the platform's own `Request`, so that what fetch refuses is refused alike. What stands after a `#` is
 *    dropped first, and what comes before an `@` is never shown: both may be secrets.
 * 2. A registry's answer resolves, 401 and 403 included, with `failureOf(response)` to say why. What ends before such an answer
 *    rejects with a `RegistryAuthError`; what the caller did wrong, a body that fails included, with a `TypeError` as of fetch;
 *    an abort with the signal's reason.
 * 3. Nothing is left on the caller's signal.
 */

import { defaultPolicy, type HeaderList } from '@reg/core';
import { createAuthorizer } from '@reg/core/driver';
import { contentOf, isStream } from './content.ts';
import type { RegistryFetchOptions } from './options.ts';
import { isBrowser, sendsStreams } from './platform.ts';
import { responseOf } from './response.ts';
import { type Call, createSend } from './send.ts';

/**
 * A `fetch` that answers the challenges of registries.
 *
 * As fetch, but: no cookie and no referrer is ever sent, whatever `credentials` and `referrer` say; `mode: 'no-cors'` and
 * `integrity` are refused with a TypeError, and so is a `dispatcher`, `client` or `proxy` for one request; where redirects are judged (outside of browsers), a 3xx that policy leaves to the
 * caller resolves as it is.
 *
 * @throws TypeError for options that mean nothing, such as a known challenge that no handshake could answer
 */
export function createRegistryFetch(options: RegistryFetchOptions = {}): typeof fetch {
  const inBrowser = isBrowser();
  const {
    fetch: platforms = globalThis.fetch,
    userAgent = inBrowser ? null : 'reg-browser',
    ...core
  } = options;
  const redirects = { mode: inBrowser ? 'platform' : 'judge', ...core.policy?.redirects } as const;
  const policy = { ...core.policy, redirects };
  const send = createSend(platforms, userAgent, policy.deadlineMs ?? defaultPolicy.deadlineMs);
  const authorizer = createAuthorizer<Response, Call>({ ...core, policy, send });

  return async (input, init) => {
    const { request, headers, redirect, signal, given, settings } = read(input, init, inBrowser);
    if (signal?.aborted) {
      request.body?.cancel(signal.reason).catch(() => {});
      throw signal.reason;
    }
    const content = await contentOf(request, given, signal);
    try {
      const { raw, ...about } = await authorizer.request(
        {
          method: request.method,
          url: withoutFragment(request.url),
          headers,
          redirect: redirect === 'follow' ? 'follow' : 'manual',
          body: content.body,
          carry: content.carry,
          settings,
        },
        signal === null ? {} : { signal },
      );
      if (redirect === 'error' && isRedirect(raw)) {
        raw.body?.cancel().catch(() => {});
        throw failed(new Error('unexpected redirect'));
      }
      // In workerd a stream that fails ends like one that is over, and the server takes what came for all of it.
      if (content.broken === null) {
        // Node and Deno neither read on nor cancel a stream that was answered before its end.
        if (!raw.ok) content.release(new Error(`the registry answered ${raw.status}`));
        return responseOf(raw, about);
      }
      raw.body?.cancel().catch(() => {});
      throw failed(content.broken.error);
    } catch (error) {
      const reason = signal?.aborted ? signal.reason : error;
      content.release(reason);
      if (signal?.aborted || content.broken === null) throw reason;
      throw failed(content.broken.error);
    }
  };
}

/**
 * What Node, Deno and Bun take beside the standard's settings, for one request: what was to go through a proxy, say, must not go
 * another way.
 */
const routes = ['dispatcher', 'client', 'proxy', 'unix', 'tls'];

/** What a call asks for. */
interface Asked {
  readonly request: Request;
  readonly headers: HeaderList;
  readonly redirect: RequestRedirect;
  readonly signal: AbortSignal | null;
  /** The body as it was given beside a `Request`, which shows all of them as streams; `null` when it came inside of one. */
  readonly given: unknown;
  /** What of fetch's other settings the registry's requests are sent with. */
  readonly settings: RequestInit;
}

/** Reads arguments as fetch does. */
function read(input: Parameters<typeof fetch>[0], init: RequestInit | undefined, inBrowser: boolean): Asked {
  const given = init instanceof Request ? null : (init?.body ?? null);
  if (isStream(given) && !sendsStreams()) {
    throw new TypeError('[@reg/browser] this browser cannot send a stream: give bytes or a Blob');
  }
  const request = requestOf(input, init);
  if (routes.some((name) => Reflect.get(init ?? {}, name) !== undefined)) {
    throw new TypeError(
      '[@reg/browser] the way to all servers is an option, `fetch`; one request has none of its own',
    );
  }
  // Not every platform knows these, and none may pass for having heeded them.
  if (request.integrity || init?.integrity) {
    throw new TypeError(
      '[@reg/browser] integrity is not checked: it would be of the answer to the first request, which may be a challenge',
    );
  }
  if ((init?.mode ?? request.mode) === 'no-cors') {
    throw new TypeError('[@reg/browser] a challenge cannot be read with mode "no-cors"');
  }
  const inherited = input instanceof Request ? input.signal : null;
  const signal = init?.signal === undefined ? inherited : init.signal;
  return {
    request,
    // Another host in `Host` would have this origin's credential answer for that one. Bun knows the type of a body until it is read.
    headers: [...request.headers].filter((field) => field[0] !== 'host' && !(inBrowser && isBrowsers(field))),
    redirect: init?.redirect ?? request.redirect,
    // One of our own that follows the caller's without a listener on it, and refuses what is none.
    signal: signal === null ? null : AbortSignal.any([signal]),
    given,
    settings: settingsOf(request, init),
  };
}

/** Field names that no page can set, beside `sec-*` and `proxy-*` (Fetch standard, "forbidden request-header"). */
const forbidden = new Set([
  ...['accept-charset', 'accept-encoding', 'access-control-request-headers', 'access-control-request-method'],
  ...['connection', 'content-length', 'cookie', 'cookie2', 'date', 'dnt', 'expect', 'keep-alive', 'origin'],
  ...['referer', 'set-cookie', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'via'],
]);

/**
 * Whether a browser put this into the request of a page, as its service worker finds it. It will again; as the caller's own it
 * would be a secret, and keep a redirect from being followed.
 */
function isBrowsers([name, value]: readonly [string, string]): boolean {
  return (
    forbidden.has(name) ||
    name.startsWith('sec-') ||
    name.startsWith('proxy-') ||
    // A page may set another one.
    (name === 'user-agent' && value === navigator.userAgent)
  );
}

function requestOf(input: Parameters<typeof fetch>[0], init: RequestInit | undefined): Request {
  const target = input instanceof Request ? input : withoutFragment(String(input));
  let request: Request;
  try {
    request = new Request(target, readable(init));
  } catch (error) {
    // The platform's own error shows the URL.
    if (typeof target !== 'string' || !target.includes('@')) throw error;
    throw new TypeError(
      '[@reg/browser] fetch refuses this request; its URL may hold a password and is not shown',
    );
  }
  const { username, password } = new URL(request.url);
  if (username + password === '') return request;
  throw new TypeError(
    '[@reg/browser] the URL of a request holds a user name or password: give it to a keychain',
  );
}

/**
 * `init` with all it has or inherits, but its signal, which the request's own would follow until it is collected; and with a
 * `redirect` that every platform takes, "error" being done here. It may be frozen. A `Request` in its place keeps its own.
 */
function readable(init: RequestInit | undefined): RequestInit | undefined {
  if (typeof init !== 'object' || init === null || init instanceof Request) return init;
  const redirect = init.redirect === 'error' ? 'manual' : init.redirect;
  // A proxy would do for a `Request` as well, and loses the method in Bun.
  return Object.create(init, { signal: { value: null }, redirect: { value: redirect } });
}

/**
 * A platform that does not know a setting may refuse it, also with the value that means nothing. A `cache` of "default" is one
 * only where it stands in `init`: each `Request` has it.
 */
function settingsOf({ cache, keepalive, mode }: Request, init: RequestInit | undefined): RequestInit {
  const isChosen = init?.cache !== undefined && !(init instanceof Request);
  return {
    ...(cache !== undefined && (isChosen || cache !== 'default') ? { cache } : {}),
    ...(keepalive ? { keepalive } : {}),
    ...(mode === 'same-origin' ? { mode } : {}),
    ...(init?.priority === undefined ? {} : { priority: init.priority }),
  };
}

function withoutFragment(url: string): string {
  return url.replace(/#.*/s, '');
}

/** What fetch rejects with. */
function failed(cause: unknown): TypeError {
  return new TypeError('fetch failed', { cause });
}

function isRedirect({ status, type }: Response): boolean {
  return type === 'opaqueredirect' || [301, 302, 303, 307, 308].includes(status);
}
