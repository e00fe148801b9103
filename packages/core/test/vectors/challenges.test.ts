import { type Challenge, parseChallenges } from '../../src/challenge.ts';
import { readProblems } from '../../src/problem.ts';
import { parseScopes } from '../../src/scope.ts';
import { describeTopic, type Fields, membersOf, type Vector } from './harness.ts';

function linesOf({ input }: Vector): readonly string[] {
  return input.has('www_authenticate') ? input.texts('www_authenticate') : [];
}

/** A challenge cut down to what the vector says about it. */
function cut(
  { scheme, params }: Pick<Challenge, 'scheme' | 'params'>,
  theirs: Fields | undefined,
  partial: boolean,
): unknown {
  const expected = theirs?.value('params');
  // oras-go reads the parameters of Bearer alone, and `null` says that it did not look.
  if (expected === undefined || expected === null) return { scheme };
  const names = Object.keys(params).filter((name) => !partial || Object.hasOwn(membersOf(expected), name));
  return { scheme, params: Object.fromEntries(names.map((name) => [name, params[name]])) };
}

function challengesOf(vector: Vector, found: readonly Challenge[]): unknown {
  const theirs = vector.expect.list('challenges');
  const partial = vector.expect.value('partial') === true;
  if (vector.client !== 'oras-project/oras-go')
    return found.map((challenge, i) => cut(challenge, theirs[i], partial));
  // It reads one challenge, and knows two schemes.
  const [first] = found;
  const known = first !== undefined && ['basic', 'bearer'].includes(first.scheme);
  return [known ? cut(first, theirs[0], partial) : { scheme: 'unknown' }];
}

/** Text of the server that the vector's client shows: the messages of an error body, or the body itself. */
function shown({ input, expect }: Vector): readonly string[] {
  const expected = ['message', 'message_contains', 'message_equals']
    .map((name) => expect.value(name))
    .join('\n');
  return bodyTexts(input).filter((text) => text !== '' && expected.includes(text));
}

function bodyTexts(input: Fields): readonly string[] {
  const body =
    ['body', 'errorBody'].map((name) => input.value(name)).find((value) => typeof value === 'string') ?? '';
  try {
    const { errors, details } = membersOf(JSON.parse(body));
    return Array.isArray(errors)
      ? errors.map((error) => String(membersOf(error)['message']))
      : [String(details ?? '')];
  } catch {
    return [body];
  }
}

const errorBody = {
  ours: ({ input }: Vector) => {
    const body =
      ['body', 'errorBody'].map((name) => input.value(name)).find((value) => typeof value === 'string') ?? '';
    return readProblems(body).map(({ message }) => message);
  },
  theirs: shown,
};

/** Whether the vector's answer lacks a parameter that its field has, with a value. */
function isCutShort({ expect, input }: Vector): boolean {
  if (expect.value('partial') === true) return false;
  const all = expect.list('challenges').map((challenge) => challenge.value('params'));
  if (all.includes(null) || all.includes(undefined)) return false;
  const expected = all.flatMap((params) => Object.keys(membersOf(params)));
  const named = input
    .texts('www_authenticate')
    .flatMap((line) => [...line.matchAll(/[\s,]([\w-]+)\s*=\s*[^\s,=]/g)]);
  return named.some(([, name]) => name !== undefined && !expected.includes(name.toLowerCase()));
}

function insufficient(line: string): string | null {
  if (!line.includes('error="insufficient_scope"')) return null;
  return /scope="([^"]*)"/.exec(line)?.[1] ?? null;
}

describeTopic('challenges', {
  operations: {
    'parse-header': {
      ours: (vector) => {
        const { challenges, problems } = parseChallenges(linesOf(vector));
        if (vector.expect.has('no_panic')) return { no_panic: true };
        if (vector.expect.has('error')) return { error: challenges.length === 0 && problems.length > 0 };
        return { challenges: challengesOf(vector, challenges) };
      },
      theirs: ({ expect }) => {
        if (expect.has('no_panic')) return { no_panic: true };
        if (expect.has('error')) return { error: true };
        return {
          challenges: expect.list('challenges').map((challenge) => {
            return challenge.value('params') === null
              ? { scheme: challenge.text('scheme') }
              : challenge.without();
          }),
        };
      },
    },
    'handle-response': {
      ours: (vector) => ({ error: parseChallenges(linesOf(vector)).challenges.length === 0 }),
      theirs: ({ expect }) => ({ error: expect.has('error') }),
    },
    'filter-challenges': {
      ours: (vector) => {
        const filter = new Map(Object.entries(membersOf(vector.input.value('filter'))));
        const { challenges } = parseChallenges(linesOf(vector));
        const kept = challenges.filter(
          ({ params }) => params[String(filter.get('param'))] === filter.get('equals'),
        );
        return { challenges: challengesOf(vector, kept) };
      },
      theirs: ({ expect }) => expect.without('partial'),
    },
    // The driver keeps what it remembers by origin.
    'challenge-cache-key': {
      ours: ({ input, expect }) => ({
        hit: new URL(input.text('request_url')).origin === new URL(expect.text('lookup_hit_for')).origin,
      }),
      theirs: () => ({ hit: true }),
    },
    'ping-select': {
      ours: (vector) => {
        const status = vector.input.number('status');
        if (status !== 200 && status !== 401) return { error: true };
        const { challenges } = parseChallenges(status === 401 ? linesOf(vector) : []);
        const chosen =
          challenges.find(({ scheme }) => scheme === 'bearer' || scheme === 'basic') ?? challenges[0];
        const all = {
          scheme: chosen?.scheme ?? '',
          params: { ...chosen?.params },
          param_count: Object.keys(chosen?.params ?? {}).length,
          insecure: vector.input.has('request_url') && vector.input.text('request_url').startsWith('http:'),
        };
        return Object.fromEntries(Object.entries(all).filter(([name]) => vector.expect.has(name)));
      },
      theirs: ({ expect }) => (expect.has('error') ? { error: true } : expect.without()),
    },
    'refresh-challenge': {
      ours: (vector) => ({ accepted_as_challenge: parseChallenges(linesOf(vector)).challenges.length > 0 }),
      theirs: ({ expect }) => expect.without('note'),
    },
    'insufficient-scope-retry': {
      ours: (vector) => {
        const status = vector.input.number('status');
        const { challenges } = parseChallenges(status === 401 || status === 403 ? linesOf(vector) : []);
        const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
        const demanded =
          bearer?.params['error'] === 'insufficient_scope' ? parseScopes(bearer.params['scope'] ?? '') : [];
        const [scope] = demanded;
        if (scope === undefined) return { retry: false };
        if ('opaque' in scope) return { retry: true, scope: scope.opaque };
        return {
          retry: true,
          scope: { type: scope.type, name: scope.name, actions: scope.actions.join(',') },
        };
      },
    },
    'error-from-response': errorBody,
    'error-message': errorBody,
  },
  // `reads-on` and `opaque-scope-is-demanded` take none of our cases; the tests of the same clients hold more than these.
  rules: [
    {
      name: 'quoted-name',
      reason:
        'a scheme or a parameter name in quotes is none (RFC 9110 §11.3), and nothing is guessed from it',
      kind: 'policy',
      applies: (vector) =>
        vector.op === 'parse-header' && /^\s*"|[\s,]"[^"=,]*"\s*=/.test(linesOf(vector).join(', ')),
      differs: (_, vector) => {
        const { challenges, problems } = parseChallenges(linesOf(vector));
        return challenges.length === 0 && problems.length === 1;
      },
    },
    {
      name: 'parameter-without-scheme',
      reason:
        'a parameter that no scheme precedes says nothing about how to authenticate, so it is no challenge',
      kind: 'policy',
      applies: (vector) =>
        ['parse-header', 'refresh-challenge', 'ping-select'].includes(vector.op) &&
        !vector.expect.has('error') &&
        /^\s*[\w-]+\s*=/.test(linesOf(vector)[0] ?? ''),
      differs: (_, vector) => parseChallenges(linesOf(vector)).problems[0]?.offset === 0,
    },
    {
      name: 'reads-on',
      reason:
        'the client gives up at a value it cannot read and keeps what came before it; ours reads on, or has no challenge',
      kind: 'policy',
      applies: (vector) =>
        vector.op === 'parse-header' && vector.expect.has('challenges') && isCutShort(vector),
      differs: (_, vector) => {
        const { challenges, problems } = parseChallenges(linesOf(vector));
        const expected = vector.expect.list('challenges');
        const more = challenges.some(({ params }, i) => {
          return Object.keys(params).length > Object.keys(membersOf(expected[i]?.value('params'))).length;
        });
        return more || (challenges.length < expected.length && problems.length > 0);
      },
    },
    {
      name: 'line-end-drops-the-challenge',
      reason: 'CR and LF are control characters (RFC 9110 §5.5): what they stand in is left out, not mended',
      kind: 'policy',
      applies: (vector) =>
        /[\r\n]/.test(linesOf(vector).join()) &&
        (vector.op !== 'error-from-response' ||
          (shown(vector).length === 0 && vector.input.value('status') === 401)),
      differs: (_, vector) => {
        const { challenges, problems } = parseChallenges(linesOf(vector));
        return challenges.length === 0 && problems.length === 1;
      },
    },
    {
      name: 'opaque-scope-is-demanded',
      reason:
        'a scope outside the grammar is asked for letter by letter when a registry demands it (requirement 44)',
      kind: 'policy',
      applies: (vector) => {
        const scope =
          linesOf(vector)
            .map(insufficient)
            .find((found) => found !== null) ?? '';
        const parts = scope.split(':').length;
        return (
          vector.op === 'insufficient-scope-retry' &&
          vector.expect.value('retry') === false &&
          scope !== '' &&
          parts < 3
        );
      },
      differs: (ours, vector) =>
        linesOf(vector).some((line) => insufficient(line) === membersOf(ours)['scope']),
    },
    {
      name: 'wording',
      reason: "the client's own words for an error, with none of the server's in them; ours are `describe`",
      kind: 'foreign',
      applies: (vector) =>
        ['error-from-response', 'error-message'].includes(vector.op) && shown(vector).length === 0,
    },
    {
      name: 'temporary',
      reason:
        'which errors of a registry a client repeats is its own business; registry requests are never repeated here',
      kind: 'foreign',
      applies: ({ op }) => op === 'error-is-temporary',
    },
    {
      name: 'warning-field',
      reason: 'the core reads no Warning field',
      kind: 'foreign',
      applies: ({ op }) => op === 'parse-warning-header',
    },
  ],
  pins: {
    cases: 73,
    rules: {
      'quoted-name': 1,
      'parameter-without-scheme': 1,
      'line-end-drops-the-challenge': 2,
      wording: 7,
      temporary: 5,
      'warning-field': 7,
    },
  },
});
