/** Clients without opinions: one request of `node:http` on a connection of its own, and raw bytes on a socket. */

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Name and value of each field line, as sent. */
  readonly lines: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly ca?: string;
  /** Name to resolve to 127.0.0.1, for certificates. */
  readonly servername?: string;
}

/** Sends one request and reads the whole answer. Rejects when the connection breaks before its end. */
export function send(url: string, sent: Sent = {}): Promise<Answer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  const { method = 'GET', headers = {}, body, ca, servername } = sent;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      headers,
      agent: false,
      ...(ca === undefined ? {} : { ca }),
      ...(servername === undefined ? {} : { servername }),
    };
    const outgoing = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const { rawHeaders } = response;
        const lines = rawHeaders.flatMap((name, at): [string, string][] =>
          at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [],
        );
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          lines,
          body: bytes,
          text: bytes.toString(),
        });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** `value` of a JSON body. */
export function parsed<T>(answer: Answer): T {
  return JSON.parse(answer.text) as T;
}

export function basic(username: string, password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

export interface Heard {
  readonly bytes: string;
  /** How it ended: in order, by a reset, or not at all when `heard` was satisfied first. */
  readonly ending: 'end' | 'reset' | 'open';
}

/** Sends a GET as raw bytes and listens until the connection ends or `enough` is satisfied. */
export function listenRaw(
  url: string,
  enough: (bytes: string) => boolean = () => false,
): Promise<Heard & { at: number[] }> {
  const { hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve) => {
    let bytes = '';
    const at: number[] = [];
    const socket = connect(Number(port), hostname);
    const done = (ending: Heard['ending']) => {
      socket.destroy();
      resolve({ bytes, ending, at });
    };
    socket.on('connect', () =>
      socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`),
    );
    socket.on('data', (chunk) => {
      at.push(performance.now());
      bytes += chunk.toString('latin1');
      if (enough(bytes)) done('open');
    });
    socket.on('error', () => done('reset'));
    socket.on('end', () => done('end'));
  });
}
