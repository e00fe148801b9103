/**
 * `fetch` for registries, over an undici dispatcher.
 *
 * Rules of this file:
 * 1. Input is read by the platform's own `Request`, so that what fetch refuses is refused alike, and what comes out is the
 *    platform's own `Response`.
 * 2. One hop at a time: redirects are judged by the core, and `url` and `redirected` are told from what it did.
 * 3. A registry's answer resolves, 401 and 403 included, with `failureOf(response)` to say why. What ends before such an
 *    answer rejects with a `RegistryAuthError`; what the caller did wrong, a body that fails included, with a `TypeError` as
 *    of fetch; an abort with the signal's reason.
 * 4. Nothing stays on the caller's signal when a call has ended and its response was read, cancelled or forgotten.
 *
 * No `Accept-Encoding` is sent: what a registry serves is named by the digest of its bytes and asked for by ranges of them,
 * and a proxy that compresses on the way changes both. A body that comes encoded all the same is decoded.
 */

import { isRegistryAuthError } from '@reg/core';
import { createAuthorizer } from '@reg/core/driver';
import { type Dispatcher, errors } from 'undici';
import { type Content, contentOf } from './content.ts';
import { channels } from './diagnostics.ts';
import type { Leg, Observer } from './leg.ts';
import { defaultUserAgent, type RegistryOptions } from './options.ts';
import { dispatcherFor } from './origin.ts';
import { responseOf } from './response.ts';
import { type Carried, createSend } from './send.ts';

export interface RegistryFetchOptions extends RegistryOptions {
  /**
   * What puts requests on the wire. Default: undici's global dispatcher if the program has set one, else a `registryAgent()`
   * that all share; a bare `new Agent()` that was set before this package was loaded is taken for undici's own, which it equals.
   * Compose it with neither `redirect` nor `cache`. What is for another origin than the one a `Client` or `Pool` is bound to, a
   * token server's say, goes through that agent as well.
   */
  readonly dispatcher?: Dispatcher;
}

/**
 * A `fetch` that answers the challenges of registries.
 *
 * As fetch, but: a 3xx that policy leaves to the caller resolves as it is (an upload that would go to another origin); a mount
 * that is denied is asked for again as an upload, whose answer has the denial as `failureOf(response)` and no mount in its `url`;
 * `integrity`, and a `dispatcher` for one request, are refused with a TypeError. `cache`, `credentials`, `mode` and `referrer`
 * have no meaning here.
 */
export function createRegistryFetch(options: RegistryFetchOptions = {}): typeof fetch {
  const { dispatcher, userAgent = defaultUserAgent, ...core } = options;
  const choose = dispatcherFor(dispatcher);
  const send = createSend<Call>(
    (wire, leg, { url, to }) => void choose(url, to).dispatch(wire, leg),
    userAgent,
  );
  const authorizer = createAuthorizer<Leg, Call>({ ...core, channels, send });

  return async (input, init) => {
    const { request, signal, given } = read(input, init);
    if (signal?.aborted) {
      request.body?.cancel(signal.reason).catch(() => {});
      throw signal.reason;
    }
    const content = await contentOf(request, given, signal);
    try {
      const { raw, ...about } = await authorizer.request(
        callOf(request, content),
        signal === null ? {} : { signal },
      );
      if (request.redirect === 'error' && isRedirect(raw.status)) {
        void raw.discard();
        throw failed(new Error('unexpected redirect'));
      }
      return responseOf(raw, request.method, signal, about);
    } catch (error) {
      content.release();
      if (signal?.aborted) throw signal.reason;
      throw content.broken === null ? refusedHere(error) : failed(content.broken.error);
    }
  };
}

interface Call extends Carried {
  readonly carry: Content['carry'];
}

/** What a call asks for. */
interface Asked {
  readonly request: Request;
  readonly signal: AbortSignal | null;
  /** The body as it was given beside a `Request`, which shows all of them as streams; `undefined` when it came inside of one. */
  readonly given: unknown;
}

/** Reads arguments as fetch does. */
function read(input: Parameters<typeof fetch>[0], init: RequestInit | undefined): Asked {
  refuseUserinfo(input);
  // The request's own signal would follow the caller's, and stay on it until it is collected.
  const request = new Request(input, isObject(init ?? {}) ? withoutSignal(init ?? {}) : init);
  if (request.integrity !== '') throw new TypeError('[@reg/node] createRegistryFetch checks no integrity');
  // It may be a proxy: what was to go through it must not go another way.
  if (isObject(init) && 'dispatcher' in init && init.dispatcher !== undefined) {
    throw new TypeError('[@reg/node] createRegistryFetch takes a dispatcher for all requests, not for one');
  }
  const inherited = input instanceof Request ? input.signal : null;
  const signal = init?.signal === undefined ? inherited : init.signal;
  if (signal !== null && !(signal instanceof AbortSignal)) {
    throw new TypeError('[@reg/node] the signal of a request is an AbortSignal');
  }
  return { request, signal, given: init instanceof Request ? undefined : (init?.body ?? undefined) };
}

/** `init` with all it has or inherits (a `Request` may stand for one) but its signal. It may be frozen. */
function withoutSignal(init: RequestInit): RequestInit {
  return new Proxy<RequestInit>(
    {},
    { get: (_, name) => (name === 'signal' ? null : Reflect.get(init, name, init)) },
  );
}

function isObject(init: RequestInit | undefined): init is RequestInit {
  return (typeof init === 'object' || typeof init === 'function') && init !== null;
}

/** The platform would refuse it too, and print it. */
function refuseUserinfo(input: Parameters<typeof fetch>[0]): void {
  if (input instanceof Request) return;
  const text = String(input);
  if (!URL.canParse(text)) {
    if (!text.includes('@')) return;
    throw new TypeError('[@reg/node] the URL of a request is none, and not shown: it may hold a password');
  }
  const { username, password } = new URL(text);
  if (username === '' && password === '') return;
  throw new TypeError(
    '[@reg/node] the URL of a request holds a user name or password: give it to a keychain',
  );
}

function callOf(request: Request, { body, carry, length }: Content): Call {
  const url = new URL(request.url);
  url.hash = '';
  // Another host in `Host` would have this origin's credential answer for that one.
  const headers = [...request.headers].filter(([name]) => name !== 'host');
  if (!request.headers.has('accept')) headers.push(['accept', '*/*']);
  if (length !== null && !request.headers.has('content-length')) {
    headers.push(['content-length', String(length)]);
  }
  return {
    method: request.method,
    url: url.href,
    headers,
    redirect: request.redirect === 'follow' ? 'follow' : 'manual',
    body,
    carry,
    observer: informed(),
  };
}

/** Responses below 200 that a server may send before the one that counts: one a second for a quarter of an hour, and more. */
const mostInformation = 1_000;

/** Ends a request whose server sends responses below 200 and no other: undici counts neither them nor their time. */
function informed(): Observer {
  let count = 0;
  return {
    onInformation() {
      count += 1;
      if (count > mostInformation) throw new errors.HeadersOverflowError('too many responses below 200');
    },
    onResponseStarted() {},
    onBodySent() {},
    onRequestSent() {},
  };
}

/** What undici will not send: a header field or a length that the caller gave. */
const refusals = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'];

/** The error of a request that never left because of what the caller put into it, or `error` itself. */
function refusedHere(error: unknown): unknown {
  if (!isRegistryAuthError(error) || error.failure.kind !== 'network') return error;
  const { to, code } = error.failure;
  return to === 'registry' && refusals.includes(code) ? failed(error.cause) : error;
}

/** What fetch rejects with. */
function failed(cause: unknown): TypeError {
  return new TypeError('fetch failed', { cause });
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
