/** A run and what is said of its end, in Node, before servers of its own: the run needs a fetch and no page. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { expect, onTestFinished, test, vi } from 'vitest';
import { listening } from '../../../packages/browser/test/chromium.ts';
import { outcomeOf } from '../src/outcome.ts';
import { run } from '../src/run.ts';

/** What comes of the tags at a server that answers the page `last`, counted from 0, as told. */
async function runOver(answer: (page: number, request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    const page = Number(new URL(request.url ?? '/', 'http://registry').searchParams.get('page'));
    answer(page, request, response);
  });
  const registry = `http://127.0.0.1:${await listening(server)}`;
  const url = `${registry}/v2/team/app/tags/list`;
  const about = { title: 'team/app', link: 'team/app', credential: null, trusted: null, challenge: null };
  const nothing = () => {};
  const telling = { secret: nothing, event: nothing, progress: nothing };
  return run({ url, registry, ...about, asForm: false }, new AbortController().signal, telling);
}

function sendPage(page: number, response: ServerResponse): void {
  response.setHeader('Link', `</v2/team/app/tags/list?page=${page + 1}>; rel="next"`);
  response.end(JSON.stringify({ tags: [`tag-${page}`] }));
}

test.each([
  [401, '{}', 'There are more tags. The page after these was answered with 401 Unauthorized.'],
  [500, '{}', 'There are more tags. The page after these was answered with 500 Internal Server Error.'],
  [599, '{}', 'There are more tags. The page after these was answered with 599.'],
  [
    200,
    '{"tags',
    'There are more tags. The page after these was answered with 200 OK and is no list of tags.',
  ],
])(
  'the tags before a page that is answered with %i %s are told, and what was answered',
  async (status, body, told) => {
    const ending = await runOver((page, _, response) => {
      if (page === 0) sendPage(page, response);
      else response.writeHead(status, { Link: '<?page=2>; rel="next"' }).end(body);
    });
    expect(ending).toMatchObject({
      type: 'answered',
      answer: { type: 'tags', tags: ['tag-0'], cut: { reason: 'answer', status } },
    });
    expect(outcomeOf(ending)).toMatchObject({ tone: 'plain', title: '1 tag', text: told });
  },
);

test('the body of a page that is no success is not waited for, and its connection ends', async () => {
  // Held, or the platform ends what is collected as garbage.
  const held: Response[] = [];
  const platform = globalThis.fetch;
  vi.stubGlobal('fetch', async (...asked: Parameters<typeof fetch>) => {
    const response = await platform(...asked);
    held.push(response);
    return response;
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  let closed = () => {};
  const end = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const ending = await runOver((page, _, response) => {
    if (page === 0) return sendPage(page, response);
    response.on('close', closed);
    response.writeHead(500).write('no end');
  });
  expect(ending).toMatchObject({ answer: { cut: { status: 500 } } });
  await end;
  expect(held.length).toBe(2);
});

test('a list without end ends at the bound of the page', async () => {
  const ending = await runOver((page, _, response) => sendPage(page, response));
  expect(ending).toMatchObject({ answer: { type: 'tags', cut: { reason: 'limit' } } });
  expect(outcomeOf(ending)).toMatchObject({
    tone: 'good',
    title: '100 tags',
    text: 'There are more, which this page does not fetch.',
  });
});

test('a list that is whole says nothing of more', async () => {
  const ending = await runOver((_, __, response) => response.end('{"tags":["a"]}'));
  expect(ending).toMatchObject({ answer: { type: 'tags', tags: ['a'], cut: null } });
  expect(outcomeOf(ending)).toMatchObject({ tone: 'good', text: '' });
});

test('a page of more tags than a call takes arguments is read, up to the bound', async () => {
  const many = Array.from({ length: 500_000 }, (_, index) => String(index));
  const ending = await runOver((page, _, response) => {
    if (page === 0) sendPage(page, response);
    else response.end(JSON.stringify({ tags: many }));
  });
  expect(outcomeOf(ending).title).toBe('100,000 tags');
});
