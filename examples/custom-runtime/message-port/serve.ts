/**
 * The worker's end: requests of a page, made with credentials that it never sees.
 *
 * Rules of this file:
 * 1. Nothing from the port is taken for what it should be: a page may run anybody's script. What is no request gets a refusal.
 * 2. Only the API of the registries that are served is asked for. A token server that shares its origin with a registry would
 *    answer a page with a token otherwise, and log in for it with the password.
 * 3. What goes back is the registry's answer or a failure as data. Errors of the platform, of the keychain or of a parser stay
 *    here: their messages quote what they were given.
 */

import { isRegistryAuthError, scopesForRequest } from '@reg/core';
import type { Answered, Asked, AskedBody, HeaderPairs, Port, RefusalCode } from './protocol.ts';

/** What a worker serves. */
export interface Served {
  /** A registry's `fetch`, with its credentials. */
  readonly fetch: typeof fetch;
  /** Origins. */
  readonly registries: readonly string[];
}

type Request = Extract<Asked, { type: 'request' }>;

/** Answers what is asked on `port` until it is closed. `served` is called for each request; what it throws is a refusal. */
export function serve(port: Port<unknown>, served: () => Promise<Served>): void {
  const underWay = new Map<number, AbortController>();
  const post = (message: Answered, transfer: ReadableStream[] = []) => port.postMessage(message, transfer);

  async function answer(request: Request): Promise<void> {
    const { id, method, url, headers, body } = request;
    const controller = new AbortController();
    underWay.set(id, controller);
    try {
      const { fetch, registries } = await served();
      if (!isServed(request, registries)) {
        if (body instanceof ReadableStream) void body.cancel().catch(() => {});
        return post(refusal(id, 'ERR_PORT_NOT_SERVED', 'this is not served here'));
      }
      const init = { method, headers: headers.map(pair), body, duplex: 'half', signal: controller.signal };
      post(...responseOf(id, await fetch(url, init)));
    } catch (error) {
      post(refusalOf(id, error));
    } finally {
      underWay.delete(id);
    }
  }

  port.addEventListener('message', ({ data }) => {
    const asked = readAsked(data);
    if (asked?.type === 'abort') underWay.get(asked.id)?.abort();
    else if (asked === null || underWay.has(asked.id)) post(notUnderstood);
    else void answer(asked);
  });
  port.addEventListener('messageerror', () => post(notUnderstood));
  port.addEventListener('close', () => {
    for (const controller of underWay.values()) controller.abort();
  });
  port.start();
}

/** Whether `url` is of the API of one of `registries`, and the page leaves it to the worker who asks. */
function isServed({ method, url, headers }: Request, registries: readonly string[]): boolean {
  if (!URL.canParse(url)) return false;
  const { origin, pathname, username, password } = new URL(url);
  // The core reads `/any/thing/v2/…` as well, for registries behind a path.
  const isApi =
    pathname === '/v2/' ||
    (pathname.startsWith('/v2/') && scopesForRequest(method.toUpperCase(), url).length > 0);
  const isAnonymous = username === '' && password === '' && !headers.some(([name]) => isAuthorization(name));
  return registries.includes(origin) && isApi && isAnonymous;
}

function isAuthorization(name: string): boolean {
  return name.toLowerCase() === 'authorization';
}

function responseOf(id: number, response: Response): [Answered, ReadableStream[]] {
  const { status, statusText, body } = response;
  // A browser shows no cookies to a worker; where they are shown they are the worker's.
  const headers = [...response.headers].filter(([name]) => name !== 'set-cookie');
  return [{ type: 'response', id, status, statusText, headers, body }, body === null ? [] : [body]];
}

const notUnderstood = refusal(null, 'ERR_PORT_MESSAGE', 'this is no request');

function refusalOf(id: number, error: unknown): Answered {
  if (!isRegistryAuthError(error)) return refusal(id, 'ERR_PORT_REQUEST', 'the request could not be made');
  const { message, failure } = error;
  return { type: 'refusal', id, code: 'ERR_PORT_HANDSHAKE', message, failure };
}

function refusal(id: number | null, code: RefusalCode, message: string): Answered {
  return { type: 'refusal', id, code, message, failure: null };
}

/** What a page sent, or `null` when it is no message of the protocol. */
function readAsked(data: unknown): Asked | null {
  if (typeof data !== 'object' || data === null || !('id' in data) || typeof data.id !== 'number')
    return null;
  const { id } = data;
  if (!('type' in data)) return null;
  if (data.type === 'abort') return { type: 'abort', id };
  if (
    data.type !== 'request' ||
    !('method' in data && 'url' in data && 'headers' in data && 'body' in data)
  ) {
    return null;
  }
  const { method, url, headers, body } = data;
  if (typeof method !== 'string' || typeof url !== 'string') return null;
  if (!isPairs(headers) || !isBody(body)) return null;
  return { type: 'request', id, method, url, headers, body };
}

function isPairs(value: unknown): value is HeaderPairs {
  return Array.isArray(value) && value.every(isPair);
}

function isPair(value: unknown): value is HeaderPairs[number] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}

/** As `Headers` wants it. */
function pair([name, value]: HeaderPairs[number]): [string, string] {
  return [name, value];
}

function isBody(value: unknown): value is AskedBody {
  return (
    value === null ||
    typeof value === 'string' ||
    value instanceof ReadableStream ||
    (value instanceof Uint8Array && value.buffer instanceof ArrayBuffer)
  );
}
