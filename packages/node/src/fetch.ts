/**
 * `fetch` for registries, over an undici dispatcher.
 *
 * Rules of this file:
 * 1. Input is read by the platform's own `Request`, so that what fetch refuses is refused alike, and what comes out is the
 *    platform's own `Response`.
 * 2. The body stays here: text, bytes, forms and blobs can be sent again after a challenge, a stream cannot. undici's fetch
 *    would turn all of them into something that can be read once.
 * 3. One hop at a time: redirects are judged by the core, and `url` and `redirected` are told from what it did.
 * 4. A registry's answer resolves, 401 and 403 included, with `failureOf(response)` to say why. What ends before such an
 *    answer rejects with a `RegistryAuthError`, an abort with the signal's reason.
 *
 * No `Accept-Encoding` is sent: what a registry serves is named by the digest of its bytes and asked for by ranges of them,
 * and a proxy that compresses on the way changes both. A body that comes encoded all the same is decoded.
 */

import { Readable } from 'node:stream';
import { createAuthorizer } from '@reg/core/driver';
import { Agent, type Dispatcher, getGlobalDispatcher } from 'undici';
import type { Leg } from './leg.ts';
import { defaultUserAgent, type RegistryOptions } from './options.ts';
import { boundOrigin, servesOrigin } from './origin.ts';
import { responseOf } from './response.ts';
import { type Carried, createSend } from './send.ts';

export interface RegistryFetchOptions extends RegistryOptions {
  /**
   * What puts requests on the wire. Default: undici's global dispatcher. Compose it with neither `redirect` nor `cache`. What is
   * for another origin than the one a `Client` or `Pool` is bound to, a token server's say, goes through an `Agent` of its own.
   */
  readonly dispatcher?: Dispatcher;
}

/**
 * A `fetch` that answers the challenges of registries.
 *
 * As fetch, but: a 3xx that policy leaves to the caller resolves as it is (an upload that would go to another origin), and
 * `integrity` is refused with a TypeError. `cache`, `credentials`, `mode` and `referrer` have no meaning here.
 */
export function createRegistryFetch(options: RegistryFetchOptions = {}): typeof fetch {
  const { dispatcher, userAgent = defaultUserAgent, ...core } = options;
  let ownAgent: Agent | null = null;
  const send = createSend<Call>((wire, leg, { url, to }) => {
    const given = dispatcher ?? getGlobalDispatcher();
    if (servesOrigin(boundOrigin(given), url, to)) return void given.dispatch(wire, leg);
    ownAgent ??= new Agent();
    ownAgent.dispatch(wire, leg);
  }, userAgent);
  const authorizer = createAuthorizer<Leg, Call>({ ...core, send });

  return async (input, init) => {
    const signal =
      (init?.signal === undefined && input instanceof Request ? input.signal : init?.signal) ?? null;
    refuseUserinfo(input);
    // The request's own signal would follow the caller's, and stay on it until it is collected.
    const request = new Request(input, { ...init, signal: null });
    if (request.integrity !== '') throw new TypeError('[@reg/node] createRegistryFetch checks no integrity');
    const call = await callOf(request, init?.body);
    try {
      signal?.throwIfAborted();
      const { raw, ...about } = await authorizer.request(call, signal === null ? {} : { signal });
      if (request.redirect === 'error' && isRedirect(raw.status)) {
        void raw.discard();
        throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') });
      }
      const failed = (cause: Error): unknown =>
        signal?.aborted ? signal.reason : new TypeError('terminated', { cause });
      return responseOf(raw, request.method, failed, about);
    } catch (error) {
      call.release();
      throw error;
    }
  };
}

interface Call extends Carried {
  /** Lets go of a stream that was not sent. */
  release(): void;
}

async function callOf(request: Request, given: unknown): Promise<Call> {
  const { href, hash } = new URL(request.url);
  const headers: (readonly [string, string])[] = [...request.headers];
  if (!request.headers.has('accept')) headers.push(['accept', '*/*']);
  const about = {
    method: request.method,
    url: href.slice(0, href.length - hash.length),
    headers,
    redirect: request.redirect === 'follow' ? 'follow' : 'manual',
    observer: null,
    release: () => {},
  } as const;
  if (request.body === null) return { ...about, body: 'none', carry: {} };
  if (given instanceof Blob) {
    if (!request.headers.has('content-length')) headers.push(['content-length', String(given.size)]);
    // Read anew for each leg, and never as a whole: a blob may be a file.
    const carry = {
      get body() {
        return streamed(given.stream());
      },
    };
    return { ...about, body: 'replayable', carry };
  }
  // A `Request` that was given with a body shows it as a stream, whatever it was made of.
  if (given === undefined || isStream(given)) {
    const body = streamed(request.body);
    return { ...about, body: 'once', carry: { body }, release: () => void body.destroy() };
  }
  const body = new Uint8Array(await request.arrayBuffer());
  return { ...about, body: 'replayable', carry: { body } };
}

/** The platform would refuse it too, and print it. */
function refuseUserinfo(input: Parameters<typeof fetch>[0]): void {
  if (input instanceof Request || !URL.canParse(String(input))) return;
  const { username, password } = new URL(String(input));
  if (username === '' && password === '') return;
  throw new TypeError(
    '[@reg/node] the URL of a request holds a user name or password: give it to a keychain',
  );
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

/** The stream as undici takes it. Nothing is read before it is sent; its error is undici's to tell. */
function streamed(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.from(stream, { objectMode: false }).on('error', () => {});
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
