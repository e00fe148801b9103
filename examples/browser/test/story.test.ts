/** What a run tells and what is made of it, with the client and a registry in the process. */

import { completePolicy, type PartialPolicy } from '@reg/core';
import { type Authorizer, createAuthorizer, monotonicNow, staticKeychain } from '@reg/core/driver';
import { type Fault, type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Secrets } from '../src/secrets.ts';
import { type Note, type RunEvent, type Story, tellStory } from '../src/story.ts';

interface Told {
  readonly story: Story;
  /** After each event. */
  readonly stories: readonly Story[];
}

/** Asks for the tags of `team/app` and tells what happened. */
async function tell(
  options: Partial<RegistryOptions>,
  setting: {
    readonly faults?: readonly Fault[];
    readonly password?: string;
    readonly trusted?: boolean;
  } = {},
): Promise<Told & { readonly registry: Registry }> {
  const repositories = { 'team/app': { visibility: 'public', tags: ['1'] } } as const;
  const registry = await startRegistry({ auth: 'bearer', repositories, ...options });
  onTestFinished(() => registry.close());
  for (const fault of setting.faults ?? []) registry.faults.add(fault);
  const partial: PartialPolicy = {
    realms: { pairs: setting.trusted === false ? [] : [registry.pair] },
    retry: { baseMs: 1, capMs: 1 },
    oauth2: options.auth === 'oauth2' ? 'prefer' : 'identity-only',
  };
  const policy = completePolicy(partial);
  const events: RunEvent[] = [];
  const stories: Story[] = [];
  const hear = (event: RunEvent): void => {
    events.push(event);
    stories.push(tellStory(events, policy, new Secrets()));
  };
  const authorizer: Authorizer<Response> = createAuthorizer<Response>({
    policy: partial,
    keychain: staticKeychain(
      setting.password === undefined
        ? {}
        : { [registry.host]: { type: 'password', username: 'ada', password: setting.password } },
    ),
    onStep: (step) => hear({ type: 'step', step }),
    async send({ to, method, url, headers, form }) {
      hear({ type: 'sent', to, method, url: url.split('?', 1)[0] ?? '', at: monotonicNow() });
      const fields = headers.map(([name, value]): [string, string] => [name, value]);
      const raw = await fetch(url, { method, headers: fields, body: form, redirect: 'manual' });
      return {
        head: { status: raw.status, headers: [...raw.headers] },
        raw,
        text: () => raw.text(),
        discard: async () => raw.body?.cancel(),
      };
    },
  });
  const url = `${registry.url}/v2/team/app/tags/list`;
  await authorizer.request({ method: 'GET', url, headers: [], body: 'none' }).then(
    ({ raw }) => raw.body?.cancel(),
    () => {},
  );
  return { story: tellStory(events, policy, new Secrets()), stories, registry };
}

const kinds = (notes: readonly Note[]): readonly string[] => notes.map(({ type }) => type);

/** Each row in a few words. */
function outline({ rows }: Story): readonly string[] {
  return rows.map(({ before, message, after }) => {
    const reply = message?.reply;
    const status = reply?.type === 'answer' ? String(reply.status) : (reply?.type ?? 'waiting');
    const parts = [
      ...kinds(before),
      ...(message === null
        ? []
        : [`${message.number} ${message.method} ${message.to} ${message.carried.type} ${status}`]),
      ...kinds(after),
    ];
    return parts.join(' · ');
  });
}

describe('the story of a run', () => {
  test('anonymous: three messages, the decisions before the second', async () => {
    const { story, registry } = await tell({});
    expect(outline(story)).toEqual([
      '1 GET registry nothing 401 · challenge',
      'decisions · 2 GET authority nothing 200 · token',
      '3 GET registry bearer 200 · remark',
    ]);
    expect(story.authority).toBe(new URL(registry.tokenUrl).host);
  });

  test('the token has one number wherever it goes, the password another', async () => {
    const { story } = await tell({ users: { ada: 'pw' } }, { password: 'pw' });
    const [, second, third] = story.rows.map(({ message }) => message);
    expect(second?.carried).toEqual({ type: 'basic', username: 'ada', secret: 1 });
    expect(second?.reply).toMatchObject({ status: 200, brings: 2 });
    expect(third?.carried).toEqual({ type: 'bearer', secret: 2 });
    expect(JSON.stringify(story)).not.toContain('"pw"');
  });

  test('by form: what it carries is no parameter, and what was granted is told', async () => {
    const { story } = await tell({ auth: 'oauth2', users: { ada: 'pw' } }, { password: 'pw' });
    const row = story.rows[1];
    expect(row?.message?.carried).toEqual({ type: 'form', username: 'ada', secret: 1 });
    expect(row?.message?.query.map(([name]) => name)).toEqual([
      'grant_type',
      'service',
      'client_id',
      'scope',
    ]);
    expect(row?.after[0]).toMatchObject({ type: 'token', told: true, secret: 2 });
  });

  test('a request is there as soon as it is sent, and stays the same row', async () => {
    const { stories } = await tell({});
    expect(outline(stories[0] ?? { rows: [], authority: null })).toEqual(['1 GET registry untold waiting']);
    for (const [index, story] of stories.entries()) {
      const before = stories[index - 1]?.rows.map(({ key }) => key) ?? [];
      expect(story.rows.map(({ key }) => key).slice(0, before.length)).toEqual(before);
    }
  });

  test('a credential that may not be shown: the decisions, and no request', async () => {
    const { story } = await tell({ users: { ada: 'pw' } }, { password: 'pw', trusted: false });
    expect(outline(story)).toEqual(['1 GET registry nothing 401 · challenge', 'decisions · remark']);
    const decisions = story.rows[1]?.before[0];
    expect(decisions?.type === 'decisions' && decisions.decisions.map(({ answer }) => answer)).toEqual([
      'no',
      'no',
      'nothing',
    ]);
  });

  test('a token request that is sent again is a message each time, with what it asked for', async () => {
    const fault = { server: 'token', kind: 'status', status: 503, times: 2 } as const;
    const { story } = await tell({}, { faults: [fault] });
    expect(outline(story)).toEqual([
      '1 GET registry nothing 401 · challenge',
      'decisions · 2 GET authority nothing 503',
      'remark · 3 GET authority nothing 503',
      'remark · 4 GET authority nothing 200 · token',
      '5 GET registry bearer 200 · remark',
    ]);
  });

  test('Basic, an open registry, and a broken connection', async () => {
    const basic = await tell(
      { auth: 'basic', users: { ada: 'pw' }, repositories: { 'team/app': { tags: ['1'] } } },
      { password: 'pw', trusted: false },
    );
    expect(outline(basic.story)).toEqual([
      '1 GET registry nothing 401 · challenge',
      'remark · 2 GET registry basic 200 · remark',
    ]);
    expect(outline((await tell({ auth: 'none' })).story)).toEqual(['1 GET registry nothing 200 · remark']);
    const reset = { server: 'registry', kind: 'reset', at: 'before-head' } as const;
    expect(outline((await tell({}, { faults: [reset] })).story)).toEqual(['1 GET registry nothing silence']);
  });

  test.each([
    ['{"errors":[{"code":"DENIED","message":"no"}]}', 'DENIED: no'],
    ['{"error":"invalid_grant","error_description":"old"}', 'invalid_grant: old'],
    ['{"details":"not you"}', 'not you'],
    ['{"errors":[{"code":"A","message":"\\u202eb"}]}', 'A: \\u{202e}b'],
    ['<h1>Gateway</h1>', ''],
    ['{"errors":"x"}', ''],
    ['', ''],
  ])('what a token server says in place of a token: %s', async (body, words) => {
    const fault = { server: 'token', kind: 'status', status: 400, body, times: 9 } as const;
    const { story } = await tell({}, { faults: [fault] });
    const reply = story.rows[1]?.message?.reply;
    expect(reply?.type === 'answer' && reply.said.join()).toBe(words);
  });
});
