/** What the doctor makes of facts: tables, without a registry. */

import { blockedAddressCode } from '@reg/core';
import { describe, expect, test } from 'vitest';
import { failures } from '../../../packages/core/test/error-samples.ts';
import { aboutOf } from '../src/doctor/about.ts';
import {
  decideAccess,
  decideClock,
  decideGrant,
  decideUpload,
  type Skew,
  skewsIn,
} from '../src/doctor/checks/access.ts';
import { decideCors } from '../src/doctor/checks/cors.ts';
import { decideEntries, decideHelper } from '../src/doctor/checks/credentials.ts';
import { problemOf, waiting } from '../src/doctor/checks/failure.ts';
import { decidePing } from '../src/doctor/checks/handshake.ts';
import { connectionFault, decideConnection, decideRoute, decideTls } from '../src/doctor/checks/network.ts';
import type { CheckId, Decision, Fault } from '../src/doctor/finding.ts';
import type { CorsFacts } from '../src/doctor/gather/cors.ts';
import type { CredentialFacts } from '../src/doctor/gather/credentials.ts';
import type { NetworkFault, TlsFacts } from '../src/doctor/gather/network.ts';
import type { Answered, TokenFacts } from '../src/doctor/gather/requests.ts';
import { type Check, runChecks, withNeeds } from '../src/doctor/run.ts';
import { anyTarget } from '../src/registry/argument.ts';

const about = aboutOf(anyTarget('registry.example:5000/team/app', {}), {});
const pushing = aboutOf(anyTarget('registry.example:5000/team/app', {}), { push: true });

const causeOf = (decision: Decision | null): string | null =>
  decision !== null && 'cause' in decision ? decision.cause : null;

describe('the runner', () => {
  const check = (id: CheckId, needs: readonly CheckId[], decision: Decision): Check<null> => ({
    id,
    needs,
    look: () => decision,
  });
  const ok: Decision = { status: 'ok', summary: 'good' };
  const bad: Decision = {
    status: 'problem',
    summary: 'bad\u001b[2J',
    cause: 'dns-failed',
    fix: { text: 'x'.repeat(5_000), command: 'a\nb', line: null },
  };

  test('what needs a check with a problem is skipped, and so is what needs that', async () => {
    const findings = await runChecks(
      [
        check('dns.resolve', [], bad),
        check('tcp.connect', ['dns.resolve'], ok),
        check('tls.chain', ['tcp.connect'], ok),
        check('proxy.route', [], ok),
      ],
      null,
    );
    expect(findings.map(({ status, summary }) => [status, summary])).toEqual([
      ['problem', 'bad\\u{1b}[2J'],
      ['skipped', 'not looked at: it needs dns.resolve'],
      ['skipped', 'not looked at: it needs dns.resolve'],
      ['ok', 'good'],
    ]);
  });

  test('what does not apply keeps nothing from being looked at, and what cannot be said does', async () => {
    const here: Decision = { status: 'skipped', summary: 'not here' };
    const findings = await runChecks(
      [
        check('tls.chain', [], here),
        check('v2.ping', ['tls.chain'], ok),
        check('realm.reach', [], { ...here, blocks: true }),
        check('creds.accepted', ['realm.reach'], ok),
      ],
      null,
    );
    expect(findings.map(({ status }) => status)).toEqual(['skipped', 'ok', 'skipped', 'skipped']);
  });

  test('texts are visible and bounded, commands are one line', async () => {
    const [finding] = await runChecks([check('dns.resolve', [], bad)], null);
    expect(finding?.fix?.text.length).toBeLessThan(1_100);
    expect(finding?.fix?.command).toBe('a\\nb');
  });

  test('a check brings along all that it needs', () => {
    const checks = [
      check('dns.resolve', [], ok),
      check('tcp.connect', ['dns.resolve'], ok),
      check('tls.chain', ['tcp.connect'], ok),
      check('rate.limit', [], ok),
    ];
    expect([...withNeeds(checks, ['tls.chain'])].toSorted()).toEqual([
      'dns.resolve',
      'tcp.connect',
      'tls.chain',
    ]);
  });
});

describe('a failed handshake', () => {
  test.each(failures.map((failure) => [failure.kind, failure] as const))(
    '%s has a cause and a fix',
    (_, failure) => {
      const { status, summary, fix } = problemOf(failure, about);
      expect(status).toBe('problem');
      expect(summary).not.toContain('undefined');
      expect(fix.command ?? fix.line).not.toBeNull();
      // A query may hold a signature.
      expect(JSON.stringify(problemOf(failure, about))).not.toContain('QUERYSECRET');
    },
  );

  test.each([
    ['https://harbor.corp/service/token', 'external_url: https://registry.example:5000   # harbor.yml'],
    ['https://gitlab.corp/jwt/auth', "external_url 'https://gitlab.corp'   # gitlab.rb"],
    ['https://auth.corp/auth', 'auth.token.realm: https://auth.corp/auth   # config.yml of the registry'],
  ])('the line for the realm of %s is that of its product', (https, line) => {
    const realm = https.replace('https:', 'http:');
    const registry = 'https://registry.example:5000';
    const failure = { kind: 'realm-forbidden', registry, realm, reason: 'not-https' } as const;
    expect(problemOf(failure, about)).toMatchObject({ cause: 'realm-plain-http', fix: { line } });
  });
});

test('a realm that names nothing is called so', () => {
  const registry = 'https://registry.example:5000';
  const failure = { kind: 'realm-forbidden', registry, realm: '', reason: 'unparsable' } as const;
  expect(problemOf(failure, about).summary).toMatch(/^a realm that is empty: /);
});

test('a challenge without a realm lacks no quotes', () => {
  const failure = {
    kind: 'challenge-unusable',
    url: 'https://registry.example:5000/v2/',
    reason: 'no-realm',
    offered: ['bearer'],
    problems: [],
  } as const;
  const { cause, fix } = problemOf(failure, about);
  expect(cause).toBe('challenge-malformed');
  expect(fix.text).toContain('name its token server');
  expect(fix.text).not.toContain('quotes');
});

describe('connections', () => {
  const end = new URL('https://registry.example:5000');
  const fault = (code: string, phase: NetworkFault['phase'] = 'tls', message = code): NetworkFault => ({
    phase,
    code,
    message,
  });

  test.each([
    [fault('ETIMEDOUT', 'body'), 'connection-timeout'],
    [fault('ENOTFOUND', 'lookup'), 'dns-failed'],
    [fault('EAI_AGAIN', 'lookup'), 'dns-failed'],
    [fault('ECONNREFUSED', 'connect'), 'connection-refused'],
    [fault('ETIMEDOUT', 'connect'), 'connection-timeout'],
    [fault('EHOSTUNREACH', 'connect'), 'connection-timeout'],
    [fault('CERT_HAS_EXPIRED'), 'certificate-expired'],
    [fault('CERT_NOT_YET_VALID'), 'certificate-not-yet-valid'],
    [fault('ERR_TLS_CERT_ALTNAME_INVALID'), 'certificate-wrong-host'],
    [fault('DEPTH_ZERO_SELF_SIGNED_CERT'), 'unknown-authority'],
    [fault('SELF_SIGNED_CERT_IN_CHAIN'), 'unknown-authority'],
    [fault('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'unknown-authority'],
    [fault('ERR_REG_CERTS'), 'certs-unusable'],
    [fault('ERR_SSL_WRONG_VERSION_NUMBER'), 'registry-speaks-http'],
    [fault('EPROTO', 'tls', 'packet length too long'), 'registry-speaks-http'],
    [fault('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'head'), 'client-certificate-wanted'],
    [fault('ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'tls', 'ssl/tls alert handshake failure'), null],
    [fault('EPROTO', 'tls', 'sslv3 alert bad certificate'), 'client-certificate-wanted'],
    [
      fault('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'tls', 'tlsv1 alert protocol version'),
      'tls-version-too-old',
    ],
    [fault('ERR_SSL_UNSUPPORTED_PROTOCOL', 'tls', 'unsupported protocol'), 'tls-version-too-old'],
    [fault('ECONNRESET', 'head'), null],
  ])('%j', (given, cause) => {
    expect(causeOf(connectionFault(given, end, about))).toBe(cause);
  });

  test('a token server where nobody is sent on the word of another is one to trust, or not', () => {
    const failure = {
      kind: 'network',
      url: 'https://auth.example/token',
      to: 'authority',
      phase: 'lookup',
      code: blockedAddressCode,
      message: 'auth.example stands for 127.0.0.1, loopback address',
    } as const;
    expect(problemOf(failure, about)).toMatchObject({
      cause: 'realm-untrusted',
      fix: { command: 'reg trust add registry.example:5000 https://auth.example' },
    });
  });

  test('of an answer that does not end the limit is named', () => {
    const slow = fault('ETIMEDOUT', 'body', 'not done within 60 s');
    expect(connectionFault(slow, end, about)).toMatchObject({
      summary: 'registry.example:5000 does not come to an end with its answer',
      evidence: ['registry.example:5000: not done within 60 s (ETIMEDOUT)'],
    });
  });

  test('what fails through a proxy is the proxy', () => {
    const route = { kind: 'proxy', proxy: 'http://proxy.corp:3128', variable: 'HTTPS_PROXY' } as const;
    const decision = decideConnection({ ms: 3, fault: fault('ERR_PROXY_TUNNEL', 'connect') }, route, about);
    expect(decision).toMatchObject({
      cause: 'proxy-in-the-way',
      fix: { command: 'export NO_PROXY="$NO_PROXY",registry.example' },
    });
  });

  test('a variable that names no proxy', () => {
    const message = 'https_proxy holds no URL of a proxy';
    expect(decideRoute({ kind: 'unusable', variable: 'https_proxy', message })).toMatchObject({
      cause: 'proxy-unusable',
      fix: { command: 'unset https_proxy' },
    });
  });

  const now = Date.UTC(2026, 10, 23);
  const tls = (names: readonly string[], days = 90): TlsFacts => ({
    fault: null,
    certificate: {
      subject: 'CN=registry.example',
      issuer: 'CN=Corp CA',
      names,
      from: now - 86_400_000,
      to: now + days * 86_400_000,
      top: 'CN=Corp CA',
    },
    authority: null,
    folder: '/home/a/.docker/certs.d/registry.example:5000',
    caFile: null,
    route: { kind: 'direct', why: 'no proxy is set' },
    speaksHttp: null,
    hadKeys: false,
  });

  test.each([
    [15, 'ok'],
    [14, 'warning'],
    [1, 'warning'],
  ])('a certificate with %i days left is %s', (days, status) => {
    expect(decideTls(tls(['registry.example'], days), about, now)).toMatchObject({ status });
  });

  test('a wrong name is mended by one that the certificate has, quoted where a shell would read it', () => {
    const wrong = fault('ERR_TLS_CERT_ALTNAME_INVALID');
    const named = { ...tls(['*.corp', 'harbor.corp']), fault: wrong };
    expect(decideTls(named, about, now)).toMatchObject({
      fix: {
        command: 'reg doctor harbor.corp:5000/team/app',
        line: 'subjectAltName = DNS:registry.example',
      },
    });
    const hostile = { ...tls(["$(id)'$&"]), fault: wrong };
    const { fix } = decideTls(hostile, about, now) as Decision & {
      readonly fix: { readonly command: string };
    };
    expect(fix.command).toBe("reg doctor '$(id)'\\''$&:5000/team/app'");
  });

  test('of a --ca-file, which stands for all authorities, it is the file that is to be another', () => {
    const given = { ...tls([]), caFile: 'my ca.crt', fault: fault('SELF_SIGNED_CERT_IN_CHAIN') };
    const asked = aboutOf(anyTarget('registry.example:5000', {}), { caFile: 'my ca.crt' });
    expect(decideTls(given, asked, now)).toMatchObject({
      cause: 'unknown-authority',
      fix: { command: 'reg doctor registry.example:5000 --ca-file FILE' },
    });
  });

  test('behind a proxy, that one is named: it may be what signs', () => {
    const route = { kind: 'proxy', proxy: 'http://proxy.corp:3128', variable: 'HTTPS_PROXY' } as const;
    const facts = { ...tls([]), route, fault: fault('SELF_SIGNED_CERT_IN_CHAIN') };
    const decision = decideTls(facts, about, now);
    expect(decision).toMatchObject({
      cause: 'unknown-authority',
      evidence: expect.arrayContaining(['through the proxy http://proxy.corp:3128 (HTTPS_PROXY)']),
      fix: { text: expect.stringContaining('http://proxy.corp:3128') },
    });
  });

  test('what is neither http nor TLS is not said to be http', () => {
    const facts = { ...tls([]), certificate: null, fault: fault('ERR_SSL_WRONG_VERSION_NUMBER') };
    expect(decideTls({ ...facts, speaksHttp: true }, about, now)).toMatchObject({
      cause: 'registry-speaks-http',
    });
    expect(decideTls({ ...facts, speaksHttp: false }, about, now)).toMatchObject({
      cause: 'not-a-registry',
      summary: 'registry.example:5000 speaks neither http nor TLS',
    });
  });

  describe('of a token server', () => {
    const auth = new URL('https://auth.example:5001');

    test.each([
      ['CERT_HAS_EXPIRED'],
      ['ERR_TLS_CERT_ALTNAME_INVALID'],
      ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE'],
    ])('what mends %s is about its host, and not about the registry', (code) => {
      const facts = { ...tls(['idp.example']), certificate: null, folder: null, fault: fault(code) };
      const { fix, summary } = connectionFault(fault(code), auth, about, facts, now) ?? expect.unreachable();
      expect(`${fix.text} ${fix.line}`).toContain('auth.example');
      for (const text of [fix.text, fix.line, fix.command, summary]) {
        expect(text ?? '').not.toMatch(/registry\.example|config\.yml|reg doctor|the registry wants/);
      }
    });
  });

  test('the folder of an authority is where it is looked for', () => {
    const unknown = { ...tls([]), fault: fault('UNABLE_TO_VERIFY_LEAF_SIGNATURE') };
    expect(decideTls(unknown, about, now)).toMatchObject({
      fix: {
        command:
          'mkdir -p /home/a/.docker/certs.d/registry.example:5000 && cp FILE /home/a/.docker/certs.d/registry.example:5000/ca.crt',
      },
    });
  });
});

describe('clocks', () => {
  // In the middle of a second, as a moment is on average.
  const at = Date.UTC(2026, 10, 23, 12) + 500;
  const answered = (about: Partial<Answered> = {}): Answered => ({
    url: 'https://registry.example:5000/v2/',
    head: null,
    failure: null,
    problems: [],
    responses: [],
    tokens: [],
    identified: true,
    policy: null,
    ...about,
  });
  const saying = (ms: number) => ({
    type: 'response' as const,
    at,
    head: { status: 401, headers: [['date', new Date(at + ms).toUTCString()] as const] },
    problems: [],
    body: null,
  });
  const issuing = (ms: number) => ({
    url: 'https://auth.example/token',
    answer: {
      type: 'token-response' as const,
      at,
      sentAt: at,
      head: { status: 200, headers: [['date', new Date(at + ms).toUTCString()] as const] },
      text: '{}',
      retryAfterMs: null,
    },
  });
  const refused = {
    kind: 'denied',
    url: 'https://registry.example:5000/v2/',
    status: 401,
    reason: 'token-refused',
    asked: '',
    challenged: '',
    granted: null,
    anonymous: false,
    problems: [],
  } as const;

  test.each([
    [0, 0, false, 'ok', null],
    [59_000, 59_000, false, 'ok', null],
    [74_000, 74_000, false, 'warning', 'ahead of'],
    [90_000, 90_000, true, 'warning', 'ahead of'],
    [0, 90_000, true, 'problem', 'the token server is 1 min 30 s ahead of'],
    [-90_000, 0, true, 'problem', 'the registry is 1 min 30 s behind'],
    [0, 90_000, false, 'warning', 'the token server is 1 min 30 s ahead of'],
  ])('registry %i ms, token server %i ms, refused: %j', (registry, authority, isRefused, status, words) => {
    const one = answered({
      responses: [saying(registry)],
      tokens: [issuing(authority)],
      failure: isRefused ? refused : null,
    });
    const decision = decideClock(skewsIn([one], null), [one]);
    expect(decision.status).toBe(status);
    if (words !== null) expect(decision.summary).toContain(words);
  });

  const claims = { issuer: null, subject: null, audience: [], access: null, others: [] };
  const token = (issuedAt: number, expiresAt: number, endsAt: number): TokenFacts => ({
    asked: '',
    granted: null,
    failure: null,
    expiresAt: endsAt,
    claims: { ...claims, issuedAt, notBefore: issuedAt, expiresAt },
  });
  const byToken = (facts: TokenFacts): readonly number[] => {
    const skews: readonly Skew[] = skewsIn([answered({ tokens: [issuing(0)] })], facts);
    return skews.filter(({ by }) => by === 'the token').map(({ ms }) => Math.round(ms / 1_000));
  };

  test('a token that is not valid yet', () => {
    expect(byToken(token(at + 89_500, at + 389_500, at + 300_000))).toContain(90);
  });

  test('a token that is made on demand and is old', () => {
    expect(byToken(token(at - 90_000, at + 210_000, at + 300_000))).toEqual([-90]);
  });

  test('a token that its server keeps for a while says nothing of its clock', () => {
    expect(byToken(token(at - 90_000, at + 210_000, at + 60_000))).toEqual([]);
  });
});

describe('grants', () => {
  const asked = 'repository:team/app:pull,push';
  const got = (granted: string | null): TokenFacts => ({
    asked,
    granted,
    claims: null,
    expiresAt: null,
    failure: null,
  });

  test.each([
    [asked, 'ok', null],
    ['repository:team/app:pull,push,delete', 'ok', null],
    [null, 'ok', null],
    ['repository:team/app:pull', 'problem', 'token-lacks-push'],
    // Who may not even pull is told so by the repository itself.
    ['', 'warning', 'repository-missing-or-denied'],
    ['repository:team/other:pull,push', 'warning', 'repository-missing-or-denied'],
  ])('asked for push, got %j', (granted, status, cause) => {
    const decision = decideGrant(got(granted), { may: true, identified: true }, pushing);
    expect([decision.status, causeOf(decision)]).toEqual([status, cause]);
  });

  test('who is nobody is told to sign in, and an account to have access given', () => {
    const fixFor = (identified: boolean) => {
      const decision = decideGrant(got(''), { may: false, identified }, about);
      return 'fix' in decision ? decision.fix?.text : undefined;
    };
    expect(fixFor(false)).toMatch(/sign in with an account that has access/);
    expect(fixFor(true)).toMatch(/have its owner give your account access/);
  });
});

describe('a repository', () => {
  const answer = (status: number, code: string): Answered => ({
    url: 'https://registry.example:5000/v2/team/app/tags/list',
    head: { status, headers: [] },
    failure: null,
    problems: [{ code, message: '' }],
    responses: [],
    tokens: [],
    identified: true,
    policy: null,
  });
  const missing = answer(404, 'NAME_UNKNOWN');

  test.each([
    [about, missing, false, 'repository-missing-or-denied'],
    [about, answer(404, 'MANIFEST_UNKNOWN'), false, 'image-missing'],
    [pushing, missing, false, 'repository-missing-or-denied'],
    // A push makes it.
    [pushing, missing, true, null],
    [about, answer(401, ''), false, 'repository-missing-or-denied'],
    [about, answer(403, ''), false, 'repository-missing-or-denied'],
    [about, answer(502, ''), false, 'registry-error'],
    [about, answer(200, ''), false, null],
  ])('%#', (asked, pull, canPush, cause) => {
    expect(causeOf(decideAccess({ pull, ping: pull, clockIsOff: false, canPush }, asked))).toBe(cause);
  });
});

describe('an answer that is no use', () => {
  const answered = (about: Partial<Answered>): Answered => ({
    url: 'https://registry.example:5000/v2/team/app/tags/list',
    head: null,
    failure: null,
    problems: [],
    responses: [],
    tokens: [],
    identified: true,
    policy: null,
    ...about,
  });
  const asking = (pull: Answered) => ({ pull, ping: pull, clockIsOff: false, canPush: false });
  const response = (status: number, ...headers: readonly (readonly [string, string])[]) => ({
    type: 'response' as const,
    at: 0,
    head: { status, headers },
    problems: [],
    body: null,
  });

  test('a web page in the place of the tags', () => {
    const head = { status: 200, headers: [['content-type', 'text/html; charset=utf-8'] as const] };
    expect(decideAccess(asking(answered({ head })), about)).toMatchObject({
      status: 'problem',
      cause: 'not-a-registry',
    });
  });

  test('a registry that lists no tags can be used all the same', () => {
    const head = { status: 405, headers: [] };
    expect(decideAccess(asking(answered({ head })), about)).toMatchObject({ status: 'skipped' });
  });

  test('a new token that the registry calls invalid', () => {
    const failure = {
      kind: 'denied',
      url: 'https://registry.example:5000/v2/team/app/tags/list',
      status: 401,
      reason: 'token-refused',
      asked: '',
      challenged: '',
      granted: null,
      anonymous: false,
      problems: [],
    } as const;
    const challenge = 'Bearer realm="https://auth.example/token",service="x",error="invalid_token"';
    const responses = [response(401, ['www-authenticate', challenge])];
    expect(decideAccess(asking(answered({ failure, responses })), about)).toMatchObject({
      cause: 'token-not-accepted',
      evidence: expect.arrayContaining(['error: invalid_token']),
    });
    const other = [response(401, ['www-authenticate', challenge.replace(',error="invalid_token"', '')])];
    expect(causeOf(decideAccess(asking(answered({ failure, responses: other })), about))).toBe(
      'repository-missing-or-denied',
    );
  });

  const direct = { kind: 'direct', why: 'no proxy is set' } as const;

  test.each([
    [response(403), 'problem'],
    [response(403, ['docker-distribution-api-version', 'registry/2.0']), 'warning'],
  ])('a /v2/ that is forbidden is not as it should be (%#)', (first, status) => {
    expect(decidePing(answered({ responses: [first] }), direct, about)).toMatchObject({
      status,
      cause: 'ping-forbidden',
    });
  });
});

describe('a token server that grants all or nothing', () => {
  const refusal = { kind: 'token-refused', realm: 'https://auth.example/token', status: 403 } as const;
  const failure = { ...refusal, registry: about.registry.origin, asked: '', anonymous: false, problems: [] };
  const token: TokenFacts = {
    asked: 'repository:team/app:pull,push',
    granted: null,
    claims: null,
    expiresAt: null,
    failure,
  };

  test.each([
    [true, 'token-lacks-push'],
    [false, 'repository-missing-or-denied'],
  ])('who may pull: %j', (mayPull, cause) => {
    expect(causeOf(decideGrant(token, { may: mayPull, identified: true }, pushing))).toBe(cause);
  });
});

test('what is asked to wait that is over, or longer than anybody waits, is not waited for', () => {
  for (const ms of [null, -5_000, 0, 400 * 86_400_000]) {
    const { text, command } = waiting(ms, false, about);
    expect(text).toBe('wait: limits end after minutes or hours');
    expect(command).not.toContain('sleep');
  }
  expect(waiting(1, false, about).command).toMatch(/^sleep 1; reg doctor /);
});

describe('uploads', () => {
  const begun = (location: string | null, status = 202) => ({
    begun: {
      url: 'https://registry.example:5000/v2/team/app/blobs/uploads/',
      head: { status, headers: [] },
      failure: null,
      problems: [],
      responses: [],
      tokens: [],
      identified: true,
      policy: null,
    },
    location,
    ended: true,
  });

  test.each([
    ['https://registry.example:5000/v2/x?_state=SECRET', 202, null],
    ['http://registry.example:5000/v2/x?_state=SECRET', 202, 'upload-location-downgraded'],
    [null, 405, 'upload-refused'],
    [null, 403, 'token-lacks-push'],
    [null, 404, 'repository-missing-or-denied'],
    [null, 429, 'rate-limited'],
    [null, 503, 'registry-error'],
    [null, 202, 'upload-location-missing'],
  ])('%j with %i', (location, status, cause) => {
    const decision = decideUpload(begun(location, status), pushing);
    expect(causeOf(decision)).toBe(cause);
    expect(JSON.stringify(decision)).not.toContain('SECRET');
  });

  test.each([405, 503, 202])('what is looked at after %i is the push', (status) => {
    const { fix } = decideUpload(begun(null, status), pushing) as Fault;
    expect(fix.command).toBe('reg trace registry.example:5000/team/app --push');
  });

  test('a limit says how long it is waited for', () => {
    const facts = begun(null, 429);
    const head = { status: 429, headers: [['retry-after', '7'] as const] };
    const decision = decideUpload({ ...facts, begun: { ...facts.begun, head } }, pushing);
    expect(decision).toMatchObject({
      summary: '429: too many requests, wait 7 s',
      fix: { command: expect.stringMatching(/^sleep 7; reg doctor /) },
    });
  });
});

describe('web pages', () => {
  const page = 'https://app.example';
  const whole = {
    'access-control-allow-origin': page,
    'access-control-expose-headers': 'Docker-Content-Digest, www-authenticate',
    'access-control-allow-headers': 'Accept, Authorization',
  };
  type Headers = Readonly<Record<string, string>>;
  const facts = (
    plain: Headers,
    preflight: Headers,
    status = 204,
    who: 'registry' | 'token server' = 'registry',
  ): CorsFacts => {
    const answer = (request: string, code: number, headers: Headers) => ({
      who,
      request: `${request} https://registry.example:5000/v2/`,
      status: code,
      headers: Object.entries(headers),
    });
    return {
      origin: page,
      answers: [{ plain: answer('GET', 401, plain), preflight: answer('OPTIONS', status, preflight) }],
    };
  };
  const without = (name: keyof typeof whole): Headers =>
    Object.fromEntries(Object.entries(whole).filter(([header]) => header !== name));

  test.each([
    [facts(whole, whole), null],
    [facts({ ...whole, 'access-control-allow-origin': '*' }, whole), null],
    [facts(without('access-control-allow-origin'), whole), `Access-Control-Allow-Origin: ${page}`],
    [
      facts({ ...whole, 'access-control-allow-origin': 'https://other.example' }, whole),
      `Access-Control-Allow-Origin: ${page}`,
    ],
    [
      facts(without('access-control-expose-headers'), whole),
      'Access-Control-Expose-Headers: WWW-Authenticate',
    ],
    [facts({ ...whole, 'access-control-expose-headers': '*' }, whole), null],
    [facts(without('access-control-expose-headers'), whole, 204, 'token server'), null],
    // Two of them are none.
    [
      {
        ...facts(whole, whole),
        answers: facts(whole, whole).answers.map(({ plain, preflight }) => ({
          plain: { ...plain, headers: [...plain.headers, ['access-control-allow-origin', '*'] as const] },
          preflight,
        })),
      },
      'proxy_hide_header Access-Control-Allow-Origin;',
    ],
    // Q75
    [facts(whole, whole, 401), 'if ($request_method = OPTIONS) { return 204; }'],
    [facts(whole, without('access-control-allow-origin')), `Access-Control-Allow-Origin: ${page}`],
    [facts(whole, without('access-control-allow-headers')), 'Access-Control-Allow-Headers: Authorization'],
    // Requirement 144: `*` does not stand for Authorization.
    [
      facts(whole, { ...whole, 'access-control-allow-headers': '*' }),
      'Access-Control-Allow-Headers: Authorization',
    ],
  ])('%#', (given, line) => {
    const decision = decideCors(given, 'registry.example:5000');
    expect('fix' in decision ? decision.fix.line : null).toBe(line);
  });

  test.each([401, 405])(
    'a preflight that is answered %i is not mended by a header that is there',
    (status) => {
      const decision = decideCors(facts(whole, whole, status), 'registry.example:5000') as Fault;
      expect(decision).toMatchObject({ cause: 'cors-preflight-refused' });
      expect(decision.fix.text).toMatch(/OPTIONS.*204.*before/);
      expect(decision.fix.text).not.toContain('add this line');
    },
  );

  test('of a header that comes twice, one is to be taken away', () => {
    const [first] = facts(whole, whole).answers;
    const { plain, preflight } = first ?? expect.unreachable();
    const headers = [...plain.headers, ['access-control-allow-origin', page] as const];
    const given = { origin: page, answers: [{ plain: { ...plain, headers }, preflight }] };
    const decision = decideCors(given, 'registry.example:5000') as Fault;
    expect(decision).toMatchObject({ cause: 'cors-header-repeated' });
    expect(decision.fix.text).toContain('take one away');
  });
});

describe('credentials', () => {
  const facts = (about: Partial<CredentialFacts>): CredentialFacts => ({
    from: 'stored',
    trail: [],
    first: null,
    fault: null,
    found: null,
    end: null,
    ...about,
  });

  test.each([
    ['helper-missing', null],
    ['helper-failing', 'docker-credential-vault list'],
    ['helper-hanging', 'timeout 10 docker-credential-vault list'],
  ] as const)('%s: the program, and the line that names it', (kind, command) => {
    const fault = {
      kind,
      source: '/home/a/.docker/config.json',
      helper: 'docker-credential-vault',
      named: { setting: '"credsStore": "vault"', line: 4 },
      message: 'did not answer within 5 s',
    };
    expect(decideHelper(facts({ fault }), about)).toMatchObject({
      status: 'problem',
      cause: kind,
      fix: { command, line: '"credsStore": "vault"   # /home/a/.docker/config.json:4' },
    });
  });

  test('a conflict says whom each tool would be', () => {
    const conflict = {
      docker: { username: 'alice', source: 'config.json' },
      podman: { username: null, source: 'auth.json' },
    };
    expect(decideEntries({ conflict, ambiguous: null }, facts({}), about)).toMatchObject({
      evidence: ['Docker takes config.json (alice)', 'Podman and Skopeo take auth.json'],
      fix: {
        command:
          'reg logout registry.example:5000 && reg login registry.example:5000 -u NAME --password-stdin < FILE',
      },
    });
  });
});

test.each([
  ['registry.example', {}, 'registry.example'],
  ['registry.example', { plainHttp: true }, 'http://registry.example'],
  ['http://registry.example', {}, 'http://registry.example'],
])('what is trusted for %s %j is the origin that was looked at', (text, options, name) => {
  const { commands } = aboutOf(anyTarget(text, options), options);
  expect(commands.trust('https://auth.example')).toBe(`reg trust add ${name} https://auth.example`);
});

test.each([
  ['registry.example:5000/team/app', { plainHttp: true }, 'registry.example:5000/team/app'],
  ['http://registry.example:5000', {}, 'registry.example:5000'],
  ['localhost:5000/team/app', {}, 'https://localhost:5000'],
])('over https %s %j is %s', (text, options, shown) => {
  expect(aboutOf(anyTarget(text, options), options).commands.https).toBe(`reg doctor ${shown}`);
});
