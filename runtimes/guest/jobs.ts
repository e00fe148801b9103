/**
 * What a runtime is asked to do, and how it is asked: by a WebSocket whose path names the job. In its query the runtime says what
 * it is.
 *
 * Rules of this file: it runs in every runtime, so it knows what they all have and nothing else.
 */

import { createRegistryFetch } from '@reg/browser';
import { defaultPolicy, isRegistryAuthError } from '@reg/core';
import { createAuthorizer, staticKeychain } from '@reg/core/driver';
import { toJson } from '@reg/core/transcript';
import { type Channel, type FetchOptions, serveFetch } from '@reg/testing/guest';
import { play } from '../recorded/play.ts';
import { createCoreFetch } from './core.ts';

export type Job = (socket: WebSocket, print?: (value: unknown) => string) => void;

export const jobs: Readonly<Record<string, Job>> = {
  core: (socket, print) => serveFetch(channelOn(socket), createCoreFetch, print),
  browser: (socket, print) =>
    serveFetch(
      channelOn(socket),
      ({ credentials, policy }: FetchOptions) =>
        createRegistryFetch({ keychain: staticKeychain(credentials), policy }),
      print,
    ),
  recorded: (socket) => {
    play({ createAuthorizer, defaultPolicy, isRegistryAuthError, staticKeychain, toJson }).then(
      (transcripts) => socket.send(transcripts),
      (error) => socket.close(4_000, String(error).slice(0, 100)),
    );
  },
};

/** Does the job that `bridge` names until the other end closes the socket. */
export function work(
  bridge: string,
  able: Readonly<Record<string, Job>>,
  print?: (value: unknown) => string,
): Promise<void> {
  const socket = new WebSocket(`${bridge}?agent=${encodeURIComponent(navigator.userAgent)}`);
  const job = able[new URL(bridge).pathname.slice(1)];
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => {
      if (job === undefined) socket.close(4_000, 'no such job');
      else job(socket, print);
    });
    socket.addEventListener('error', () => reject(new Error(`no bridge at ${bridge}`)));
    socket.addEventListener('close', () => resolve());
  });
}

export function channelOn(socket: WebSocket): Channel {
  return {
    send: (text) => socket.send(text),
    listen(hear, ended) {
      socket.addEventListener('message', ({ data }) => hear(String(data)));
      socket.addEventListener('close', ({ code, reason }) => ended(`the socket closed: ${code} ${reason}`));
    },
  };
}
