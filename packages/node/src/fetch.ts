/**
 * `fetch` for registries.
 *
 * Rules of this file: it translates between fetch and the driver, and decides nothing about credentials or redirects. The
 * body is kept, so that it can be sent again; undici is asked for one hop at a time and follows none by itself.
 */

import type { RegistryRequest } from '@reg/core';
import { createAuthorizer, markFailure, type Reply, type Send } from '@reg/core/driver';
import {
  type Dispatcher,
  type RequestInit as HopInit,
  type Response as HopResponse,
  fetch as hop,
} from 'undici';
import { drain, readBeginning, readBounded } from './body.ts';
import { SendError } from './network-error.ts';
import { defaultUserAgent, driverOptions, type RegistryOptions } from './options.ts';

export interface RegistryFetchOptions extends RegistryOptions {
  /** The undici dispatcher that all requests go through. Default: undici's global one. */
  readonly dispatcher?: Dispatcher;
}

/** A call with the body that the machines never see. */
interface Call extends RegistryRequest {
  readonly content: HopInit['body'];
}

/**
 * A `fetch` that answers the challenges of registries. Bodies but streams can be sent again after a 401; a stream is sent
 * once, after a ping of a registry that is not known yet.
 *
 * A registry's own answer, 401 and 403 included, resolves, and `failureOf(response)` says why it is final. What ends before
 * rejects with `RegistryAuthError`, an abort with the signal's reason, `redirect: 'error'` and bad arguments with `TypeError`.
 */
export function createRegistryFetch(options: RegistryFetchOptions = {}): typeof globalThis.fetch {
  const { dispatcher, userAgent = defaultUserAgent } = options;
  const send: Send<HopResponse, Call> = async (outgoing, signal) => {
    const { method, url, request, form, redirect } = outgoing;
    const content = outgoing.body === 'caller' ? request?.content : outgoing.body === 'form' ? form : null;
    const named = outgoing.headers.some(([name]) => name === 'user-agent');
    const headers = [...outgoing.headers, ...(named ? [] : [['user-agent', userAgent] as const])];
    const init: HopInit = {
      method,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      redirect,
      ...(content == null ? {} : { body: content, duplex: 'half' }),
      ...(signal instanceof AbortSignal ? { signal } : {}),
      ...(dispatcher === undefined ? {} : { dispatcher }),
    };
    try {
      return replyOf(await hop(url, init));
    } catch (error) {
      throw signal.aborted ? error : new SendError(error);
    }
  };
  const authorizer = createAuthorizer<HopResponse, Call>({ ...driverOptions(options), send });

  return async (input, init = {}) => {
    const { call, redirect, signal } = await callOf(input, init);
    const delivered = await authorizer.request(call, signal == null ? {} : { signal });
    const { raw, head, failure } = delivered;
    if (redirect === 'error' && isRedirect(head.status) && raw.headers.has('location')) {
      void drain(raw.body);
      throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') });
    }
    const response = responseOf(raw, delivered.url, delivered.redirected);
    if (failure !== null) markFailure(response, failure);
    return response;
  };
}

type Input = Parameters<typeof globalThis.fetch>[0];
type Init = NonNullable<Parameters<typeof globalThis.fetch>[1]>;

async function callOf(
  input: Input,
  init: Init,
): Promise<{ call: Call; redirect: Request['redirect']; signal: AbortSignal | null }> {
  const given = input instanceof Request ? input : null;
  // The platform's own checks of method, headers and URL; a body is ours to keep, and a stream would be locked.
  const { body: _body, signal: _signal, ...rest } = init;
  const checked = new Request(given === null ? input : given.url, {
    ...(given === null ? {} : { method: given.method, headers: given.headers, redirect: given.redirect }),
    ...rest,
  });
  const body = init.body === undefined ? (given?.body ?? null) : init.body;
  if (body !== null && (checked.method === 'GET' || checked.method === 'HEAD')) {
    throw new TypeError('Request with GET/HEAD method cannot have body.');
  }
  const { content, type, kind } = await contentOf(body);
  if (type !== null && !checked.headers.has('content-type')) checked.headers.set('content-type', type);
  const { redirect } = checked;
  const call: Call = {
    method: checked.method,
    url: checked.url,
    headers: [...checked.headers],
    body: kind,
    redirect: redirect === 'follow' ? 'follow' : 'manual',
    content,
  };
  return { call, redirect, signal: init.signal === undefined ? (given?.signal ?? null) : init.signal };
}

/** A body as it can be sent: once for what flows, any number of times for what is there. */
async function contentOf(
  body: Init['body'],
): Promise<{ content: HopInit['body']; type: string | null; kind: RegistryRequest['body'] }> {
  if (body === null || body === undefined) return { content: null, type: null, kind: 'none' };
  if (typeof body === 'string')
    return { content: body, type: 'text/plain;charset=UTF-8', kind: 'replayable' };
  if (body instanceof Blob)
    return { content: body, type: body.type === '' ? null : body.type, kind: 'replayable' };
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
    return { content: body, type: null, kind: 'replayable' };
  }
  if (body instanceof FormData || body instanceof URLSearchParams) {
    // One encoding for all sends: a form has another boundary each time it is encoded.
    const encoded = new Response(body);
    const content = new Uint8Array(await encoded.arrayBuffer());
    return { content, type: encoded.headers.get('content-type'), kind: 'replayable' };
  }
  return { content: body, type: null, kind: 'once' };
}

function replyOf(response: HopResponse): Reply<HopResponse> {
  return {
    head: { status: response.status, headers: [...response.headers] },
    raw: response,
    text: (limit) => readBounded(response.body, limit),
    peek: (limit) => readBeginning(response.clone().body, limit),
    discard: () => drain(response.body),
  };
}

/** The platform's Response around undici's, so that `instanceof Response` and everything typed for it hold. */
function responseOf(raw: HopResponse, url: string, redirected: boolean): Response {
  const { status, statusText } = raw;
  const empty = status === 204 || status === 205 || status === 304;
  const response = new Response(empty ? null : raw.body, { status, statusText, headers: [...raw.headers] });
  return located(response, url, redirected);
}

function located(response: Response, url: string, redirected: boolean): Response {
  const clone = response.clone.bind(response);
  return Object.defineProperties(response, {
    url: { value: url },
    redirected: { value: redirected },
    clone: { value: () => located(clone(), url, redirected) },
  });
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
