import { describe, expect, test } from 'vitest';
import type { Credential } from '../src/credential.ts';
import { Recorder } from '../src/driver/recorder.ts';
import type { HandshakeAnswer } from '../src/effect.ts';
import { beginExchange, stepExchange } from '../src/exchange.ts';
import { type HandshakeState, start, step } from '../src/handshake.ts';
import type { HeaderList, RegistryRequest } from '../src/message.ts';
import { completePolicy, defaultPolicy } from '../src/policy.ts';
import { parseScopes } from '../src/scope.ts';
import { Secret } from '../src/secret.ts';
import type { Claims, ClaimsReader } from '../src/transcript/claims.ts';
import type { RecordedResponse, SentStep, TranscriptStep } from '../src/transcript/transcript.ts';
import { failures } from './error-samples.ts';
import { canary } from './transcript-scripts.ts';

const registry = 'https://registry.example';
const request: RegistryRequest = {
  method: 'GET',
  url: `${registry}/v2/a/b/tags/list`,
  headers: [['accept', 'application/json']],
  body: 'none',
};
const challenge: HeaderList = [
  ['www-authenticate', `Bearer realm="${registry}/token",service="svc",scope="repository:a/b:pull"`],
];
const alice: Credential = { type: 'password', username: 'alice', password: 'p4ss-CANARY' };

function response(
  status: number,
  headers: HeaderList = [],
  at = 2_000,
): HandshakeAnswer & { type: 'response' } {
  return { type: 'response', at, head: { status, headers }, problems: [] };
}

/** A recorder and the handshake it records. */
function operation(
  about: Partial<RegistryRequest> = {},
  onStep?: (step: TranscriptStep) => void,
  startedAt?: number,
) {
  const asked = { ...request, ...about };
  const recorder = new Recorder(asked, defaultPolicy, null, {
    onStep,
    ...(startedAt === undefined ? {} : { startedAt }),
  });
  let state = start(asked, defaultPolicy);
  return {
    recorder,
    get state(): HandshakeState {
      return state;
    },
    answer(answer: HandshakeAnswer): void {
      const after = step(state, answer);
      recorder.handshake(state, answer, after);
      state = after;
    },
    /** The one response of the record. */
    recorded(): RecordedResponse {
      const [first] = recorder.transcript().steps;
      if (first?.phase !== 'sending' || first.answer.type !== 'response')
        throw new Error('no response was recorded');
      return first.answer;
    },
  };
}

/** A response of a registry to a request that carried `authorization`, as it is recorded. */
function echoed(headers: HeaderList, authorization = 'Bearer own-CANARY-token'): RecordedResponse {
  const op = operation({ headers: [['authorization', authorization]] });
  op.answer(response(200, headers));
  return op.recorded();
}

describe('what a token says of itself', () => {
  const need = {
    registry,
    scheme: 'bearer',
    realm: `${registry}/token`,
    service: 'svc',
    scopes: parseScopes('repository:a/b:pull'),
    challenged: [],
    repository: 'a/b',
    anonymous: false,
  } as const;
  const claims: Claims = {
    issuer: 'issuer, see https://x.example/?s=CANARY-query',
    subject: 'alice:p4ss-CANARY',
    audience: ['tok.CANARY-1'],
    issuedAt: 1,
    notBefore: null,
    expiresAt: 2,
    access: parseScopes('repository:p4ss-CANARY/b:pull'),
    others: ['jti', 'p4ss-CANARY'],
  };

  /** The answer of a token server, recorded with what `reader` tells of its token; by Basic as no exchange ends. */
  function recorded(
    reader: ClaimsReader | undefined,
    byBasic = false,
  ): TranscriptStep & { phase: 'getting' | 'posting' } {
    const recorder = new Recorder(request, defaultPolicy, null, { claims: reader });
    const begun = beginExchange(need, alice, defaultPolicy, { principal: 1, clientId: 'reg' });
    recorder.exchangeBegan(1, 1, need, alice, { principal: 1, clientId: 'reg' }, begun);
    const text = '{"token":"tok.CANARY-1"}';
    const head = { status: 200, headers: [] };
    const answer = { type: 'token-response', at: 2, sentAt: 1, head, text, retryAfterMs: null } as const;
    const after = stepExchange(begun, answer);
    if (after.phase !== 'granted') throw new Error('not granted');
    const password = new Secret('p4ss-CANARY', registry);
    const authorization = { scheme: 'basic', username: 'alice', password } as const;
    recorder.exchange(
      1,
      begun,
      answer,
      byBasic ? { ...after, grant: { ...after.grant, authorization } } : after,
    );
    const step = recorder.transcript().steps.at(-1);
    if (step?.phase !== 'getting') throw new Error('no token request was recorded');
    return step;
  }

  test('is recorded where it is asked for, without any secret', () => {
    const seen: string[] = [];
    const step = recorded((token) => {
      seen.push(token);
      return claims;
    });
    expect(new Set(seen)).toEqual(new Set(['tok.CANARY-1']));
    expect(step.answer).toMatchObject({
      claims: {
        issuer: 'issuer, see https://x.example/?s=redacted-0',
        subject: 'alice:redacted-1',
        audience: ['redacted-2'],
        issuedAt: 1,
        notBefore: null,
        expiresAt: 2,
        access: parseScopes('repository:redacted-1/b:pull'),
        others: ['jti', 'redacted-1'],
      },
    });
    expect(canary(JSON.stringify(step))).toBeNull();
  });

  test('may be little, nothing, or not for the record', () => {
    const little = { ...claims, issuer: null, subject: null, audience: [], access: null, others: [] };
    expect(recorded(() => little).answer).toMatchObject({ claims: little });
    expect(recorded(() => null).answer).toMatchObject({ claims: null });
    expect(recorded(() => undefined).answer).not.toHaveProperty('claims');
    expect(recorded(undefined).answer).not.toHaveProperty('claims');
    expect(recorded(() => claims, true).answer).not.toHaveProperty('claims');
  });

  test('is told to who listens to a part of the operation as well', () => {
    const told: TranscriptStep[] = [];
    const whole = new Recorder(request, defaultPolicy, null, { claims: () => null });
    const part = whole.beside((step) => told.push(step));
    const begun = beginExchange(need, null, defaultPolicy, { principal: 0, clientId: 'reg' });
    const head = { status: 200, headers: [] };
    const answer = {
      type: 'token-response',
      at: 2,
      sentAt: 1,
      head,
      text: '{"token":"t"}',
      retryAfterMs: null,
    } as const;
    part.exchange(1, begun, answer, stepExchange(begun, answer));
    expect(told).toMatchObject([{ answer: { claims: null } }]);
  });
});

describe('what is recorded', () => {
  test('a whole operation: names in order of appearance, the same for the same secret', () => {
    const op = operation();
    op.answer(response(401, challenge));
    if (op.state.phase !== 'obtaining') throw new Error('not obtaining');
    const { need } = op.state.awaiting;
    const { recorder } = op;
    recorder.credential(2_001, registry, { credential: alice, source: 'a test' });
    const id = recorder.nextExchange();
    const requester = { principal: 1, clientId: 'reg' };
    const begun = beginExchange(need, alice, defaultPolicy, requester);
    recorder.exchangeBegan(id, 2_002, need, alice, requester, begun);
    const text = '{"token":"tok.CANARY-1","refresh_token":"ref-CANARY"}';
    const head = { status: 200, headers: [] };
    const answer = {
      type: 'token-response',
      at: 2_010,
      sentAt: 2_003,
      head,
      text,
      retryAfterMs: null,
    } as const;
    const after = stepExchange(begun, answer);
    recorder.exchange(id, begun, answer, after);
    if (after.phase !== 'granted') throw new Error('not granted');
    op.answer({ type: 'granted', at: 2_011, grant: after.grant, reuse: 'fresh' });
    op.answer(response(200, [], 2_020));

    const { steps, ...rest } = recorder.transcript();
    expect(rest).toEqual({ version: 1, request, policy: defaultPolicy, hint: null, failure: null });
    expect(steps.map((s) => [s.machine, s.phase, s.at, 'next' in s ? s.next : null])).toEqual([
      ['handshake', 'sending', 2_000, 'obtaining'],
      ['seam', 'credential', 2_001, null],
      ['exchange', 'begin', 2_002, 'getting'],
      ['exchange', 'getting', 2_003, 'granted'],
      ['handshake', 'obtaining', 2_000, 'sending'],
      ['handshake', 'sending', 2_011, 'answered'],
    ]);
    expect(steps[1]).toMatchObject({ found: { type: 'password', source: 'a test' } });
    recorder.credential(1, registry, { credential: null, source: 'a file?x=CANARY' });
    expect(recorder.transcript().steps.at(-1)).toMatchObject({
      found: { type: 'anonymous', source: 'a file?x=redacted-0' },
    });
    expect(steps[2]).toMatchObject({
      credential: { type: 'password', username: 'alice', password: 'redacted-1' },
    });
    expect(steps[3]).toMatchObject({
      exchange: 1,
      effect: { authorization: { scheme: 'basic', username: 'alice', password: 'redacted-1' } },
      answer: { text: '{"token":"redacted-2","refresh_token":"redacted-3"}' },
    });
    expect(steps[4]).toMatchObject({
      answer: { grant: { authorization: { scheme: 'bearer', token: 'redacted-2' } } },
    });
    expect(steps[5]).toMatchObject({ effect: { authorization: { scheme: 'bearer', token: 'redacted-2' } } });
    expect(canary(JSON.stringify(recorder.transcript()))).toBeNull();
  });

  test('the first request has a duration when it is said when the operation began', () => {
    const op = operation({}, undefined, 1_960);
    op.answer(response(200));
    expect(op.recorder.transcript().steps[0]).toMatchObject({ at: 1_960, answer: { at: 2_000 } });
  });

  test('an exchange without an answer is timed from when it began, or from its last retry', () => {
    const op = operation();
    op.answer(response(401, challenge));
    if (op.state.phase !== 'obtaining') throw new Error('not obtaining');
    const { need } = op.state.awaiting;
    const silent = { type: 'no-response', at: 5_000, phase: 'connect', code: 'X', message: '' } as const;
    const begun = beginExchange(need, null, defaultPolicy);
    const ended = stepExchange(begun, silent);
    const { recorder } = op;
    recorder.exchange(9, begun, silent, ended);
    recorder.exchangeBegan(1, 3_000, need, null, { principal: 0, clientId: 'reg' }, begun);
    recorder.exchange(1, begun, silent, ended);
    recorder.exchangeBegan(2, 3_000, need, null, { principal: 0, clientId: 'reg' }, begun);
    recorder.retry(4_000, `${registry}/token`, null, 500);
    recorder.exchange(2, begun, silent, ended);
    const { steps } = recorder.transcript();
    expect(steps.map((s) => [s.phase, s.at])).toEqual([
      ['sending', 2_000],
      ['getting', 5_000],
      ['begin', 3_000],
      ['getting', 3_000],
      ['begin', 3_000],
      ['retry', 4_000],
      ['getting', 4_500],
    ]);
  });

  test('the form of a POST, its secrets by name', () => {
    const op = operation();
    op.answer(response(401, challenge));
    if (op.state.phase !== 'obtaining') throw new Error('not obtaining');
    const { need } = op.state.awaiting;
    const identity = { type: 'identity', token: 'ident-CANARY' } as const;
    const begun = beginExchange(need, identity, defaultPolicy);
    const head = { status: 401, headers: [] };
    const answer = {
      type: 'token-response',
      at: 3,
      sentAt: 2,
      head,
      text: null,
      retryAfterMs: null,
    } as const;
    op.recorder.exchangeBegan(1, 1, need, identity, { principal: 1, clientId: 'reg' }, begun);
    op.recorder.exchange(1, begun, answer, stepExchange(begun, answer));
    expect(op.recorder.transcript().steps[2]).toMatchObject({
      phase: 'posting',
      effect: {
        body: 'form',
        form: [
          ['grant_type', 'refresh_token'],
          ['refresh_token', 'redacted-1'],
          ['service', 'svc'],
          ['client_id', 'reg'],
          ['scope', 'repository:a/b:pull'],
        ],
      },
      answer: { text: null },
    });
  });

  test('a body belongs to the response that follows', () => {
    const op = operation({ body: 'once', method: 'PUT' });
    op.recorder.body('{"a":"https://x.example/?sig=CANARY"}');
    op.answer(response(200));
    op.answer(response(201));
    const bodies = op.recorder
      .transcript()
      .steps.map((s) => (s as SentStep & { answer: RecordedResponse }).answer.body);
    expect(bodies).toEqual(['{"a":"https://x.example/?sig=redacted-0"}', null]);
  });

  test('where a platform ended up by itself, without the query', () => {
    const op = operation();
    op.answer({
      ...response(200),
      head: { status: 200, headers: [], url: 'https://cdn.example/x?sig=CANARY' },
    });
    expect(op.recorded().head.url).toBe('https://cdn.example/x?sig=redacted-0');
  });

  test('hints and failures are redacted too', () => {
    const hint = {
      scheme: 'bearer',
      realm: 'https://user:CANARY@auth.example/token',
      service: null,
      elsewhere: 'https://user:CANARY@auth.example/token',
    } as const;
    const recorder = new Recorder(request, defaultPolicy, hint);
    expect(recorder.transcript().hint).toEqual({
      ...hint,
      realm: 'https://redacted-0@auth.example/token',
      elsewhere: 'https://redacted-0@auth.example/token',
    });
    recorder.failed({ kind: 'body-spent', url: `${registry}/v2/?_state=CANARY` });
    expect(recorder.transcript().failure).toEqual({
      kind: 'body-spent',
      url: `${registry}/v2/?_state=redacted-0`,
    });
    expect(
      new Recorder(request, defaultPolicy, { scheme: 'none', elsewhere: null }).transcript().hint,
    ).toEqual({
      scheme: 'none',
      elsewhere: null,
    });
  });

  test('an answer that does not fit what was awaited is the fault of the driver', () => {
    const op = operation();
    const before = op.state;
    const ended = step(before, response(200));
    for (const [state, answer] of [
      [before, { type: 'refused', at: 1, failure: { kind: 'body-spent', url: registry } }],
      [ended, response(200)],
    ] as const) {
      const recorder = new Recorder(request, defaultPolicy, null);
      recorder.handshake(state, answer, ended);
      expect(() => recorder.transcript()).toThrow(/^\[@reg\/core\] '\w+' does not answer '\w+'$/);
    }
    const failed = beginExchange(
      {
        registry,
        scheme: 'bearer',
        realm: 'x:',
        service: null,
        scopes: [],
        challenged: [],
        repository: null,
        anonymous: false,
      },
      null,
      defaultPolicy,
    );
    const recorder = new Recorder(request, defaultPolicy, null);
    recorder.exchange(
      1,
      failed,
      { type: 'no-response', at: 1, phase: 'head', code: '', message: '' },
      failed,
    );
    expect(() => recorder.transcript()).toThrow("'no-response' does not answer 'failed'");
  });
});

describe('onStep', () => {
  test('is told each step as it happens, redacted; what it throws is ignored', () => {
    const told: TranscriptStep[] = [];
    const op = operation({ headers: [['authorization', 'Bearer own-CANARY-token']] }, (s) => {
      told.push(s);
      throw new Error('an observer');
    });
    op.answer(response(200, [['server', 'own-CANARY-token']]));
    expect(told).toEqual(op.recorder.transcript().steps);
    expect(told).toHaveLength(1);
  });
});

describe('redacted', () => {
  test('a failure for the caller, with the secrets of its operation out of the words of peers', () => {
    const op = operation({ headers: [['authorization', 'Bearer own-CANARY-token']] });
    const failure = op.recorder.redacted({
      kind: 'network',
      url: 'https://cdn.example/x?sig=CANARY',
      to: 'registry',
      phase: 'head',
      code: 'own-CANARY-token',
      message: 'sent own-CANARY-token to https://cdn.example/x?sig=CANARY, see "/y?z=CANARY"',
    });
    expect(failure).toEqual({
      kind: 'network',
      url: 'https://cdn.example/x?sig=redacted-0',
      to: 'registry',
      phase: 'head',
      code: 'redacted-1',
      message: 'sent redacted-1 to https://cdn.example/x?sig=redacted-0 see "/y?z=redacted-0"',
    });
  });

  test('every kind: what it holds of a secret is gone, what it holds of facts stays', () => {
    const secret = 'own-CANARY-token';
    const op = operation({ headers: [['authorization', `Bearer ${secret}`]] });
    /** The failure with the secret in every text that a peer or the caller's URL may have put there. */
    const planted = (value: unknown, key = ''): unknown => {
      if (typeof value === 'string') {
        const fixed = [
          'kind',
          'reason',
          'scheme',
          'phase',
          'to',
          'limit',
          'registry',
          'host',
          'location',
          'source',
          'line',
        ];
        return fixed.includes(key) && !value.includes('/blob') ? value : `${value}/${secret}`;
      }
      if (Array.isArray(value)) return value.map((v) => planted(v, key));
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, planted(v, k)]));
    };
    for (const failure of failures) {
      const hidden = op.recorder.redacted(planted(failure) as typeof failure);
      expect([failure.kind, canary(JSON.stringify(hidden))]).toEqual([failure.kind, null]);
      expect(Object.keys(hidden)).toEqual(Object.keys(failure));
      expect(hidden.kind).toBe(failure.kind);
    }
  });
});

describe('headers', () => {
  test('of a request: what is known to be harmless is shown, the rest is masked (log-redaction-10)', () => {
    const op = operation({
      headers: [
        ['accept', 'application/json'],
        ['x-api-key', 'CANARY'],
        ['cookie', 'sid=CANARY'],
        ['user-agent', 'test/1'],
        ['authorization', 'CANARY'],
        ['proxy-authorization', 'Basic CANARY'],
      ],
    });
    expect(op.recorder.transcript().request.headers).toEqual([
      ['accept', 'application/json'],
      ['x-api-key', 'redacted-0'],
      ['cookie', 'redacted-0'],
      ['user-agent', 'test/1'],
      ['authorization', 'redacted-0'],
      ['proxy-authorization', 'redacted-0'],
    ]);
  });

  test('of a response: cookies and whatever is not known are masked (log-redaction-09)', () => {
    expect(
      echoed([
        ['set-cookie', 'sid=CANARY'],
        ['x-amz-id', 'CANARY'],
        ['content-type', 'application/json'],
        ['docker-upload-uuid', 'CANARY'],
      ]).head.headers,
    ).toEqual([
      ['set-cookie', 'redacted-0'],
      ['x-amz-id', 'redacted-0'],
      ['content-type', 'application/json'],
      ['docker-upload-uuid', 'redacted-0'],
    ]);
  });

  test('URLs in them: harmless parameters stay, others and fragments are masked, whatever they are (log-redaction-03)', () => {
    const table = [
      [
        'location',
        '/v2/a/blobs/uploads/1?_state=CANARY&digest=sha256:1',
        '/v2/a/blobs/uploads/1?_state=redacted-0&digest=sha256:1',
      ],
      ['location', 'https://cdn.example/x?CANARY', 'https://cdn.example/x?redacted-0'],
      ['location', 'https://cdn.example/x?sig=&&n=5', 'https://cdn.example/x?sig=&&n=5'],
      ['location', '/x#CANARY', '/x#redacted-0'],
      ['location', '/x?a=CANARY#CANARY', '/x?a=redacted-0#redacted-0'],
      ['location', '/x#', '/x#'],
      ['location', '/x?a=CANARY\t', '/x?a=redacted-0\u0001'],
      [
        'link',
        '</v2/_catalog?last=x&n=5&t=CANARY>; rel="next"',
        '</v2/_catalog?last=x&n=5&t=redacted-0>; rel="next"',
      ],
      [
        'warning',
        '299 - "see https://x.example/?t=CANARY and y"',
        '299 - "see https://x.example/?t=redacted-0 and y"',
      ],
      [
        'www-authenticate',
        'Bearer realm="https://auth.example/jwt?host=x"',
        'Bearer realm="https://auth.example/jwt?host=x"',
      ],
    ] as const;
    for (const [name, value, shown] of table)
      expect(echoed([[name, value]]).head.headers).toEqual([[name, shown]]);
  });

  test('userinfo is hidden wherever a URL parser would find it, and nothing else with an @ (log-redaction-04)', () => {
    const table = [
      ['https://alice:CANARY@r.example/', 'https://redacted-0@r.example/'],
      ['HTTPS://CANARY@r.example', 'HTTPS://redacted-0@r.example'],
      ['https:CANARY@r.example', 'https:redacted-0@r.example'],
      ['http:CANARY@r.example', 'http:redacted-0@r.example'],
      ['https:/CANARY@r.example', 'https:/redacted-0@r.example'],
      ['https:\\CANARY@r.example', 'https:\\redacted-0@r.example'],
      ['https:\\\\CANARY@r.example', 'https:\\\\redacted-0@r.example'],
      ['https:\\/\\/CANARY@r.example', 'https:\\/\\/redacted-0@r.example'],
      ['https:/\\CANARY@r.example', 'https:/\\redacted-0@r.example'],
      ['//CANARY@r.example', '//redacted-0@r.example'],
      ['https://a@b@CANARY:x@r.example', 'https://redacted-0@r.example'],
      ['https://@r.example', 'https://@r.example'],
      ['https://a\tCANARY@r.example', 'https://redacted-0\u0001@r.example'],
      ['/v2/a/b@sha256:1', '/v2/a/b@sha256:1'],
      ['ask admin@r.example', 'ask admin@r.example'],
      ['https://r.example/a@b', 'https://r.example/a@b'],
      ['@', '@'],
    ] as const;
    for (const [value, shown] of table) {
      expect(echoed([['www-authenticate', `Bearer realm="${value}"`]]).head.headers).toEqual([
        ['www-authenticate', `Bearer realm="${shown}"`],
      ]);
      if (!value.includes('\t'))
        expect(echoed([['location', value]]).head.headers).toEqual([['location', shown]]);
    }
  });
});

describe('secrets in the words of others', () => {
  const table = [
    ['plain', 'x own-CANARY-token y', 'x redacted-1 y'],
    ['twice', 'own-CANARY-token,own-CANARY-token', 'redacted-1,redacted-1'],
    ['percent-encoded where it needs none (log-redaction-05)', 'own%2DCANARY%2dtoken', 'redacted-1'],
    ['escaped (log-redaction-07)', 'own\\u002dCANARY\\-token', 'redacted-1'],
    ['in base64', Buffer.from('own-CANARY-token').toString('base64'), 'redacted-1'],
    [
      'in base64 with more behind it',
      Buffer.from('own-CANARY-token and more').toString('base64'),
      'redacted-1',
    ],
    ['encoded twice', '%256fwn-CANARY%252Dtoken', 'redacted-1'],
    ['with what is no encoding beside it', '%zz own-CANARY-token %4 \\u00 \\', '%zz redacted-1 %4 \\u00 \\'],
    [
      'in broken UTF-8',
      '%c3%28 %f8%ff %f4%90%80%80 own%2DCANARY-token',
      '%c3%28 %f8%ff %f4%90%80%80 redacted-1',
    ],
  ] as const;

  test.each(table)('%s', (_, value, shown) => {
    expect(echoed([['server', value]]).head.headers).toEqual([['server', shown]]);
  });

  test.each([
    ['a path', 'https://auth.example/', '/token'],
    ['a query', 'https://auth.example/token?a=', '&b=1'],
  ])('in %s, as the URL parser writes it, which no decoding undoes', (_, before, after) => {
    const password = `p4ss CANARY+/%41"\\é~1`;
    const pair = Buffer.from(`alice:${password}`).toString('base64');
    const url = new URL(before + password + after).href;
    expect(decodeURIComponent(url)).not.toContain(password);
    const { headers } = echoed([['www-authenticate', `Bearer realm="${url}"`]], `Basic ${pair}`).head;
    expect(canary(JSON.stringify(headers))).toBeNull();
    expect(headers[0]?.[1]).toMatch(/^Bearer realm="https:\/\/auth\.example\/\S*redacted-\d/);
  });

  test('a Basic header of the caller: the pair and the password', () => {
    const pair = Buffer.from('alice:own-CANARY-password').toString('base64');
    const { headers } = echoed(
      [
        ['server', pair],
        ['via', 'own-CANARY-password'],
        ['date', 'own-CANARY'],
      ],
      `Basic ${pair}`,
    ).head;
    expect(headers).toEqual([
      ['server', 'redacted-1'],
      ['via', 'redacted-2'],
      ['date', 'own-CANARY'],
    ]);
    expect(echoed([['server', 'x']], 'Basic !!!').head.headers).toEqual([['server', 'x']]);
  });

  test('in base64 of either alphabet', () => {
    const secret = '~~~?>?>CANARY';
    expect(Buffer.from(secret).toString('base64')).toMatch(/\+.*\/|\/.*\+/);
    for (const alphabet of ['base64', 'base64url'] as const) {
      const value = Buffer.from(secret).toString(alphabet);
      expect(echoed([['server', value]], `Bearer ${secret}`).head.headers).toEqual([
        ['server', 'redacted-1'],
      ]);
    }
  });

  test('as forms write it, spaces as +', () => {
    const value = new URLSearchParams({ password: 'own CANARY/secret' }).toString();
    expect(echoed([['server', value]], 'Bearer own CANARY/secret').head.headers).toEqual([
      ['server', 'password=redacted-1'],
    ]);
  });

  test('where one breaks a challenge, its name breaks it as well', () => {
    const secret = 'own"CANARY';
    const field = (value: string) => `Bearer realm="https://registry.example/token",service="${value}"`;
    const headers = (value: string) =>
      echoed([['www-authenticate', field(value)]], `Bearer ${secret}`).head.headers;
    expect(headers(secret)).toEqual([['www-authenticate', field('redacted-1"')]]);
    expect(headers('own\\"CANARY')).toEqual([['www-authenticate', field('redacted-1')]]);
  });

  test('in any script, one, two, three or four bytes a character', () => {
    const secret = 'aé漢😀-CANARY';
    const everything = [...Buffer.from(secret)].map((b) => `%${b.toString(16)}`).join('');
    const json = JSON.stringify(secret).replace(
      /[^ -~]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    for (const value of [secret, everything, encodeURIComponent(secret), json]) {
      expect(canary(JSON.stringify(echoed([['server', value]], `Bearer ${secret}`)))).toBeNull();
    }
  });

  test('one that was cut off: what is there of it, and what may be left of another that begins alike', () => {
    const head = 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.';
    const token = `${head}${'A'.repeat(600)}CANARY`;
    const other = `${head}another-CANARY`;
    expect(echoed([['server', `got ${token.slice(0, 512)}`]], `Bearer ${token}`).head.headers).toEqual([
      ['server', 'got redacted-1'],
    ]);
    expect(echoed([['server', `got ${other}, sorry`]], `Bearer ${token}`).head.headers).toEqual([
      ['server', 'got redacted-1, sorry'],
    ]);
  });

  test('of two that begin alike the one that is there is named', () => {
    const head = 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.';
    const op = operation({ headers: [['authorization', `Bearer ${head}one`]] });
    op.recorder.credential(1, registry, {
      credential: { type: 'registry', token: `${head}two-and-more` },
      source: '',
    });
    op.answer(response(200, [['server', `${head}two-and-more ${head}one`]]));
    expect(op.recorder.transcript().steps[1]).toMatchObject({
      answer: { head: { headers: [['server', 'redacted-2 redacted-1']] } },
    });
  });

  test('one inside another, and one that begins in another', () => {
    const op = operation({ headers: [['authorization', 'Bearer abcdef-CANARY-ghijkl']] });
    op.recorder.credential(1, registry, { credential: { type: 'registry', token: 'CANARY' }, source: '' });
    op.recorder.credential(1, registry, {
      credential: { type: 'registry', token: 'ghijkl-mnopq' },
      source: '',
    });
    op.answer(response(200, [['server', 'abcdef-CANARY-ghijkl-mnopq CANARY']]));
    expect(op.recorder.transcript().steps[2]).toMatchObject({
      answer: { head: { headers: [['server', 'redacted-1 redacted-2']] } },
    });
  });

  test('one that is learned later is hidden before', () => {
    const op = operation();
    op.answer(response(401, [...challenge, ['server', 'p4ss-CANARY']]));
    op.recorder.credential(1, registry, { credential: alice, source: 'p4ss-CANARY' });
    expect(canary(JSON.stringify(op.recorder.transcript()))).toBeNull();
  });

  test('one shorter than six characters is not searched for, since words would tell what it is', () => {
    expect(echoed([['server', 'latest and test']], 'Bearer test').head.headers).toEqual([
      ['server', 'latest and test'],
    ]);
  });

  test('one that is part of the URL that was asked for is not searched for', () => {
    const op = operation({
      url: `${registry}/v2/library/busybox/tags/list`,
      headers: [['authorization', 'Bearer library']],
    });
    op.answer(response(401, [['server', 'library']]));
    expect(op.recorded().head.headers).toEqual([['server', 'library']]);
  });

  test('takes time in proportion to the text (log-redaction-11, CVE-2025-25289)', () => {
    for (const text of [' ', '%', '\\', '@', '%2', 'own-CANARY-toke', '//@', '?', '"', '\\u00']) {
      const value = text.repeat(Math.ceil(250_000 / text.length));
      const before = performance.now();
      echoed([['server', value]]);
      expect(performance.now() - before).toBeLessThan(3_000);
    }
  });
});

describe('the body of a token response', () => {
  const op = operation();
  op.answer(response(401, challenge));
  if (op.state.phase !== 'obtaining') throw new Error('not obtaining');
  const { need } = op.state.awaiting;
  /** What is recorded of it. */
  const shape = (text: string): string | null => {
    const recorder = new Recorder(request, defaultPolicy, null);
    const begun = beginExchange(need, null, defaultPolicy);
    const head = { status: 200, headers: [] };
    const answer = { type: 'token-response', at: 2, sentAt: 1, head, text, retryAfterMs: null } as const;
    recorder.exchange(1, begun, answer, stepExchange(begun, answer));
    const [recorded] = recorder.transcript().steps;
    if (recorded?.phase !== 'getting' || recorded.answer.type !== 'token-response')
      throw new Error('not recorded');
    return recorded.answer.text;
  };

  test.each([
    [
      'a token, and when it ends',
      '{"token":"CANARY","expires_in":300}',
      '{"token":"redacted-1","expires_in":300}',
    ],
    [
      'both names of one token',
      '{"token":"CANARY","access_token":"CANARY"}',
      '{"token":"redacted-1","access_token":"redacted-1"}',
    ],
    ['odd case (log-redaction-06)', '{"Access_Token":"CANARY"}', '{"Access_Token":"redacted-1"}'],
    ['an escaped name (log-redaction-07)', '{"\\u0074oken":"CANARY"}', '{"token":"redacted-1"}'],
    [
      'a nested one (log-redaction-08)',
      '{"data":{"refresh_token":"CANARY"}}',
      '{"data":{"refresh_token":"redacted-1"}}',
    ],
    ['one that is no token', '{"token":"CANARY CANARY"}', '{"token":"redacted-1 (not a token)"}'],
    ['numbers in its place', '{"token":17,"access_token":0,"id":17}', '{"token":1,"access_token":0,"id":17}'],
    ['other values in its place', '{"token":true,"access_token":null}', '{"token":true,"access_token":null}'],
    ['lists of them', '{"token":["CANARY",""]}', '{"token":["redacted-1",""]}'],
    [
      'members that nobody knows',
      '{"x":"CANARY","y":"","z":[["CANARY"]]}',
      '{"x":"redacted-0","y":"","z":[["redacted-0"]]}',
    ],
    [
      'a lifetime as text',
      '{"expires_in":"300","issued_at":"2026-11-23T08:00:00Z"}',
      '{"expires_in":"300","issued_at":"2026-11-23T08:00:00Z"}',
    ],
    ['a secret in place of one', '{"expires_in":"CANARY-CANARY"}', '{"expires_in":"redacted-0"}'],
    [
      'words',
      '{"error":"invalid_grant","error_uri":"https://x.example/?e=CANARY"}',
      '{"error":"invalid_grant","error_uri":"https://x.example/?e=redacted-0"}',
    ],
    [
      'names that JavaScript knows',
      '{"__proto__":{"token":"CANARY"},"constructor":"CANARY"}',
      '{"__proto__":{"token":"redacted-1"},"constructor":"redacted-0"}',
    ],
    ['a byte order mark', '\ufeff{"token":"CANARY"}', '{"token":"redacted-1"}'],
    ['a text', '"CANARY"', '"redacted-0"'],
    ['no JSON', 'CANARY', ''],
    [
      'too deep, in objects',
      `${'{"a":'.repeat(20)}"CANARY"${'}'.repeat(20)}`,
      `${'{"a":'.repeat(8)}{}${'}'.repeat(8)}`,
    ],
    ['too deep, in lists', `${'['.repeat(20)}"CANARY"${']'.repeat(20)}`, `${'['.repeat(9)}${']'.repeat(9)}`],
  ])('%s', (_, text, shown) => {
    expect(shape(text)).toBe(shown);
  });
});

describe('credentials that cannot be sent', () => {
  test('keep, under their names, what refuses them', () => {
    const need = {
      registry,
      scheme: 'bearer',
      realm: `${registry}/token`,
      service: null,
      scopes: [],
      challenged: [],
      repository: null,
      anonymous: false,
    } as const;
    const policy = completePolicy();
    for (const credential of [
      { type: 'password', username: 'alice', password: 'p4ss\u0007-CANARY' },
      { type: 'password', username: 'alice', password: 'p4ss\ud800-CANARY' },
      { type: 'password', username: 'CANARY:token', password: 'CANARY:token' },
      { type: 'password', username: '', password: '' },
      { type: 'identity', token: '' },
      { type: 'identity', token: 'CANARY\u007f' },
    ] as const satisfies Credential[]) {
      const begun = beginExchange(need, credential, policy);
      const recorder = new Recorder(request, policy, null);
      recorder.exchangeBegan(1, 1, need, credential, { principal: 1, clientId: 'reg' }, begun);
      const [recorded] = recorder.transcript().steps;
      if (recorded?.phase !== 'begin' || recorded.credential === null) throw new Error('not begun');
      expect(canary(JSON.stringify(recorded))).toBeNull();
      expect(beginExchange(need, recorded.credential, policy)).toEqual(begun);
    }
  });

  test('a password sent to the registry itself is hidden as well', () => {
    const op = operation();
    op.answer(response(401, [['www-authenticate', 'Basic realm="p4ss-CANARY"']]));
    if (op.state.phase !== 'obtaining') throw new Error('not obtaining');
    op.answer({
      type: 'granted',
      at: 3,
      reuse: 'cached',
      grant: {
        authorization: { scheme: 'basic', username: 'alice', password: new Secret('p4ss-CANARY', registry) },
        registry,
        realm: null,
        service: null,
        principal: 1,
        from: 'credential',
        asked: [],
        granted: parseScopes('repository:a/b:pull'),
        obtainedAt: 1,
        expiresAt: null,
      },
    });
    expect(op.recorder.transcript().steps[1]).toMatchObject({
      answer: { grant: { granted: [{ type: 'repository', name: 'a/b', actions: ['pull'] }] } },
    });
    expect(canary(JSON.stringify(op.recorder.transcript()))).toBeNull();
  });
});
