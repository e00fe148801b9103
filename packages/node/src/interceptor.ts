/**
 * An undici interceptor that answers the challenges of registries.
 *
 * Rules of this file:
 * 1. It acts on registry requests only: the path holds `/v2/`, the caller set no `Authorization`, and the origin is among
 *    `origins` if those are given. Every other request goes on as it came, and costs these looks.
 * 2. Whatever the handshake sends, the caller's handler sees one request: `onRequestStart` once and at once, with a
 *    controller of ours that stands for whichever leg is on the wire, then one response or one error.
 * 3. The inner `dispatch` is used only for origins it is for. A `Pool` sends everything to its own origin, whatever the
 *    request says, and would send it the token request with the password.
 * 4. `dispatch` returns at once, and nothing thrown in between reaches the event loop.
 *
 * Theory: each dispatched request becomes one `request` of the driver, which sends legs. A leg holds its response until the
 * driver says whose it is: superseded ones end here, the last one flows into the caller's handler. With everything in memory
 * the driver sends within the same tick, so that a warm request starts as soon as without us.
 */

import { type Failure, type HeaderList, isRegistryAuthError } from '@reg/core';
import { type AbortSignalLike, createAuthorizer, markFailure } from '@reg/core/driver';
import { type Dispatcher, errors } from 'undici';
import { defaultAgent } from './agent.ts';
import { channels } from './diagnostics.ts';
import {
  bodyKind,
  hasField,
  headersOf,
  isRegistryPath,
  namesHost,
  originOf,
  queryOf,
  type Stream,
  streamOf,
  withPlainHeaders,
} from './dispatched.ts';
import { asError, type Leg, type Observer } from './leg.ts';
import { defaultUserAgent, type RegistryOptions } from './options.ts';
import { dispatcherFor, servesOrigin } from './origin.ts';
import { type Carried, createSend, type DispatchOptions } from './send.ts';

type Handler = Dispatcher.DispatchHandler;

export interface RegistryAuthOptions extends RegistryOptions {
  /** Origins whose requests are acted on, `https://host` or `https://host:port`. Default: every origin. */
  readonly origins?: readonly string[];
  /**
   * What asks token servers for tokens when this is composed on a `Client` or a `Pool`. Default: a `registryAgent()` that all
   * share. A `Client` or `Pool` here asks the server it is bound to, and that agent all others.
   */
  readonly tokenDispatcher?: Dispatcher;
}

/**
 * An interceptor for `dispatcher.compose(registryAuth(options))`. Compose it outside `dns`, inside `dump` and `responseError`, and
 * never with undici's `redirect` or `cache`.
 *
 * A request ends as the registry answers it, 401 and 403 included, and never follows a redirect. When it ends before such an
 * answer its handler gets a `RegistryAuthError`, or undici's own error when the registry could not be reached.
 *
 * @throws TypeError when one of `origins` is no origin: it would match nothing, in silence
 */
export function registryAuth(options: RegistryAuthOptions = {}): Dispatcher.DispatcherComposeInterceptor {
  const { origins, tokenDispatcher, userAgent = defaultUserAgent, ...core } = options;
  const elsewhere = tokenDispatcher === undefined ? defaultAgent : dispatcherFor(tokenDispatcher);
  const listed = origins === undefined ? null : new Set(origins.map(listedOrigin));

  /** @param boundTo the origin of a `Client` or `Pool`; `null` for a `BalancedPool`, which decides by itself where to send */
  return (dispatch, boundTo?: string | null) => {
    const send = createSend<Call>((wire, leg, { url, to, request }) => {
      if (!servesOrigin(boundTo, url, to)) {
        elsewhere(url, to).dispatch(wire, leg);
        return;
      }
      const mayGoOn = dispatch(wire, leg);
      if (request !== null) request.mayGoOn = mayGoOn;
    }, userAgent);
    const authorizer = createAuthorizer<Leg, Call>({ ...core, channels, send });
    // A service asks few registries again and again: the last origin is not read twice.
    let last: { readonly given: string | URL | undefined; readonly origin: string | null } | null = null;

    return (given, handler) => {
      if (!isRegistryPath(given)) return dispatch(given, handler);
      const named = boundTo ?? given.origin;
      // A URL object may have changed since.
      if (last === null || last.given !== named || typeof named !== 'string') {
        last = { given: named, origin: originOf(named) };
      }
      const { origin } = last;
      if (origin === null || (listed !== null && !listed.has(origin))) return dispatch(given, handler);
      const wire = withPlainHeaders(given);
      const headers = headersOf(wire.headers);
      if (headers === null || hasField(headers, 'authorization')) return dispatch(wire, handler);

      if (typeof handler.onResponseStart !== 'function') throw oldHandler();
      const call = new Call(origin, wire, headers, handler);
      const host = headers.find(([name]) => name === 'host')?.[1];
      if (host !== undefined && !namesHost(host, origin)) {
        call.fail(belowDns(host, origin));
        return false;
      }
      call.begin();
      if (call.aborted) return true;
      void authorizer.request(call, { signal: call }).then(
        ({ raw, failure }) => call.deliver(raw, failure),
        (error: unknown) => call.fail(nativeError(error)),
      );
      return call.mayGoOn;
    };
  };
}

/** One request of the caller's: what the driver sends, the caller's handler, and the controller that handler holds. */
class Call implements Carried, Dispatcher.DispatchController, AbortSignalLike {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderList;
  readonly body: Carried['body'];
  readonly redirect = 'manual';
  readonly carry: DispatchOptions;
  readonly observer: Observer;
  /** What the inner dispatch said of back-pressure, if it was reached in the same tick. */
  mayGoOn = true;
  aborted = false;
  reason: Error | null = null;
  paused = false;
  readonly #handler: Handler;
  readonly #listeners = new Set<() => void>();
  /** undici listens for a stream's error when it has the request, and an error nobody listens for ends the process. */
  readonly #broken = (error: Error): void => this.#stop(error);
  readonly #stream: Stream | null;
  #leg: Leg | null = null;
  /** undici's controller of the response that is told of, for its raw fields. */
  #source: Dispatcher.DispatchController | null = null;

  constructor(origin: string, carry: DispatchOptions, headers: HeaderList, handler: Handler) {
    this.method = carry.method;
    this.url = origin + carry.path + queryOf(carry);
    this.headers = headers;
    this.body = bodyKind(carry.body);
    this.carry = carry;
    this.#handler = handler;
    this.#stream = streamOf(carry.body);
    this.observer = {
      onInformation: (source, status, fields, text) => {
        this.#source = source;
        handler.onResponseStart?.(this, status, fields, text);
      },
      onResponseStarted: () => handler.onResponseStarted?.(),
      onBodySent: (chunk) => handler.onBodySent?.(chunk),
      onRequestSent: () => handler.onRequestSent?.(),
    };
  }

  /** Tells the caller's handler that its request has begun, with this as its controller. */
  begin(): void {
    this.#stream?.on('error', this.#broken);
    try {
      this.#handler.onRequestStart?.(this, null);
    } catch (error) {
      this.#stop(asError(error));
    }
    if (this.aborted) this.fail(this.reason);
  }

  /** Lets the response of `leg` be the caller's. Of its header fields `failureOf` knows why a 401 or 403 is final. */
  deliver(leg: Leg, failure: Failure | null): void {
    if (failure !== null) markFailure(leg.headers, failure);
    const handler = this.#handler;
    this.#leg = leg;
    this.#source = leg.controller;
    try {
      handler.onResponseStart?.(this, leg.status, leg.headers, leg.statusText);
    } catch (error) {
      leg.abort(asError(error));
    }
    if (this.paused) leg.pause();
    leg.flow({
      data: (chunk) => handler.onResponseData?.(this, chunk),
      end: (trailers) => {
        handler.onResponseEnd?.(this, trailers);
        this.#release();
      },
      error: (error) => {
        this.#release();
        handler.onResponseError?.(this, this.reason ?? error);
      },
    });
  }

  /** Ends the request without a response. */
  fail(error: unknown): void {
    this.#release();
    try {
      // undici's types promise an Error, and its own signals reject with anything.
      this.#handler.onResponseError?.(this, error as Error);
    } catch {
      // There is nobody left to tell.
    }
  }

  pause(): void {
    this.paused = true;
    this.#leg?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#leg?.resume();
  }

  abort(reason?: Error): void {
    this.#stop(reason);
  }

  /**
   * The driver ends what it waits for, and `send` the leg on the wire: both listen. What is held here ends with it. Not called
   * by the public name, which undici's `dump` replaces on the controller it is given.
   */
  #stop(reason: Error | undefined): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason ?? new errors.RequestAbortedError();
    for (const listener of [...this.#listeners]) listener();
    this.#leg?.abort(asError(this.reason));
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  #release(): void {
    this.#stream?.off('error', this.#broken);
  }

  get rawHeaders(): NonNullable<Dispatcher.DispatchController['rawHeaders']> | null {
    return this.#source?.rawHeaders ?? null;
  }

  get rawTrailers(): NonNullable<Dispatcher.DispatchController['rawTrailers']> | null {
    return this.#source?.rawTrailers ?? null;
  }
}

/** Its message names the place and not the text: a URL in the wrong place may hold a password. */
function listedOrigin(text: string, index: number): string {
  const origin = originOf(text);
  if (origin !== null && new URL(text).href === `${origin}/`) return origin;
  throw new TypeError(
    `[@reg/node] origins[${index}] must be an origin, https://host or https://host:port, and nothing after it`,
  );
}

/** undici's own error when the registry could not be reached: `retry` and callers decide by its code. */
function nativeError(error: unknown): unknown {
  if (!isRegistryAuthError(error) || error.failure.kind !== 'network') return error;
  return error.failure.to === 'registry' && error.cause !== undefined ? error.cause : error;
}

/** Below `dns` the origin is an address, and grants bound to an address would be for whoever has it next. */
function belowDns(host: string, origin: string): Error {
  const message =
    `[@reg/node] registryAuth got a request for ${origin} whose Host is ${host}: compose it outside undici's dns interceptor, ` +
    'as compose(dns, registryAuth). Nothing was sent.';
  return Object.assign(new TypeError(message), { code: 'ERR_REG_COMPOSED_BELOW_DNS' });
}

/** Node's own fetch hands over handlers of undici 7, whose callbacks have other names: waiting for them would hang. */
function oldHandler(): Error {
  const message =
    '[@reg/node] registryAuth needs handlers of undici 8. For the fetch of Node itself set the dispatcher with ' +
    "undici's setGlobalDispatcher(), or hand over a new Dispatcher1Wrapper(dispatcher).";
  return Object.assign(new TypeError(message), { code: 'ERR_REG_OLD_HANDLER' });
}
