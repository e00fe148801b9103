/** What a vector says of a story about tokens, in its own words. What is not in the table here is not compared. */

import type { Seen } from '../driver/world.ts';
import { type Fields, membersOf, type Operation, type Vector } from './harness.ts';
import { placed, type Story } from './token-session.ts';

interface Fact {
  readonly ours: (story: Story, expected: unknown) => unknown;
  readonly theirs?: (expected: unknown) => unknown;
}

const lastAuthorization: Fact = {
  ours: ({ registry }) => registry.at(-1)?.authorization ?? null,
};

const firstTokenRequest: Fact = {
  ours: ({ authority }, expected) => cut(authority[0], expected),
  theirs: normal,
};

const tokenRequests: Fact = {
  ours: ({ authority }, expected) => {
    if (!Array.isArray(expected)) return authority.length;
    return authority.map((request, i) => cut(request, expected[i]));
  },
  theirs: (expected) => (Array.isArray(expected) ? expected.map(normal) : expected),
};

const identityToken: Fact = { ours: ({ identity }) => identity };

const facts: Readonly<Record<string, Fact>> = {
  requests: {
    ours: (story, expected) => {
      return Array.isArray(expected) ? tokenRequests.ours(story, expected) : story.registry.length;
    },
    theirs: tokenRequests.theirs ?? normal,
  },
  token_requests: tokenRequests,
  request: firstTokenRequest,
  token_request: firstTokenRequest,
  authorization: lastAuthorization,
  final_authorization: lastAuthorization,
  retry_authorization: lastAuthorization,
  token: { ours: ({ registry }) => registry.at(-1)?.authorization?.replace('Bearer ', '') ?? null },
  final_status: { ours: ({ end }) => end.status },
  error_status: { ours: ({ end }) => end.status },
  // A final answer of the registry is delivered with its failure; these clients return an error for both.
  error: {
    ours: ({ end }, expected) =>
      expected === null ? (end.rejected ? end.failure : null) : end.failure !== null,
    theirs: (expected) => (expected === null ? null : true),
  },
  new_identity_token: identityToken,
  stored_refresh_token: identityToken,
  next_token_request_scopes: { ours: ({ authority }) => scopesOf(authority.at(-1)) },
  attempts: { ours: ({ authority }) => authority.length },
};

export function compared(ours: (vector: Vector) => Promise<Story>): Operation {
  return {
    ours: async (vector) => {
      const story = await ours(vector);
      const said = known(vector.expect).map(([name, fact, value]) => [name, fact.ours(story, value)]);
      return Object.fromEntries(said);
    },
    theirs: ({ expect }) => {
      const said = known(expect).map(([name, fact, value]) => [name, (fact.theirs ?? asItIs)(value)]);
      return deepPlaced(Object.fromEntries(said));
    },
  };
}

function known(expected: Fields): [string, Fact, unknown][] {
  const found = expected.entries().flatMap(([name, value]): [string, Fact, unknown][] => {
    const fact = facts[name];
    return fact === undefined ? [] : [[name, fact, value]];
  });
  if (found.length === 0) throw new Error('this vector says nothing that is known here');
  return found;
}

const asItIs = (value: unknown): unknown => value;

function deepPlaced(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, member) =>
    typeof member === 'string' ? placed(member) : member,
  );
}

/** A token request, cut down to what the vector says of it. */
export function cut(request: Seen | undefined, expected: unknown): unknown {
  if (request === undefined) return null;
  const query = new URL(request.url).searchParams;
  const form = new URLSearchParams(request.form ?? '');
  const said = Object.entries(membersOf(expected)).map(([name, value]) => {
    const names = Object.keys(membersOf(value));
    switch (name) {
      case 'method':
        return [name, request.method];
      case 'authorization':
        return [name, request.authorization];
      case 'authorization_scheme':
        return [name, request.authorization?.split(' ')[0] ?? null];
      case 'scope':
        return [name, scopesOf(request).join(' ')];
      case 'query':
        return [name, typeof value === 'string' ? pairs(query) : lists(query, [...query.keys()])];
      case 'query_subset':
        return [name, lists(query, names)];
      case 'body':
        return [name, pairs(form)];
      case 'form':
        return [name, Object.fromEntries(form)];
      case 'form_subset':
        return [name, Object.fromEntries(names.map((field) => [field, form.get(field)]))];
      default:
        return [name, undefined];
    }
  });
  return Object.fromEntries(said);
}

/** The same of the vector: the order of parameters is nobody's promise. */
export function normal(expected: unknown): unknown {
  const said = Object.entries(membersOf(expected)).map(([name, value]) => {
    const isText = (name === 'query' || name === 'body') && typeof value === 'string';
    return [name, isText ? pairs(new URLSearchParams(value)) : value];
  });
  return Object.fromEntries(said);
}

function pairs(params: URLSearchParams): readonly string[] {
  return [...params].map(([name, value]) => `${name}=${value}`).sort();
}

function lists(
  params: URLSearchParams,
  names: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(names.map((name) => [name, params.getAll(name)]));
}

export function scopesOf(request: Seen | undefined): readonly string[] {
  if (request === undefined) return [];
  if (request.form === null) return new URL(request.url).searchParams.getAll('scope');
  return (new URLSearchParams(request.form).get('scope') ?? '').split(' ');
}
