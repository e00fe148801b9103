/**
 * One run: the handshake over @reg/browser, and the list that it opens.
 *
 * Rules of this file: the one place that touches the network. What it tells holds no secret; what it reads is bounded in
 * bytes, pages and time, so that no registry can keep the page busy. It ends with a value, whatever a server does.
 */

import { type CorsDiagnosis, createRegistryFetch, diagnoseCors } from '@reg/browser';
import {
  type Credential,
  completePolicy,
  type Failure,
  failureOf,
  isRegistryAuthError,
  nextPage,
  type Policy,
  toVisible,
} from '@reg/core';
import { type Keychain, monotonicNow } from '@reg/core/driver';
import type { Ask } from './ask.ts';
import type { RunEvent } from './story.ts';

export type Ending =
  /** The registry's own answer, `failure` being why a 401 or 403 is final. */
  | {
      readonly type: 'answered';
      readonly status: number;
      readonly failure: Failure | null;
      readonly answer: Answer;
    }
  /** It ended before. */
  | { readonly type: 'failed'; readonly failure: Failure }
  /** By the person at the page. */
  | { readonly type: 'stopped' }
  /** Something that is no answer to this: a fault of the page or of a setting. */
  | { readonly type: 'broken'; readonly message: string };

/** What a body holds. */
export type Answer =
  | { readonly type: 'tags'; readonly tags: readonly string[]; readonly cut: Cut | null }
  | { readonly type: 'text'; readonly text: string };

/** Why a list ends before its end: the bounds of this file, or an answer with `status` that is no page of it. */
export type Cut = { readonly reason: 'limit' } | { readonly reason: 'answer'; readonly status: number };

export interface Telling {
  /** This is secret: what is shown from now on is shown without it. Told before it is sent. */
  readonly secret: (secret: string, username?: string) => void;
  readonly event: (event: RunEvent) => void;
  /** So many tags have been read. */
  readonly progress: (tags: number) => void;
}

/** Milliseconds for each request to the registry, and for a token. */
const patience = 15_000;

const longestBody = 8 * 1024 * 1024;
/** More than is shown of it. */
const longestText = 8_192;
/** 10,000 tags in pages of 100, as registries have them. */
const mostPages = 100;
const mostTags = 100_000;
/** Milliseconds after which no more pages are asked for. */
const longestPaging = 60_000;

/** The registry is asked anew each time. A token request is sent with `no-store`, so that this also tells the two apart. */
const registryCache = 'no-cache';

/** The policy that `ask` runs under. */
export function policyOf({ registry, trusted, asForm }: Ask): Policy {
  return completePolicy({
    realms: { pairs: trusted === null ? [] : [{ registry, realm: trusted }] },
    redirects: { mode: 'platform' },
    oauth2: asForm ? 'prefer' : 'identity-only',
    deadlineMs: patience,
  });
}

/** Runs `ask` until it ends or `signal` aborts. Never rejects. */
export async function run(ask: Ask, signal: AbortSignal, telling: Telling): Promise<Ending> {
  // Of a later page, what happens is held back until it is more than one request.
  let held: RunEvent[] | null = null;
  const tell = (event: RunEvent): void => {
    const waiting = held ?? [];
    waiting.push(event);
    if (held !== null && waiting.filter(({ type }) => type === 'sent').length < 2) return;
    held = null;
    for (const each of waiting) telling.event(each);
  };
  const platform: typeof fetch = (input, init) => {
    const [, sent] = new Headers(init?.headers).get('authorization')?.split(' ') ?? [];
    if (sent !== undefined) telling.secret(sent);
    tell(sentEvent(input, init));
    return fetch(input, init);
  };
  try {
    const registryFetch = createRegistryFetch({
      keychain: keychainOf(ask, telling),
      policy: policyOf(ask),
      ...(ask.challenge === null ? {} : { challenges: { [ask.registry]: ask.challenge } }),
      fetch: platform,
      onStep: (step) => {
        tell({ type: 'step', step });
      },
    });
    const asked: RequestInit = { headers: { accept: 'application/json' }, cache: registryCache, signal };
    const response = await registryFetch(ask.url, asked);
    const failure = failureOf(response);
    const { status } = response;
    const text = await bodyOf(response, signal);
    const first = tagsIn(text, ask.url);
    if (!response.ok || first === null) {
      const answer = { type: 'text', text: text.slice(0, longestText) } as const;
      return { type: 'answered', status, failure, answer };
    }
    const tags = first.slice(0, mostTags);
    const begun = monotonicNow();
    telling.progress(tags.length);
    let cut: Cut | null = first.length > mostTags ? { reason: 'limit' } : null;
    let next = nextPage({ headers: [...response.headers] }, ask.url);
    for (let page = 1; next !== null && cut === null; page++) {
      if (page === mostPages || tags.length >= mostTags || monotonicNow() - begun > longestPaging) {
        cut = { reason: 'limit' };
        break;
      }
      held = [{ type: 'page' }];
      const more = await registryFetch(next.href, asked);
      const items = await tagsOf(more, next.href, signal);
      if (items === null) {
        cut = { reason: 'answer', status: more.status };
        break;
      }
      const before = tags.length;
      // Not as arguments: a page of 8 MiB holds more than a call takes.
      for (const tag of items.slice(0, mostTags - tags.length)) tags.push(tag);
      if (items.length > mostTags - before) cut = { reason: 'limit' };
      telling.progress(tags.length);
      next = nextPage({ headers: [...more.headers] }, next);
    }
    return { type: 'answered', status, failure, answer: { type: 'tags', tags, cut } };
  } catch (error) {
    if (signal.aborted) return { type: 'stopped' };
    if (isRegistryAuthError(error)) return { type: 'failed', failure: error.failure };
    if (error instanceof Unread) return { type: 'failed', failure: unreadFailure(ask.url, error) };
    return {
      type: 'broken',
      message: error instanceof Error ? toVisible(error.message.slice(0, 300)) : 'unknown',
    };
  }
}

/** Whether the browser tells so little of this that asking again, in other ways, finds out more. */
export function isUntold(ending: Ending): boolean {
  const failure = ending.type === 'stopped' || ending.type === 'broken' ? null : ending.failure;
  if (failure?.kind === 'challenge-hidden') return true;
  return failure?.kind === 'network' && failure.code === 'FETCH_FAILED';
}

/** Finds out what keeps the page from the servers of `ask`, with no credential; `null` when `signal` aborts first. */
export async function findOut(ask: Ask, signal: AbortSignal): Promise<CorsDiagnosis | null> {
  try {
    return await diagnoseCors(ask.url, { policy: policyOf(ask), signal });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

/** A body that did not come to its end. */
class Unread extends Error {}

function unreadFailure(url: string, { message }: Unread): Failure {
  return { kind: 'network', url, to: 'registry', phase: 'body', code: 'BODY_NOT_READ', message };
}

/** What was put on the wire, before anybody knows what comes of it. Of the request only its line is told. */
function sentEvent(input: RequestInfo | URL, init: RequestInit | undefined): RunEvent {
  const { origin, pathname } = new URL(input instanceof Request ? input.url : input);
  const url = origin + pathname;
  // Not by the URL: a realm may be the very one that was asked for.
  const to = init?.cache === registryCache ? 'registry' : 'authority';
  return { type: 'sent', to, method: init?.method ?? 'GET', url, at: monotonicNow() };
}

/** The one credential, in memory as long as the run lasts, with what a token server puts in its place. */
function keychainOf({ registry, credential }: Ask, { secret }: Telling): Keychain {
  let held: Credential | null = null;
  const hold = (given: Credential | null): void => {
    held = given;
    if (given?.type === 'password') secret(given.password, given.username);
    else if (given !== null) secret(given.token);
  };
  hold(credential);
  return {
    async find(origin) {
      return { credential: origin === registry ? held : null, source: 'given on this page' };
    },
    replaced(_origin, _old, replacement) {
      hold(replacement);
    },
  };
}

/** The body as text, if it ends within bounds of size and time. */
async function bodyOf(response: Response, signal: AbortSignal): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  let late = false;
  const end = (): void => void reader.cancel().catch(() => {});
  const timer = setTimeout(() => {
    late = true;
    end();
  }, patience);
  signal.addEventListener('abort', end, { once: true });
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // Cancelled is read as ended.
      signal.throwIfAborted();
      if (late) throw new Unread(`not at its end after ${patience / 1000} s`);
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > longestBody) throw new Unread('larger than 8 MiB');
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    throw error instanceof Unread || signal.aborted ? error : new Unread('it broke off');
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    end();
  }
}

/** The tags in a page after the first, or `null` where it is none. */
async function tagsOf(
  response: Response,
  url: string,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  if (response.ok) return tagsIn(await bodyOf(response, signal), url);
  // A body that nobody reads keeps its connection.
  response.body?.cancel().catch(() => {});
  return null;
}

/** The tags in an answer of the tags endpoint (distribution-spec "Listing Tags"), or `null` where it is none. */
function tagsIn(text: string, url: string): readonly string[] | null {
  if (!new URL(url).pathname.endsWith('/tags/list')) return null;
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null || !('tags' in body)) return null;
    // A repository without tags has `null`.
    if (body.tags === null) return [];
    return Array.isArray(body.tags) && body.tags.every((tag) => typeof tag === 'string') ? body.tags : null;
  } catch {
    return null;
  }
}
