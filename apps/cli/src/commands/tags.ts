/**
 * `reg tags`: the tags of a repository, page by page.
 *
 * Rules of this file: each tag is one line, whatever it is made of; a list that cannot be followed to its end is an error,
 * after what there was of it: half a list that looks whole would be worse than none.
 */

import { nextPage, toVisible } from '@reg/core';
import type { Delivered } from '@reg/core/driver';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import { type Again, againFor, tagsTarget } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Body } from '../transport/body.ts';

export interface TagsOptions extends NetworkOptions {
  readonly last?: string;
  readonly limit?: string;
  readonly include?: string;
  readonly exclude?: string;
  readonly output: 'text' | 'json' | 'ndjson';
}

/** `reg tags` */
export async function tags(
  repository: string,
  options: TagsOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = tagsTarget(repository, options);
  const again = againFor('tags', target, options);
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    for await (const page of tagPages(client, target.url, again)) surroundings.stdout.write(renderTags(page));
  });
}

/** Decoded bytes of one page: room for 250,000 tags of the longest kind, 128 characters, two quotes and a comma. */
const PAGE_BYTES = 32 * 1024 * 1024;

/** Empty pages in a row that are followed: a filter may leave some, a server without end leaves only those. */
const EMPTY_PAGES = 100;

/** Yields each page of tags. Throws a `Complaint` when one cannot be had. */
export async function* tagPages(client: Client, first: URL, again: Again): AsyncGenerator<readonly string[]> {
  const seen = new Set<string>();
  let empty = 0;
  for (let url: URL | null = first; url !== null; ) {
    seen.add(url.href);
    const page: TagPage = await tagPage(client, url, again);
    yield page.tags;
    empty = page.tags.length === 0 ? empty + 1 : 0;
    if (empty > EMPTY_PAGES) throw broken(`${empty} of its pages in a row are empty`, again);
    if (page.next !== null && seen.has(page.next.href))
      throw broken('its pages lead back to one that was read before', again);
    url = page.next;
  }
}

interface TagPage {
  readonly tags: readonly string[];
  readonly next: URL | null;
}

async function tagPage(client: Client, url: URL, again: Again): Promise<TagPage> {
  let delivered: Delivered<Body>;
  let text: string | null;
  try {
    delivered = await client.get(url);
    const complaint = complaintAbout(delivered, again);
    if (complaint !== null) {
      await delivered.raw.discard();
      throw complaint;
    }
    text = await delivered.raw.text(PAGE_BYTES);
  } catch (error) {
    throw complaintFrom(error, again);
  }
  if (text === null) throw broken(`a page of it is larger than ${PAGE_BYTES / 1024 / 1024} MiB`, again);
  const tags = tagsIn(text);
  if (tags === null) throw broken('the body is no JSON with a list of tags in it', again);
  const next = nextPage(delivered.head, delivered.url);
  if (next === null && leadsElsewhere(delivered)) throw broken('its next page is at another origin', again);
  return { tags, next };
}

/** The `tags` of a page (distribution spec "Listing Tags"), or `null`. Some registries write an empty list as `null`. */
function tagsIn(text: string): readonly string[] | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof body !== 'object' || body === null || !('tags' in body)) return null;
  const { tags } = body;
  if (tags === null) return [];
  return Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') ? tags : null;
}

/**
 * Whether a next page is announced at another origin, where this list does not go on. Mostly a proxy that ends TLS: the
 * registry behind it writes http into its links.
 */
function leadsElsewhere({ head, url }: Delivered<unknown>): boolean {
  return head.headers.some(([name, value]) => {
    const target = value.slice(value.indexOf('<') + 1, value.indexOf('>'));
    const next = name === 'link' && value.includes('next') && URL.canParse(target, url);
    return next && new URL(target, url).origin !== new URL(url).origin;
  });
}

function broken(what: string, { command, trace }: Again): Complaint {
  const message = `the registry answered with a tag list that cannot be read: ${what}`;
  return new Complaint(exitCode.protocol, message, { hint: command === trace ? command : trace });
}

/** One tag a line. A real tag is as it is; a line end in something that only claims to be one does not make two of it. */
export function renderTags(tags: readonly string[]): string {
  return tags.map((tag) => `${toVisible(tag)}\n`).join('');
}
