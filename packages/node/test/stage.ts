/** What the tests of this package share: registries and servers that end with the test that started them. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { onTestFinished } from 'vitest';

export { aliceAt, clientOf, stage, TAGS } from '../../testing/test/alice.ts';

/** An agent that ends with the test. */
export function agent(options: Agent.Options = {}): Agent {
  return closing(new Agent(options));
}

export function closing<D extends Dispatcher>(dispatcher: D): D {
  onTestFinished(() => dispatcher.destroy());
  return dispatcher;
}

/** A server of one's own. Resolves to its origin and the connections it saw. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer(answer);
  server.on('connection', () => {
    connections += 1;
  });
  const url = await listening(server);
  return { url, connections: () => connections };
}

/** Makes `server` listen until the test ends. Resolves to its origin. */
export async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

/** Lets everything that is under way without the network come to rest. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Waits for `condition`, a turn of the event loop at a time. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Waits until `count` stays as it is for a hundred turns of the event loop. */
export async function rest(count: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 100; still = count() === last ? still + 1 : 0) {
    last = count();
    await turn();
  }
}

/** What a handler of undici is told, in order, and the controllers it is told it with. */
export function recorder(overrides: Partial<Dispatcher.DispatchHandler> = {}) {
  const events: string[] = [];
  const controllers = new Set<Dispatcher.DispatchController>();
  let ended: (error: Error | null) => void = () => {};
  const end = new Promise<Error | null>((resolve) => {
    ended = resolve;
  });
  let body = '';
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(controller, context) {
      events.push('start');
      controllers.add(controller);
      overrides.onRequestStart?.(controller, context);
    },
    onResponseStart(controller, status, headers, text) {
      events.push(String(status));
      controllers.add(controller);
      overrides.onResponseStart?.(controller, status, headers, text);
    },
    onResponseData(controller, chunk) {
      if (events.at(-1) !== 'data') events.push('data');
      controllers.add(controller);
      body += chunk;
      overrides.onResponseData?.(controller, chunk);
    },
    onResponseEnd(controller, trailers) {
      events.push('end');
      controllers.add(controller);
      overrides.onResponseEnd?.(controller, trailers);
      ended(null);
    },
    onResponseError(controller, error) {
      events.push('error');
      controllers.add(controller);
      ended(error);
    },
  };
  return { handler, events, controllers, end, body: () => body };
}
