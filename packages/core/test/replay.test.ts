import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fromJson,
  replay,
  type Transcript,
  toCurl,
  toHar,
  toJson,
  toMermaid,
  toText,
} from '../src/transcript/index.ts';
import { failures } from './error-samples.ts';
import {
  begun,
  exchanged,
  granted,
  obtained,
  sent,
  silence,
  transcript,
  whole,
} from './transcript-samples.ts';
import { credentials, run, type Script, scripts } from './transcript-scripts.ts';

/** `whole` with the member at a path of keys replaced. */
function altered(path: readonly (string | number)[], value: unknown, from: unknown = whole): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const inner = altered(rest, value, Object(from)[key]);
  if (Array.isArray(from)) return from.with(Number(key), inner);
  return { ...Object(from), [key]: inner };
}

describe('toJson', () => {
  test('writes the same text whatever the order of members, and nothing that is not a transcript', () => {
    const json = toJson(whole);
    const shuffled = JSON.parse(json, (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse())
        : value,
    ) as Transcript;
    expect(JSON.stringify(shuffled)).not.toBe(JSON.stringify(whole));
    expect(toJson(shuffled)).toBe(json);
    expect(toJson({ ...whole, secret: 'CANARY' } as Transcript)).toBe(json);
    expect(Object.keys(JSON.parse(json) as object)).toEqual([
      'version',
      'request',
      'policy',
      'hint',
      'steps',
      'failure',
    ]);
  });

  test('shows every character, and reads back as it was', () => {
    const odd = transcript([], {
      request: { ...whole.request, url: 'https://r.example/\u202e\u009b\u{e0041}\u2028' },
    });
    const json = toJson(odd);
    expect(json).toContain('/\\u202e\\u009b\\udb40\\udc41\\u2028"');
    expect(fromJson(json)).toEqual(odd);
  });

  test('holds every kind of failure, and members that may be missing', () => {
    for (const failure of failures)
      expect(fromJson(toJson(transcript([], { failure }))).failure).toEqual(failure);
    const request = { ...whole.request, redirect: 'manual' } as const;
    expect(fromJson(toJson(transcript([], { request }))).request).toEqual(request);
    const scoped = obtained({
      answer: granted({
        asked: [{ type: 'repository', class: 'plugin', name: 'a', actions: [] }, { opaque: 'aws' }],
      }),
    });
    expect(fromJson(toJson(transcript([scoped]))).steps).toEqual([scoped]);
  });
});

describe('replay', () => {
  test('goes through the phases of the record', () => {
    expect(replay(toJson(whole))).toEqual({
      phases: [
        'handshake sending',
        'handshake obtaining',
        'exchange 1 getting',
        'exchange 1 granted',
        'handshake sending',
        'handshake answered',
      ],
      mismatch: null,
    });
  });

  test('tells the first place where the machines go another way', () => {
    const phases = ['handshake sending'];
    const table: readonly (readonly [Transcript['steps'], object])[] = [
      [[sent(200, 'obtaining')], { step: 0, expected: 'handshake obtaining', actual: 'handshake answered' }],
      [[obtained()], { step: 0, expected: 'handshake obtaining', actual: 'handshake sending' }],
      [
        [exchanged(200, '{}', 'failed')],
        { step: 0, expected: 'exchange 1 getting', actual: 'exchange 1 begin' },
      ],
      [
        [begun({ next: 'posting' })],
        { step: 0, expected: 'exchange 1 posting', actual: 'exchange 1 getting' },
      ],
      [[begun(), begun()], { step: 1, expected: 'exchange 1 begin', actual: 'exchange 1 getting' }],
      [
        [begun(), exchanged(200, '{"token":"no token"}', 'granted')],
        { step: 1, expected: 'exchange 1 granted', actual: 'exchange 1 failed' },
      ],
      [
        [begun(), exchanged(0, null, 'failed', { phase: 'posting', answer: silence })],
        { step: 1, expected: 'exchange 1 posting', actual: 'exchange 1 getting' },
      ],
      [
        [sent(200, 'answered'), sent(200, 'answered')],
        { step: 1, expected: 'handshake sending', actual: 'handshake answered' },
      ],
    ];
    for (const [steps, mismatch] of table) {
      const told = replay(toJson(transcript(steps)));
      expect(told.mismatch).toEqual(mismatch);
      expect(told.phases[0]).toBe(phases[0]);
    }
  });

  test('a record that was cut is replayed as far as it goes', () => {
    for (let length = 0; length <= whole.steps.length; length++) {
      expect(replay(toJson({ ...whole, steps: whole.steps.slice(0, length) })).mismatch).toBeNull();
    }
  });

  test('a grant that the machines would refuse, a URL that is none: the place is named', () => {
    const elsewhere = transcript([
      ...whole.steps.slice(0, 1),
      obtained({ answer: granted({ registry: 'https://other.example' }) }),
    ]);
    expect(() => replay(toJson(elsewhere))).toThrow(
      /not a transcript: steps\[1\] does not fit: .*does not answer a need/,
    );
    const nowhere = transcript([], { request: { ...whole.request, url: 'nowhere' } });
    expect(() => replay(toJson(nowhere))).toThrow(/not a transcript: request does not fit: .*Invalid URL/);
    const odd = transcript([begun({ credential: { type: 'registry', token: 'redacted-1' } })]);
    expect(() => replay(toJson(odd))).toThrow(/steps\[0\] does not fit/);
  });
});

/** What `run` gives, or `null` when it refuses the file and says where. */
function orRefused<T>(run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('[@reg/core] not a transcript: ');
    return null;
  }
}

describe('a file that is anything', () => {
  test('that is no JSON is a SyntaxError, that is too long a TypeError', () => {
    for (const text of ['', '{', 'x', '\u0000', '{"version":1'])
      expect(() => replay(text)).toThrow(SyntaxError);
    expect(() => replay(' '.repeat(16_777_217))).toThrow(
      new TypeError('[@reg/core] not a transcript: longer than 16777216 characters'),
    );
  });

  const table: readonly (readonly [readonly (string | number)[], unknown, string])[] = [
    [[], null, 'transcript is not an object'],
    [[], [], 'transcript is not an object'],
    [['version'], 2, 'transcript.version is not 1'],
    [['request'], undefined, 'transcript.request is not an object'],
    [['request', 'method'], 5, 'transcript.request.method is not a text'],
    [['request', 'headers'], {}, 'transcript.request.headers is not a list of at most 10000'],
    [['request', 'headers', 0], ['a'], 'transcript.request.headers[0] is not a pair'],
    [['request', 'headers', 0], 'ab', 'transcript.request.headers[0] is not a pair'],
    [['request', 'headers', 0, 1], null, 'transcript.request.headers[0][1] is not a text'],
    [['request', 'body'], 'toString', 'transcript.request.body is not one of none, replayable, once'],
    [['request', 'redirect'], 'error', 'transcript.request.redirect is not one of follow, manual'],
    [['policy', 'account'], 1, 'transcript.policy.account is not true or false'],
    [['policy', 'limits', 'grants'], '3', 'transcript.policy.limits.grants is not a number'],
    [['policy', 'schemes', 1], 'digest', 'transcript.policy.schemes[1] is not one of bearer, basic'],
    [['hint'], { scheme: 'none' }, 'transcript.hint.elsewhere is not a text'],
    [['hint'], { scheme: 'basic' }, 'transcript.hint.realm is not a text'],
    [['steps', 0, 'machine'], 'mill', 'transcript.steps[0].machine is not handshake'],
    [['steps', 0, 'phase'], 'failed', 'transcript.steps[0].phase is not one of probing, sending'],
    [
      ['steps', 0, 'answer', 'type'],
      'granted',
      'transcript.steps[0].answer.type is not one of response, no-response',
    ],
    [
      ['steps', 0, 'answer', 'type'],
      '__proto__',
      'transcript.steps[0].answer.type is not one of response, no-response',
    ],
    [['steps', 1, 'phase'], 'x', 'transcript.steps[1].phase is not credential'],
    [
      ['steps', 2, 'credential', 'type'],
      'x',
      'transcript.steps[2].credential.type is not one of password, identity, registry',
    ],
    [['steps', 2, 'need', 'scopes', 0], 5, 'transcript.steps[2].need.scopes[0] is not an object'],
    [
      ['steps', 2, 'need', 'scopes', 0],
      { opaque: 5 },
      'transcript.steps[2].need.scopes[0].opaque is not a text',
    ],
    [
      ['steps', 4, 'answer', 'grant', 'authorization', 'scheme'],
      'x',
      'transcript.steps[4].answer.grant.authorization.scheme is not one of basic, bearer',
    ],
    [['failure'], { kind: 'bored' }, 'transcript.failure.kind is not one of challenge-unusable,'],
  ];

  test.each(table.map((row) => [row[2], ...row] as const))('%s', (_, path, value, message) => {
    const json = JSON.stringify(altered(path, value));
    expect(() => replay(json)).toThrow(TypeError);
    expect(() => replay(json)).toThrow(`[@reg/core] not a transcript: ${message}`);
  });

  test('a list that is too long is refused before it is read', () => {
    const json = JSON.stringify(altered(['request', 'headers'], Array(10_001).fill('no header')));
    expect(() => replay(json)).toThrow('transcript.request.headers is not a list of at most 10000');
  });

  test('a number that JSON cannot say is none', () => {
    expect(() => replay(toJson(whole).replace('"deadlineMs": 30000', '"deadlineMs": 1e999'))).toThrow(
      'transcript.policy.deadlineMs is not a number',
    );
  });

  test('is refused with its place, or read and then shown in every way', () => {
    const step = whole.steps.length - 1;
    const paths = fc.constantFrom<(string | number)[][]>(
      ['request', 'url'],
      ['request', 'method'],
      ['request', 'headers'],
      ['policy', 'limits', 'challengeBytes'],
      ['policy', 'redirects', 'max'],
      ['hint'],
      ['steps', 0, 'answer', 'head', 'status'],
      ['steps', 0, 'answer', 'head', 'headers', 0, 1],
      ['steps', 0, 'answer', 'head', 'filtered'],
      ['steps', 0, 'answer', 'head', 'known'],
      ['steps', 0, 'effect', 'url'],
      ['steps', 0, 'next'],
      ['steps', 2, 'need', 'realm'],
      ['steps', 2, 'need', 'registry'],
      ['steps', 2, 'credential'],
      ['steps', 3, 'answer', 'text'],
      ['steps', 3, 'effect', 'url'],
      ['steps', 4, 'answer', 'grant'],
      ['steps', step, 'answer', 'at'],
      ['failure'],
    );
    fc.assert(
      fc.property(
        paths,
        fc.oneof(
          fc.json().map((j): unknown => JSON.parse(j)),
          fc.webUrl(),
          fc.string({ unit: 'binary' }),
        ),
        (path, value) => {
          const json = JSON.stringify(altered(path, value));
          const read = orRefused(() => fromJson(json));
          orRefused(() => replay(json));
          if (read === null) return;
          for (const render of [toText, toMermaid, toHar, toCurl, toJson])
            expect(typeof render(read)).toBe('string');
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('deep nesting is no way to hurt', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(() => replay(deep)).toThrow('transcript is not an object');
    expect(() => replay(`{"version":${deep}}`)).toThrow('transcript.version is not 1');
  });
});

describe('the random operations of these tests', () => {
  test('reach every phase, and most kinds of failure', () => {
    const phases = new Set<string>();
    const kinds = new Set<string>();
    const note = (script: Script): void => {
      const { phases: entered, transcript: recorded } = run(script);
      for (const phase of entered) phases.add(phase.replace(/ \d+/, ''));
      if (recorded.failure !== null) kinds.add(recorded.failure.kind);
    };
    for (const script of fc.sample(scripts, { numRuns: 2_000, seed: 20_261_123 })) note(script);
    expect([...phases].sort()).toEqual([
      'exchange failed',
      'exchange getting',
      'exchange granted',
      'exchange posting',
      'handshake answered',
      'handshake failed',
      'handshake obtaining',
      'handshake probing',
      'handshake sending',
    ]);
    expect(kinds.size).toBeGreaterThanOrEqual(15);
    expect(Object.keys(credentials)).toHaveLength(15);
  });
});
