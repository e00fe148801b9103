/**
 * The page's end: a `fetch` over a port.
 *
 * Rules of this file: no policy, no secret and no connection of its own; the worker on the other end decides what it answers.
 * An abort travels as a message until the head is there, and then as the cancellation of the body.
 */

import type { Failure } from '@reg/core';
import type { Answered, Asked, AskedBody, Port, RefusalCode } from './protocol.ts';

export interface PortInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is handed over, and is nobody's afterwards. */
  readonly body?: AskedBody;
  readonly signal?: AbortSignal;
}

/** Why there is no response. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly code: RefusalCode;
  /** Of the handshake; `describe` of `@reg/core` puts it into words, and so does `message`. */
  readonly failure: Failure | null;

  constructor(code: RefusalCode, message: string, failure: Failure | null = null) {
    super(message);
    this.code = code;
    this.failure = failure;
  }
}

/**
 * A `fetch` whose requests are made by the worker at the other end of `port`. A registry's answer resolves, 401 and 403
 * included; what ends before rejects with a `PortError`, an abort with the signal's reason. `url` of a response is empty: where
 * redirects led may be an address that is a secret itself. A port that the worker closes rejects what waits for it; of a worker
 * that was terminated browsers say nothing, so that whoever terminates one aborts what it was asked for.
 */
export function fetchOver(port: Port<Answered>): (url: string | URL, init?: PortInit) => Promise<Response> {
  const waiting = new Map<number, (answer: Answered) => void>();
  let lastId = 0;
  let isClosed = false;

  const post = (message: Asked, transfer: ReadableStream[] = []) => port.postMessage(message, transfer);
  port.addEventListener('message', ({ data }) => {
    const settle = data.id === null ? undefined : waiting.get(data.id);
    if (settle !== undefined) return settle(data);
    // The answer to what was given up.
    if (data.type === 'response') void data.body?.cancel().catch(() => {});
  });
  port.addEventListener('close', () => {
    isClosed = true;
    for (const [id, settle] of waiting) settle(closed(id));
  });
  port.start();

  return (url, { method = 'GET', headers = {}, body = null, signal } = {}) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      lastId += 1;
      const id = lastId;
      const settle = (answer: Answered) => {
        leave();
        if (answer.type === 'response') resolve(responseOf(answer, signal));
        else reject(new PortError(answer.code, answer.message, answer.failure));
      };
      const abort = () => {
        leave();
        post({ type: 'abort', id });
        reject(signal?.reason);
      };
      const leave = () => {
        waiting.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      if (isClosed) return settle(closed(id));
      const fields = Object.entries(headers);
      const transfer = body instanceof ReadableStream ? [body] : [];
      post({ type: 'request', id, method, url: String(url), headers: fields, body }, transfer);
      waiting.set(id, settle);
      signal?.addEventListener('abort', abort);
    });
}

function closed(id: number): Answered {
  const message = 'the worker that makes the requests is gone';
  return { type: 'refusal', id, code: 'ERR_PORT_CLOSED', message, failure: null };
}

function responseOf(
  answer: Extract<Answered, { type: 'response' }>,
  signal: AbortSignal | undefined,
): Response {
  const { status, statusText, body } = answer;
  const headers = answer.headers.map(([name, value]): [string, string] => [name, value]);
  const readable =
    body === null || signal === undefined ? body : body.pipeThrough(new TransformStream(), { signal });
  return new Response(readable, { status, statusText, headers });
}
