/** A bridge between two ends in this process, over a real message port: nothing but text crosses. */

import { inspect } from 'node:util';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Channel, remoteFetch } from '../src/index.ts';
import { serveFetch } from '../src/remote/guest.ts';

/** The two ends of a channel; either may end it. */
export function channels(): readonly [Channel & { end(): void }, Channel & { end(): void }] {
  const { port1, port2 } = new MessageChannel();
  const channelOn = (port: MessagePort) => ({
    send: (text: string) => port.postMessage(text),
    listen: (hear: (text: string) => void, ended: (why: string) => void) => {
      port.on('message', hear);
      port.on('close', () => ended('the port is closed'));
    },
    end: () => port.close(),
  });
  return [channelOn(port1), channelOn(port2)];
}

/** The client that `createFetch` makes, used from the other end of a bridge. */
export function bridged(createFetch: Parameters<typeof serveFetch>[1]) {
  const [host, guest] = channels();
  serveFetch(guest, createFetch, (error) => inspect(error, { depth: 10 }));
  return remoteFetch(host);
}
