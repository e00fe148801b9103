/**
 * Cases of the Web Platform Tests on three stages: the platform's own fetch, which says what is right where it can, ours at
 * a registry that asks for nothing, and ours behind a Bearer challenge.
 *
 * Rules of this file: a case sees the same requests and the same answers on every stage. What the challenge costs, the 401 and
 * the token request, never reaches its server, and no `Authorization` of ours does.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isRegistryAuthError } from '@reg/core';
import { expect, test } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';
import { agent, listening } from './stage.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface Stage {
  readonly name: 'platform' | 'open' | 'challenged';
  readonly fetch: typeof fetch;
  /** Starts a server that ends with the test. Resolves to a URL at it, which ends in a slash. */
  serve(answer: Answer): Promise<string>;
}

type StageName = Stage['name'];

const everywhere: readonly StageName[] = ['platform', 'open', 'challenged'];

/** Where the platform of this Node version is no oracle: it differs from the standard itself. */
export const ours: readonly StageName[] = ['open', 'challenged'];

/**
 * Runs one case on each stage.
 *
 * @param file of the Web Platform Tests; or of RFCs and of ours, for what they leave out
 * @param name as it stands there
 */
export function wpt(
  file: string,
  name: string,
  run: (stage: Stage) => Promise<void>,
  stages: readonly StageName[] = everywhere,
): void {
  for (const stage of stages) test(`${file}: ${name} [${stage}]`, () => run(stageOf(stage)));
}

function stageOf(name: StageName): Stage {
  return {
    name,
    fetch: name === 'platform' ? fetch : createRegistryFetch({ dispatcher: agent() }),
    serve: (answer) => serveFor(name, answer),
  };
}

async function serveFor(name: StageName, answer: Answer): Promise<string> {
  let realm = '';
  const server = createServer(async (request, response) => {
    if (name === 'challenged' && request.url === '/token') {
      return response.end(JSON.stringify({ token: 'a-token' }));
    }
    if (name === 'challenged' && request.headers.authorization === undefined) {
      request.resume();
      response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${realm}"` });
      return response.end();
    }
    if (request.headers.authorization === 'Bearer a-token') request.headers.authorization = undefined;
    return answer(request, response);
  });
  const origin = await listening(server);
  realm = `${origin}/token`;
  return `${origin}/v2/`;
}

/** Says in JSON what arrived. */
export const echo: Answer = async (request, response) => {
  const { method, url, headers } = request;
  const body = await textOf(request);
  response.end(JSON.stringify({ method, url, headers, body }));
};

export interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function echoed(response: Response): Promise<Echoed> {
  const arrived: Echoed = JSON.parse(await response.text());
  return arrived;
}

/** The body of a request, a character a byte. */
export async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

/** What `attempt` rejected with. */
export async function reasonOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => expect.unreachable('it resolved'),
    (error: unknown) => error,
  );
}

/** A network error as the standard has it; ours say more than its `TypeError` where a registry or the network is to blame. */
export async function isNetworkError(attempt: Promise<unknown>): Promise<void> {
  const error = await reasonOf(attempt);
  expect(error instanceof TypeError || isRegistryAuthError(error), String(error)).toBe(true);
}

/** A controller's abort, told by its reason. */
export function aborting() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason?: unknown) => controller.abort(reason) };
}
