/**
 * Hostile registries and token servers in memory, behind the `Send` port and on a virtual clock.
 *
 * Everything that was sent is kept, and everything that anybody could have printed. A call that ends with another error than
 * ours rejects, which fails the test it is in.
 */

import { inspect } from 'node:util';
import type { Credential } from '../src/credential.ts';
import {
  type AbortSignalLike,
  type Authorizer,
  createAuthorizer,
  type Keychain,
  type Outgoing,
  type Send,
  TokenCache,
} from '../src/driver/index.ts';
import { describe, isRegistryAuthError } from '../src/error.ts';
import type { Failure } from '../src/failure.ts';
import { type HeaderList, headerValue } from '../src/message.ts';
import type { PartialPolicy } from '../src/policy.ts';
import { type Transcript, toJson, toText } from '../src/transcript/index.ts';
import { VirtualClock } from './driver/clock.ts';

export interface Sent {
  readonly to: 'registry' | 'authority';
  readonly url: string;
  readonly headers: HeaderList;
  readonly form: string | null;
  readonly at: number;
}

/** How a call ended: with the registry's answer, or with a failure, or both. */
export interface End {
  readonly status: number | null;
  readonly failure: Failure | null;
}

export interface Answer {
  readonly status: number;
  readonly headers?: HeaderList;
  readonly body?: string;
  /** In place of a body that is simply there. */
  readonly read?: (limit: number, signal: AbortSignalLike) => Promise<string | null>;
}

/** What came of a case. */
export interface Outcome {
  /** The user's. */
  readonly credentials: readonly Credential[];
  /** What the caller asked for. */
  readonly url: string;
  readonly scene: Scene;
  readonly end: End;
  /** Real and virtual time, added. */
  readonly ms: number;
  readonly heapMb?: number;
  readonly entries?: number;
  readonly callers?: number;
}

/** What a server answers its `n`-th request; what it throws is the network's. */
export type Server = (out: Outgoing, n: number) => Answer | Promise<Answer>;

export interface Servers {
  readonly registry: Server;
  readonly authority: Server;
}

export class Scene {
  readonly clock = new VirtualClock();
  readonly cache = new TokenCache();
  readonly sent: Sent[] = [];
  readonly ends: End[] = [];
  /** What people are told of all calls: messages, and transcripts as text. */
  told = '';
  /** What is dumped of them: errors as Node prints them, and JSON. */
  dumped = '';
  /** What the last call took, real and virtual milliseconds added. */
  ms = 0;
  /** The most that was asked for of a token response, in bytes. */
  mostRead = 0;
  readonly #servers: Servers;
  readonly #counts = { registry: 0, authority: 0 };

  constructor(servers: (scene: Scene) => Servers) {
    this.#servers = servers(this);
  }

  authorizer(keychain: Keychain, policy: PartialPolicy = {}): Authorizer<string> {
    const { send, cache, clock } = this;
    return createAuthorizer<string>({ send, keychain, cache, policy, now: clock.now, sleep: clock.sleep });
  }

  readonly send: Send<string> = async (out, signal) => {
    const { to, url, headers, form } = out;
    this.#counts[to] += 1;
    this.sent.push({ to, url, headers, form, at: this.clock.now() });
    const answer = await this.#servers[to](out, this.#counts[to]);
    if (signal.aborted) throw new Error('the connection was closed');
    const body = answer.body ?? '';
    return {
      head: { status: answer.status, headers: answer.headers ?? [] },
      raw: body,
      text: async (limit) => {
        if (to === 'authority') this.mostRead = Math.max(this.mostRead, limit);
        return answer.read === undefined ? (body.length > limit ? null : body) : answer.read(limit, signal);
      },
      peek: async (limit) => body.slice(0, limit),
      discard: async () => {},
    };
  };

  /** A GET, told how it ended. */
  async call(
    authorizer: Authorizer<string>,
    url: string,
    { headers = [], signal }: { readonly headers?: HeaderList; readonly signal?: AbortSignal } = {},
  ): Promise<End> {
    const about = signal === undefined ? {} : { signal };
    const begun = performance.now() + this.clock.now();
    const work = authorizer.request({ method: 'GET', url, headers, body: 'none' }, about);
    const stop = (): void => {
      this.ms = performance.now() + this.clock.now() - begun;
    };
    work.then(stop, stop);
    const end = await work.then(
      ({ head, failure, transcript }) => {
        if (failure !== null) this.told += `${describe(failure)}\n`;
        this.dumped += `${JSON.stringify(failure)}\n`;
        this.#keep(transcript);
        return { status: head.status, failure };
      },
      (error: unknown) => {
        if (!isRegistryAuthError(error)) throw error;
        this.told += `${error.message}\n`;
        this.dumped += `${inspect(error, { depth: 9, showHidden: true })}\n${JSON.stringify(error)}\n`;
        this.#keep(() => error.transcript);
        return { status: null, failure: error.failure };
      },
    );
    this.ends.push(end);
    return end;
  }

  #keep(make: () => Transcript | null): void {
    // A storm of a thousand calls says the same a thousand times.
    const transcript = this.ends.length < 20 ? make() : null;
    if (transcript === null) return;
    this.told += `${toText(transcript)}\n`;
    this.dumped += `${toJson(transcript)}\n`;
  }

  count(to: 'registry' | 'authority'): number {
    return this.sent.filter((sent) => sent.to === to).length;
  }
}

export function authorizationOf({ headers }: { readonly headers: HeaderList }): string | null {
  return headerValue(headers, 'authorization');
}

/** A 401 with these field lines. */
export function challenge(...lines: readonly string[]): Answer {
  return { status: 401, headers: lines.map((line) => ['www-authenticate', line] as const) };
}

/** A token response; with `seconds` it states its life. */
export function token(text: string, seconds?: number): Answer {
  return { status: 200, body: JSON.stringify({ token: text, expires_in: seconds }) };
}

/** What a request shows to the server it goes to, decoded. */
export function shownBy({ url, headers, form }: Sent): string {
  const values = headers.map(([, value]) => {
    return value.startsWith('Basic ') ? Buffer.from(value.slice(6), 'base64').toString() : value;
  });
  const query = [...new URL(url).searchParams, ...new URLSearchParams(form ?? '')].flat();
  return [url, ...query, ...values].join('\n');
}
