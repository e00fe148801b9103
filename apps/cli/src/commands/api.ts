/**
 * `reg api`: any request, with whatever token it needs.
 *
 * Rules of this file: what the registry answers is the result, whatever its status; what the status means is said on stderr and
 * by the exit code. Bytes that go to a pipe or file are the registry's own.
 */

import { STATUS_CODES } from 'node:http';
import { describe, type Head, toVisible } from '@reg/core';
import type { Delivered } from '@reg/core/driver';
import { answerTo, chunksOf } from '../reading/answer.ts';
import { pages } from '../reading/pages.ts';
import { bodyFrom, type Method, readRequest } from '../reading/request.ts';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import { type Again, againFor } from '../registry/argument.ts';
import type { Asked, Client } from '../registry/client.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { readScopes } from '../registry/values.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Body } from '../transport/body.ts';
import { show, visibleText } from '../writing/show.ts';
import { write } from '../writing/write.ts';

export interface ApiOptions extends Omit<NetworkOptions, 'input'> {
  readonly registry?: string;
  readonly method?: string;
  readonly header?: readonly string[];
  /** A file, or false with `--no-input`. */
  readonly input?: string | boolean;
  readonly include?: boolean;
  readonly paginate?: boolean;
  readonly silent?: boolean;
  readonly scope?: readonly string[];
}

/** `reg api` */
export async function api(
  first: string | undefined,
  second: string | undefined,
  options: ApiOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { target, method, headers, input } = readRequest(first, second, options);
  if (options.paginate === true && method !== 'GET') throw usage('--paginate is for GET requests');
  const scopes = options.scope === undefined ? null : readScopes(options.scope);
  const body = input === null ? null : await bodyFrom(input, surroundings);
  // Who hands in a body is not there to answer questions.
  const task = { ...options, input: input === null && options.input !== false };
  const again = againFor('api', target, task, flagsOf(method, options));
  const unscoped = againFor('api', target, task, flagsOf(method, { ...options, scope: [] })).command;
  await withClient({ target, options: task, again, bodies: false }, surroundings, async (client) => {
    const asked = { method, url: target.url, headers, ...(body === null ? {} : { body }) };
    const complete = await withScope(client, asked, scopes, again);
    for await (const answer of answers(client, complete, options, again)) {
      const notice = noticeIn(answer);
      if (notice !== null && options.quiet !== true) surroundings.stderr.write(`reg: ${notice}\n`);
      const complaint = notice === null ? complaintOf(answer, options, again, unscoped) : null;
      await print(answer, { method, options, again }, surroundings, complaint);
      if (complaint !== null) throw complaint;
    }
  });
}

/** The options that make the request what it is, for hints. */
function flagsOf(
  method: Method,
  { header = [], input, paginate, scope = [] }: ApiOptions,
): readonly string[] {
  return [
    ...(method === 'GET' ? [] : ['-X', method]),
    ...header.flatMap((line) => ['-H', line]),
    ...(typeof input === 'string' ? ['--input', input] : []),
    ...(paginate === true ? ['--paginate'] : []),
    ...scope.flatMap((one) => ['--scope', one]),
  ];
}

/** The request with a token for other scopes than its URL needs, where those were named. */
async function withScope(client: Client, asked: Asked, scopes: string | null, again: Again): Promise<Asked> {
  if (scopes === null) return asked;
  const { method, url, headers = [] } = asked;
  try {
    const { header } = await client.authorize({ url, method, scopes });
    return header === null ? asked : { ...asked, headers: [...headers, ['authorization', header]] };
  } catch (error) {
    throw complaintFrom(error, again);
  }
}

async function* answers(
  client: Client,
  asked: Asked,
  { paginate = false }: ApiOptions,
  again: Again,
): AsyncGenerator<Delivered<Body>> {
  if (paginate) yield* pages(client, asked, again);
  else yield await answerTo(client, asked, again);
}

/** What is to be said of a success: that a mount could only begin an upload. */
function noticeIn({ head, failure }: Delivered<Body>): string | null {
  const good = head.status >= 200 && head.status < 300;
  return good && failure !== null ? toVisible(describe(failure, { policy: false })) : null;
}

/** What a status means that is no success. */
function complaintOf(
  answer: Delivered<Body>,
  { scope }: ApiOptions,
  again: Again,
  unscoped: string,
): Complaint | null {
  const complaint = complaintAbout(answer, again);
  if (complaint === null || answer.failure === null || scope === undefined) return complaint;
  // Whose header it was that was refused: no caller's, but that token's.
  return new Complaint(complaint.exitCode, 'the registry does not take a token for what --scope says', {
    ...complaint.details,
    hint: unscoped,
  });
}

interface Page {
  readonly method: Method;
  readonly options: ApiOptions;
  readonly again: Again;
}

async function print(
  answer: Delivered<Body>,
  { method, options, again }: Page,
  surroundings: Surroundings,
  complaint: Complaint | null,
): Promise<void> {
  const { include = false, silent = false, paginate = false } = options;
  // Of a HEAD the head is all there is.
  if (include || (method === 'HEAD' && !silent))
    await write(renderHead(answer.head, surroundings), surroundings);
  if (silent || method === 'HEAD') return answer.raw.discard();
  const chunks = chunksOf(answer, again);
  try {
    await show(paginate ? lines(chunks) : chunks, `${again.command} > FILE`, surroundings);
  } catch (error) {
    // That what explains a failure cannot be read is not the failure.
    if (complaint === null || surroundings.signal.aborted) throw error;
  }
}

/** Fields of an answer that are secrets: who has them is signed in. */
const secretFields: readonly string[] = [
  'set-cookie',
  'set-cookie2',
  'authorization',
  'proxy-authorization',
  'authentication-info',
  'proxy-authentication-info',
];

/** Status line, fields and the empty line behind them, as HTTP/1.1 has them. */
function renderHead({ status, headers }: Head, { stdout }: Surroundings): string | Uint8Array {
  const fields = headers.map(([name, value]) => `${name}: ${secretFields.includes(name) ? '•••' : value}\n`);
  const text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd().concat('\n', ...fields, '\n');
  return stdout.isTTY === true ? visibleText(text) : text;
}

/** One page after another, each beginning a line. */
async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: number | undefined;
  for await (const chunk of chunks) {
    last = chunk.at(-1) ?? last;
    yield chunk;
  }
  if (last !== undefined && last !== 0x0a) yield new Uint8Array([0x0a]);
}
