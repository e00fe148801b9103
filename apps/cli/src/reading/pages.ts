/**
 * A list of several pages, from the first to the last.
 *
 * Rules of this file: the way to the next page is the registry's `Link`, as it came (requirement 134), and is never made up
 * from what was read; it stays on the registry's origin, and ends (requirements 135 and 136). A list that cannot be followed to
 * its end is an error: half a list that looks whole would be worse than none.
 */

import { nextPage } from '@reg/core';
import type { Delivered } from '@reg/core/driver';
import type { Again } from '../registry/argument.ts';
import type { Asked, Client } from '../registry/client.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Body } from '../transport/body.ts';
import { answerTo } from './answer.ts';

/** More than any list has, and less than a server without end: ten million names, in pages of a thousand. */
const PAGES = 10_000;

/**
 * Yields the answer to each request; the body is to be read or dropped before the next is asked for. Whoever takes an answer
 * that is no page stops there.
 *
 * @param asked the first request; those that follow differ from it in their URL
 * @throws Complaint when a page cannot be had
 */
export async function* pages(client: Client, asked: Asked, again: Again): AsyncGenerator<Delivered<Body>> {
  const seen = new Set<string>();
  for (let url: URL | null = asked.url; url !== null; ) {
    seen.add(url.href);
    const page: Delivered<Body> = await answerTo(client, { ...asked, url }, again);
    yield page;
    url = nextPage(page.head, page.url);
    if (url === null && leadsElsewhere(page)) throw broken('its next page is at another origin', again);
    if (url === null && announcesNext(page)) throw broken('the link to its next page leads nowhere', again);
    if (url !== null && seen.has(url.href))
      throw broken('its pages lead back to one that was read before', again);
    if (seen.size > PAGES) throw broken(`it has more than ${PAGES} pages`, again);
  }
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

/**
 * Whether there is a link with `rel="next"`, wherever it leads: read as if all links led to one other page. An empty one is how
 * some registries write the end.
 */
function announcesNext({ head }: Delivered<unknown>): boolean {
  const headers = head.headers.map(([name, value]) => [name, elsewhere(value)] as const);
  return nextPage({ headers }, 'http://localhost/') !== null;
}

/** A `Link` field with another target in each place of one. */
function elsewhere(links: string): string {
  let text = '';
  for (let at = 0; ; ) {
    const open = links.indexOf('<', at);
    const close = links.indexOf('>', open);
    if (open < 0 || close < 0) return text + links.slice(at);
    const isEmpty = links.slice(open + 1, close).trim() === '';
    text += `${links.slice(at, open)}${isEmpty ? '<>' : '<next>'}`;
    at = close + 1;
  }
}

/** A complaint about a list that makes no sense. */
export function broken(what: string, { command, trace }: Again): Complaint {
  const message = `the registry answered with a list that cannot be read: ${what}`;
  return new Complaint(exitCode.protocol, message, { hint: command === trace ? command : trace });
}
