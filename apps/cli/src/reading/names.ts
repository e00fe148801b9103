/**
 * Lists of names, tags or repositories, page by page.
 *
 * Rules of this file: what was asked for and no more is asked of the registry. No list goes on without end.
 */

import type { Delivered } from '@reg/core/driver';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import type { Again } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Body } from '../transport/body.ts';
import { broken, pages } from './pages.ts';

export interface ListOptions {
  readonly last?: string;
  readonly limit?: string;
}

/** One list of names. */
export interface List {
  /** The member of a page that holds them (distribution-spec "Listing Tags", distribution API "Catalog"). */
  readonly member: 'tags' | 'repositories';
  readonly url: URL;
  readonly again: Again;
  /** How many are wanted at most. */
  readonly limit: number;
  /** Those of a page that are wanted. Default: all. */
  readonly keep: ((names: readonly string[]) => readonly string[]) | null;
}

/** The names that are wanted, page by page. Throws a `Complaint` when the list cannot be read to its end. */
export function namesOf(client: Client, list: List, options: ListOptions): AsyncIterable<readonly string[]> {
  return wanted(namePages(client, { ...list, url: firstPage(list, options) }), list, options);
}

/** The most that is asked for at once: some registries refuse a larger number outright (Q61). */
const PAGE_NAMES = 1_000;

/** How many names are wanted at most. Throws a `Complaint` for what is no number of names. */
export function limitIn({ limit }: ListOptions): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw usage('--limit takes a number from 1 on');
  return Number(limit);
}

/** Without a limit no page size is asked for: a registry knows best how many it gives at once (Q61). */
function firstPage({ url, limit, keep }: List, { last }: ListOptions): URL {
  const first = new URL(url);
  if (Number.isFinite(limit)) {
    // How many of a page are kept is not known before.
    first.searchParams.set('n', String(keep === null ? Math.min(limit, PAGE_NAMES) : PAGE_NAMES));
  }
  if (last !== undefined) first.searchParams.set('last', last);
  return first;
}

async function* wanted(
  names: AsyncIterable<readonly string[]>,
  { limit, keep }: List,
  { last }: ListOptions,
): AsyncGenerator<readonly string[]> {
  let left = limit;
  let first = true;
  for await (const page of names) {
    // CNCF Distribution before version 3 lists all tags, whatever `last` says.
    const rest = first && last !== undefined ? page.slice(page.indexOf(last) + 1) : page;
    first = false;
    const kept = (keep?.(rest) ?? rest).slice(0, left);
    yield kept;
    left -= kept.length;
    if (left === 0) return;
  }
}

/** Decoded bytes of one page: room for 250,000 tags of the longest kind, 128 characters, two quotes and a comma. */
const PAGE_BYTES = 32 * 1024 * 1024;

/** Empty pages in a row that are followed: a filter may leave some, a server without end leaves only those. */
const EMPTY_PAGES = 100;

/** Yields the names on each page. */
async function* namePages(
  client: Client,
  { url, member, again }: Pick<List, 'url' | 'member' | 'again'>,
): AsyncGenerator<readonly string[]> {
  let empty = 0;
  let before: readonly string[] = [];
  for await (const page of pages(client, { method: 'GET', url }, again)) {
    const text = await pageText(page, again);
    if (text === null) throw broken(`a page of it is larger than ${PAGE_BYTES / 1024 / 1024} MiB`, again);
    const names = namesIn(text, member);
    if (names === null) throw broken(`the body is no JSON with a list of ${member} in it`, again);
    // Or it ignores where to go on, and would list them for ever.
    if (names.length > 0 && names.length === before.length && names.every((name, i) => name === before[i]))
      throw broken('a page of it has the same names as the one before', again);
    before = names;
    yield names;
    empty = names.length === 0 ? empty + 1 : 0;
    if (empty > EMPTY_PAGES) throw broken(`${empty} of its pages in a row are empty`, again);
  }
}

async function pageText(page: Delivered<Body>, again: Again): Promise<string | null> {
  const complaint = complaintAbout(page, again);
  if (complaint !== null) {
    await page.raw.discard();
    // A registry that does not have this list at all.
    throw page.head.status === 405
      ? new Complaint(exitCode.notFound, complaint.message, complaint.details)
      : complaint;
  }
  try {
    return await page.raw.text(PAGE_BYTES);
  } catch (error) {
    throw complaintFrom(error, again);
  }
}

/** The names of a page, or `null`. Some registries write an empty list as `null`. */
function namesIn(text: string, member: List['member']): readonly string[] | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof body !== 'object' || body === null) return null;
  const names: unknown = Object.getOwnPropertyDescriptor(body, member)?.value;
  if (names === null) return [];
  return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : null;
}
