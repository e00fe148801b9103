/**
 * The undici interceptor: requests to a registry leave with what the registry asks for.
 *
 * Rules of this file:
 * 1. It acts on `/v2/` requests that bring no `Authorization` of their own; everything else passes untouched.
 * 2. What is sent to another origin than the one it was composed for, never goes through the dispatcher it was composed on:
 *    a `Pool` sends whatever it is given to its own origin, and the token request has the password in it.
 * 3. The caller sees one request: one `onRequestStart`, at once, with a controller that stands for whatever leg is under way.
 * 4. It follows no redirect and sends nothing again that the machine did not ask for.
 */

import type { HeaderList, RegistryRequest } from '@reg/core';
import { type Authorizer, createAuthorizer, type Outgoing, type Send } from '@reg/core/driver';
import { Agent, type Dispatcher } from 'undici';
import { type Audience, type Leg, startLeg } from './leg.ts';
import { defaultUserAgent, driverOptions, type RegistryOptions } from './options.ts';

export interface RegistryAuthOptions extends RegistryOptions {
  /** The registries to act for, as origins. Default: every origin. */
  readonly origins?: readonly string[];
  /** Where token requests go when the interceptor is composed on a `Client` or `Pool`. Default: an `Agent` of its own. */
  readonly tokenDispatcher?: Dispatcher;
}

type Dispatch = Dispatcher['dispatch'];

/** A request with the options undici was given for it. */
interface Call extends RegistryRequest {
  readonly options: Dispatcher.DispatchOptions;
  readonly audience: Audience;
}

/**
 * An interceptor for `dispatcher.compose()` that answers the challenges of registries. Compose it outside `dns`, inside or
 * outside `retry` and `decompress`, and never together with `redirect` or `cache`.
 *
 * A registry's own answer, 401 and 403 included, reaches the handler as it came. What ends before reaches
 * `onResponseError` as a `RegistryAuthError`.
 */
export function registryAuth(
  options: RegistryAuthOptions = {},
): (dispatch: Dispatch, bound?: string | null) => Dispatch {
  const origins = options.origins?.map((origin) => new URL(origin).origin) ?? null;
  let own: Dispatcher | undefined = options.tokenDispatcher;
  const elsewhere: Dispatch = (to, handler) => {
    own ??= new Agent();
    return own.dispatch(to, handler);
  };
  return (dispatch, bound) => {
    const send: Send<Leg, Call> = (outgoing, signal) => {
      const { origin } = new URL(outgoing.url);
      // `null`: the dispatcher knows its origins itself (BalancedPool), and one of them is the caller's.
      const home = bound === undefined ? origin : (bound ?? outgoing.request?.options.origin?.toString());
      const through = home !== undefined && new URL(home).origin === origin ? dispatch : elsewhere;
      const audience = outgoing.request?.audience ?? null;
      return startLeg(through, legOptions(outgoing, options.userAgent ?? defaultUserAgent), audience, signal);
    };
    const authorizer = createAuthorizer<Leg, Call>({ ...driverOptions(options), send });
    return (to, handler) => {
      const url = registryUrl(to, origins);
      if (url === null) return dispatch(to, handler);
      if (typeof handler.onResponseStart !== 'function') {
        throw new TypeError(
          '[@reg/node] this handler is of undici 7: pass undici’s own fetch, or wrap the dispatcher in Dispatcher1Wrapper',
        );
      }
      return new Intercepted(to, handler).run(authorizer, url);
    };
  };
}

/** A caller's request: what it sees while legs come and go. */
class Intercepted implements Audience {
  readonly handler: Dispatcher.DispatchHandler;
  readonly controller: StableController;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #abort = new AbortController();
  #leg: Leg | null = null;

  constructor(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    this.#options = options;
    this.handler = handler;
    this.controller = new StableController(
      () => this.#leg,
      (reason) => {
        this.#abort.abort(reason);
        this.#leg?.abort(reason);
      },
    );
  }

  follow(leg: Leg): void {
    this.#leg = leg;
  }

  run(authorizer: Authorizer<Leg, Call>, url: string): boolean {
    const { handler, controller } = this;
    try {
      handler.onRequestStart?.(controller, {});
    } catch (error) {
      this.#fail(error);
      return true;
    }
    if (controller.aborted) {
      this.#fail(controller.reason);
      return true;
    }
    const call: Call = {
      method: this.#options.method,
      url,
      headers: headerList(this.#options.headers),
      body: bodyKind(this.#options.body),
      redirect: 'manual',
      options: this.#options,
      audience: this,
    };
    authorizer.request(call, { signal: this.#abort.signal }).then(
      ({ raw }) => raw.deliver(),
      (error: unknown) => this.#fail(error),
    );
    return true;
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    try {
      this.handler.onResponseError?.(this.controller, failure);
    } catch {
      // Nobody is left who could hear of it.
    }
  }
}

/** The one controller the caller ever sees. */
class StableController implements Dispatcher.DispatchController {
  readonly #leg: () => Leg | null;
  readonly #abort: (reason: Error) => void;
  #paused = false;
  #reason: Error | null = null;

  constructor(leg: () => Leg | null, abort: (reason: Error) => void) {
    this.#leg = leg;
    this.#abort = abort;
  }

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get rawHeaders() {
    return this.#leg()?.rawHeaders ?? null;
  }

  get rawTrailers() {
    return this.#leg()?.rawTrailers ?? null;
  }

  abort(reason: Error): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#abort(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#leg()?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#leg()?.flow();
  }
}

/** The URL of a request to act on, or `null`. Cheap for all others: the path is looked at first. */
function registryUrl(options: Dispatcher.DispatchOptions, origins: readonly string[] | null): string | null {
  const { path, origin, method, upgrade, query } = options;
  if (!path.includes('/v2/') || origin === undefined || upgrade || method === 'CONNECT') return null;
  const url = new URL(path, origin);
  if (origins !== null && !origins.includes(url.origin)) return null;
  for (const [name, value] of headerList(options.headers)) {
    if (name === 'authorization') return null;
    if (name === 'host' && value.toLowerCase() !== url.host)
      throw new ComposedBelowDnsError(url.origin, value);
  }
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.append(name, String(value));
  return url.href;
}

/** The request names another host than its origin: `dns` has replaced the origin already, and grants would bind to an address. */
export class ComposedBelowDnsError extends TypeError {
  override readonly name = 'ComposedBelowDnsError';
  readonly code = 'ERR_REG_COMPOSED_BELOW_DNS';

  constructor(origin: string, host: string) {
    super(
      `[@reg/node] a request to ${origin} says it is for ${JSON.stringify(host)}: compose registryAuth after dns, compose(dns(), registryAuth()), so that it sees the registry's name`,
    );
  }
}

function legOptions(outgoing: Outgoing<Call>, userAgent: string): Dispatcher.DispatchOptions {
  const { method, url, headers, form, request } = outgoing;
  const named = headers.some(([name]) => name === 'user-agent');
  const flat = headers.flat();
  if (!named) flat.push('user-agent', userAgent);
  if (request !== null) return { ...request.options, headers: flat };
  const { origin, pathname, search } = new URL(url);
  return { origin, path: pathname + search, method, headers: flat, body: form };
}

/** undici takes headers as a flat list, a record or pairs. */
function headerList(headers: Dispatcher.DispatchOptions['headers']): HeaderList {
  const list: (readonly [string, string])[] = [];
  const add = (name: string, value: unknown): void => {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) list.push([name.toLowerCase(), String(one)]);
    }
  };
  if (headers === null || headers === undefined) return list;
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let i = 0; i + 1 < headers.length; i += 2) add(String(headers[i]), headers[i + 1]);
    return list;
  }
  for (const [name, value] of isIterable(headers) ? headers : Object.entries(headers)) add(name, value);
  return list;
}

function isIterable(value: object): value is Iterable<readonly [string, unknown]> {
  return Symbol.iterator in value;
}

/** Text, bytes and forms can be sent again; what flows cannot. */
function bodyKind(body: Dispatcher.DispatchOptions['body']): RegistryRequest['body'] {
  if (body === null || body === undefined) return 'none';
  if (typeof body === 'string' || body instanceof Uint8Array) return 'replayable';
  return Symbol.asyncIterator in body || Symbol.iterator in body ? 'once' : 'replayable';
}
