/** How much of a list is read, and what is told of a second handshake on the way, in Node, before servers of its own. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { completePolicy } from '@reg/core';
import { describe, expect, test } from 'vitest';
import { listening } from '../../../packages/browser/test/chromium.ts';
import { addressOf, linkIn } from '../src/ask.ts';
import { outcomeOf } from '../src/outcome.ts';
import { policyOf, run } from '../src/run.ts';
import { Secrets } from '../src/secrets.ts';
import { type RunEvent, tellStory } from '../src/story.ts';

async function runOver(answer: (request: IncomingMessage, response: ServerResponse, host: string) => void) {
  const events: RunEvent[] = [];
  let host = '';
  const server = createServer((request, response) => answer(request, response, host));
  host = `http://127.0.0.1:${await listening(server)}`;
  const ask = {
    url: `${host}/v2/team/app/tags/list`,
    registry: host,
    title: 'team/app',
    link: 'team/app',
    credential: null,
    trusted: host,
    challenge: null,
    asForm: false,
  };
  const telling = {
    secret: () => {},
    progress: () => {},
    event: (event: RunEvent) => void events.push(event),
  };
  const ending = await run(ask, new AbortController().signal, telling);
  const { rows } = tellStory(events, policyOf(ask), new Secrets());
  const lines = rows.map(({ message }) => {
    const reply = message?.reply;
    return `${message?.to} ${reply?.type === 'answer' ? reply.status : (reply?.type ?? 'waiting')}`;
  });
  const said = rows.flatMap(({ after }) =>
    after.flatMap((note) => (note.type === 'remark' ? [note.text] : [])),
  );
  return { ending, lines, said };
}

const listOf = (count: number): string => JSON.stringify({ tags: Array.from({ length: count }, () => 't') });
const next = { Link: '</v2/team/app/tags/list?page=2>; rel="next"' };

describe('a list of tags is read up to a bound', () => {
  test.each([
    ['on the first page', 150_000, 0],
    ['on a later page', 2, 300_000],
    ['by both', 60_000, 60_000],
  ])('100,000 tags, passed %s', async (_, first, second) => {
    const { ending } = await runOver((request, response) => {
      if (request.url?.includes('page') === true) response.end(listOf(second));
      else response.writeHead(200, next).end(listOf(first));
    });
    expect(ending.type === 'answered' && ending.answer.type === 'tags' && ending.answer.tags.length).toBe(
      100_000,
    );
    expect(ending).toMatchObject({ answer: { cut: { reason: 'limit' } } });
  });

  test('8 MiB of a body', async () => {
    const size = 8 * 1024 * 1024;
    const body = (length: number): string => '{"tags":[]}'.padEnd(length);
    const whole = await runOver((_, response) => response.end(body(size)));
    expect(whole.ending).toMatchObject({ answer: { type: 'tags', tags: [], cut: null } });
    const more = await runOver((_, response) => response.end(body(size + 1)));
    expect(more.ending).toMatchObject({ type: 'failed', failure: { code: 'BODY_NOT_READ' } });
  });

  test('what holds anything but texts is no list of tags', async () => {
    const { ending } = await runOver((_, response) => response.end('{"tags":[1,2,null]}'));
    expect(ending).toMatchObject({ type: 'answered', answer: { type: 'text', text: '{"tags":[1,2,null]}' } });
  });
});

describe('what is drawn of a run', () => {
  const ask = (request: IncomingMessage, response: ServerResponse, realm: string): void => {
    response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${realm}",service="x"` }).end();
    request.resume();
  };

  test('a second handshake on the way is drawn, and a page without one is not', async () => {
    let token = 'token-0';
    const { lines } = await runOver((request, response, host) => {
      const url = request.url ?? '';
      if (url.startsWith('/token')) {
        token = `token-${Number(token.slice(6)) + 1}`;
        response.end(JSON.stringify({ token }));
      } else if (request.headers.authorization !== `Bearer ${token}`) ask(request, response, `${host}/token`);
      else {
        const page = Number(new URL(url, host).searchParams.get('page'));
        const link = page === 3 ? {} : { Link: `</v2/team/app/tags/list?page=${page + 1}>; rel="next"` };
        response.writeHead(200, link).end('{"tags":["a"]}');
        // The token of page 1 is not good for page 2.
        if (page === 1) token = 'token-7';
      }
    });
    const handshake = ['registry 401', 'authority 200', 'registry 200'];
    expect(lines).toEqual([...handshake, ...handshake]);
  });

  test('a realm that is the very URL of the list is a token server all the same', async () => {
    const { lines } = await runOver((request, response, host) => {
      if (request.url?.includes('service=') === true) response.end('{"token":"a-token"}');
      else if (request.headers.authorization === undefined)
        ask(request, response, `${host}/v2/team/app/tags/list`);
      else response.end('{"tags":["a"]}');
    });
    expect(lines).toEqual(['registry 401', 'authority 200', 'registry 200']);
  });

  test('a redirect that was followed to another server names it, and that it is the one that answers', async () => {
    const server = createServer((_, response) => response.end('{"tags":["a"]}'));
    const other = `127.0.0.1:${await listening(server)}`;
    const { said } = await runOver((_, response) =>
      response.writeHead(302, { Location: `http://${other}/x` }).end(),
    );
    expect(said).toEqual([`The browser followed a redirect to ${other}: this is the answer of that server.`]);
  });

  test.each([404, 418, 429, 503])(
    '%i to the first request is not told as a handshake that went well',
    async (status) => {
      const { ending } = await runOver((_, response) => response.writeHead(status).end());
      expect(outcomeOf(ending).text).toMatch(/^This is not about authorization/);
    },
  );

  test('nothing waits once the run has ended', () => {
    const url = 'https://registry.example/v2/';
    const events: RunEvent[] = [
      { type: 'sent', to: 'registry', method: 'GET', url, at: 1_000 },
      { type: 'end', at: 3_000 },
    ];
    const [row] = tellStory(events, completePolicy({}), new Secrets()).rows;
    expect(row?.message?.reply).toEqual({ type: 'silence', code: '', tookMs: 2_000 });
  });
});

describe('the page’s own URL', () => {
  test.each([
    ['?image=a.example/b', '?image=a.example/b'],
    ['?image=a.example%2Fb&access_token=secret', '?image=a.example/b'],
    ['?image=https://bob:secret@a.example/v2/&x=1', ''],
    ['?image=https://a.example/v2/?token=secret%23secret', '?image=https://a.example/v2/'],
    ['?access_token=secret', ''],
    ['?image=', ''],
  ])('%s becomes %s', (query, tidy) => {
    expect(addressOf(linkIn(query))).toBe(tidy);
  });
});
