/**
 * The core's `Send` over an undici dispatcher.
 *
 * Rules of this file: what the core asks for goes on the wire as it is, and nothing else but a `User-Agent`, since some
 * registries and token servers refuse clients that have none (Q57); `dispatch` is called before `send` returns.
 */

import type { Head, HeaderList, NetworkPhase, RegistryRequest } from '@reg/core';
import type { Outgoing, Reply, Send } from '@reg/core/driver';
import type { Dispatcher } from 'undici';
import { type Dialling, type DiallingOptions, dialling } from './agent.ts';
import { beginningOf, textOf } from './body.ts';
import { asError, Leg, type Observer, type Progress, type ResponseHeaders } from './leg.ts';

/** What undici takes for a request. */
export type DispatchOptions = Dispatcher.DispatchOptions;

/** A caller's request with what undici needs for it beside what the core knows: its body, and options of the caller's own. */
export interface Carried extends RegistryRequest {
  readonly carry: Partial<DispatchOptions>;
  readonly observer: Observer | null;
}

/** Sends with `dispatch`, which is told what is sent so that it can choose the dispatcher. */
export function createSend<Q extends Carried>(
  dispatch: (options: DiallingOptions, handler: Dispatcher.DispatchHandler, outgoing: Outgoing<Q>) => void,
  userAgent: string,
): Send<Leg, Q> {
  return (outgoing, signal) =>
    new Promise((resolve, reject) => {
      const abort = (): void => leg.abort(asError(signal.reason));
      const { addresses } = outgoing;
      const wanted: Dialling | null = addresses === 'any' ? null : { addresses, checked: false };
      const leg = new Leg(
        outgoing.request?.observer ?? null,
        (error) => {
          if (error === null) resolve(replyOf(leg, wanted));
          else reject(signal.aborted ? error : withPhase(error, leg.progress));
        },
        () => signal.removeEventListener('abort', abort),
      );
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort);
      try {
        const options = optionsFor(outgoing, userAgent);
        dispatch(wanted === null ? options : { ...options, [dialling]: wanted }, leg, outgoing);
      } catch (error) {
        leg.abort(asError(error));
      }
    });
}

function optionsFor<Q extends Carried>(outgoing: Outgoing<Q>, userAgent: string): DispatchOptions {
  const { method, url, request } = outgoing;
  const { body, path, query, ...carry } = request?.carry ?? {};
  const content = outgoing.body === 'caller' ? (body ?? null) : outgoing.form;
  const headers = fieldsOf(outgoing.headers, userAgent);
  // What was given to a dispatcher goes on as it was given: a path read as a URL and written again may be another.
  if (path !== undefined && url === request?.url) {
    return { ...carry, ...(query === undefined ? {} : { query }), path, method, headers, body: content };
  }
  const { origin, pathname, search } = new URL(url);
  return { ...carry, origin, path: pathname + search, method, headers, body: content };
}

/** Names and values in turn, as undici takes them fastest. */
function fieldsOf(headers: HeaderList, userAgent: string): string[] | Record<string, string | string[]> {
  const list: string[] = [];
  const names = new Set<string>();
  for (const [name, value] of headers) {
    list.push(name, value);
    names.add(name);
  }
  if (names.size < headers.length) return grouped(headers, userAgent);
  if (!names.has('user-agent')) list.push('user-agent', userAgent);
  return list;
}

/** Of a name that comes twice in a list, undici's `ProxyAgent` sends the last value alone. */
function grouped(headers: HeaderList, userAgent: string): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>([['user-agent', userAgent]]);
  for (const [name, value] of headers) {
    const lines = headers.filter(([other]) => other === name).map(([, line]) => line);
    fields.set(name, lines.length > 1 ? lines : value);
  }
  return Object.fromEntries(fields);
}

function replyOf(leg: Leg, wanted: Dialling | null): Reply<Leg> {
  return {
    head: headOf(leg),
    raw: leg,
    ...(wanted?.checked ? { address: 'checked' } : {}),
    text: (limit) => textOf(leg, limit),
    peek: (limit) => beginningOf(leg, limit),
    discard: () => leg.discard(),
  };
}

/** Of a success nobody may ever look at the fields. */
function headOf({ status, headers }: Leg): Head {
  let list: HeaderList | null = null;
  return {
    status,
    get headers() {
      list ??= headerList(headers);
      return list;
    },
  };
}

function headerList(headers: ResponseHeaders): HeaderList {
  const list: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') list.push([name, value]);
    else for (const line of value ?? []) list.push([name, line]);
  }
  return list;
}

/** The error as it is, since callers know undici's, with a note for the core where no log prints it. */
function withPhase(error: Error, progress: Progress): Error {
  if (!Object.isExtensible(error)) return error;
  return Object.defineProperty(error, 'phase', { value: phaseOf(error, progress), configurable: true });
}

function phaseOf(error: Error, progress: Progress): NetworkPhase {
  // A server that wants another client certificate says so when it was already sent a request (RFC 8446 §4.6.2).
  if (codeOf(error).startsWith('ERR_SSL_')) return 'tls';
  switch (progress) {
    case 'connecting':
      return connectPhase(error);
    case 'sending':
      return 'send';
    case 'waiting':
      return 'head';
    case 'answered':
      return 'body';
  }
}

/** Beginnings of the codes that Node gives TLS errors (its documentation, "X509 certificate error codes"). */
const tlsCodes = [
  'ERR_TLS_',
  'ERR_SSL_',
  'CERT_',
  'CRL_',
  'UNABLE_TO_',
  'DEPTH_ZERO_',
  'SELF_SIGNED_',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'EPROTO',
];

/** undici's own refusals, for which no connection was tried. */
const refusals = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED'];

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function connectPhase(error: Error): NetworkPhase {
  const code = codeOf(error);
  // Our own errors know.
  const known =
    'phase' in error ? (['lookup', 'connect', 'tls'] as const).find((p) => p === error.phase) : undefined;
  if (known !== undefined) return known;
  if ('syscall' in error && error.syscall === 'getaddrinfo') return 'lookup';
  if (tlsCodes.some((beginning) => code.startsWith(beginning))) return 'tls';
  return refusals.includes(code) ? 'unknown' : 'connect';
}
