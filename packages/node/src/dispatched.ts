/**
 * Reading a request as it is given to a dispatcher.
 *
 * Rules of this file: nothing here changes a request or decides what becomes of it; what undici itself would refuse is left
 * for it to refuse.
 */

import { EventEmitter } from 'node:events';
import { stringify } from 'node:querystring';
import type { HeaderList, RegistryRequest } from '@reg/core';
import { FormData } from 'undici';
import type { DispatchOptions } from './send.ts';

/** Whether the path holds `/v2/`. Upgrades and tunnels are no registry requests; an absolute path is a proxy's business. */
export function isRegistryPath({ path, method, upgrade }: DispatchOptions): boolean {
  if (typeof path !== 'string' || upgrade || method === 'CONNECT' || !path.startsWith('/')) return false;
  const at = path.indexOf('/v2/');
  if (at < 0) return false;
  const query = path.indexOf('?');
  return query < 0 || at < query;
}

/** The http or https origin as URLs spell it, or `null` when it is none. */
export function originOf(origin: string | URL | undefined): string | null {
  const text = String(origin);
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url.origin : null;
}

/** What `query` adds to the path. undici writes it the same way. */
export function queryOf({ query }: DispatchOptions): string {
  const text = query == null ? '' : stringify(query);
  return text === '' ? '' : `?${text}`;
}

/** Whether a body can be sent more than once. */
export function bodyKind(body: DispatchOptions['body']): RegistryRequest['body'] {
  if (body === undefined || body === null) return 'none';
  const again =
    typeof body === 'string' ||
    ArrayBuffer.isView(body) ||
    body instanceof ArrayBuffer ||
    body instanceof Blob ||
    body instanceof FormData;
  return again ? 'replayable' : 'once';
}

/** What tells of its error when nobody reads it. */
export interface Stream {
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

/** The body, if it is a stream of Node's. */
export function streamOf(body: DispatchOptions['body']): Stream | null {
  return body instanceof EventEmitter ? body : null;
}

/** `options`, with an iterable of header fields read into a list, since some can be read once only. */
export function withPlainHeaders(options: DispatchOptions): DispatchOptions {
  const { headers } = options;
  if (!isIterable(headers) || Array.isArray(headers)) return options;
  const fields = [...headers];
  const arePairs = fields.every((field) => Array.isArray(field) && field.length === 2);
  return { ...options, headers: arePairs ? (fields.flat() as string[]) : fields.values() };
}

/** The header fields, names in lower case, or `null` when undici would refuse them. */
export function headersOf(headers: DispatchOptions['headers']): HeaderList | null {
  const list: (readonly [string, string])[] = [];
  if (headers === undefined || headers === null) return list;
  if (Array.isArray(headers)) {
    if (headers.length % 2 !== 0) return null;
    for (let i = 0; i < headers.length; i += 2) if (!add(list, headers[i], headers[i + 1])) return null;
    return list;
  }
  if (typeof headers !== 'object' || isIterable(headers)) return null;
  for (const [name, value] of Object.entries(headers)) if (!add(list, name, value)) return null;
  return list;
}

function isIterable(headers: DispatchOptions['headers']): headers is Iterable<[string, string]> {
  return typeof headers === 'object' && headers !== null && Symbol.iterator in headers;
}

function add(list: (readonly [string, string])[], name: unknown, value: unknown): boolean {
  if (typeof name !== 'string') return false;
  if (value === undefined) return true;
  for (const line of Array.isArray(value) ? value : [value]) {
    if (typeof line === 'object' && line !== null) return false;
    if (typeof line === 'function' || typeof line === 'symbol') return false;
    list.push([name.toLowerCase(), line === null ? '' : String(line)]);
  }
  return true;
}

export function hasField(headers: HeaderList, name: string): boolean {
  return headers.some(([field]) => field === name);
}

/** Whether a `Host` field names the host of `origin`, its port included. */
export function namesHost(host: string, origin: string): boolean {
  const { protocol, host: own } = new URL(origin);
  const named = `${protocol}//${host}`;
  return URL.canParse(named) && new URL(named).host === own;
}
