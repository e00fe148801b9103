/**
 * The handshake where there is no fetch: the driver of a runtime that has sockets and nothing else.
 *
 * `send` is all that the core asks of a runtime: put this request on the wire, resolve with the head of its response, leave
 * the body to whoever reads it. It decides nothing: where a secret may go and what a 401 means was decided before.
 * What other runtimes have built in is in two files beside it: `dial.ts` opens a connection, `http1.ts` speaks HTTP on it.
 */

import type { Send } from '@reg/core/driver';
import { dial } from './dial.ts';
import { type Body, readResponse, requestText, textOf } from './http1.ts';

export const send: Send<Body> = async ({ method, url, headers, form, addresses }, signal) => {
  const request = requestText(method, new URL(url), headers, form ?? '');
  const socket = await dial(new URL(url), addresses);
  const abort = () => socket.destroy(new Error('aborted', { cause: signal.reason }));
  signal.addEventListener('abort', abort);
  socket.once('close', () => signal.removeEventListener('abort', abort));
  if (signal.aborted) abort();
  socket.write(request);
  const { head, body } = await readResponse(socket, method);
  const discard = async () => void socket.destroy();
  return { head, raw: body, address: 'checked', text: (limit) => textOf(body, limit), discard };
};
