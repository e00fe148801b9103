import { classifyAddress, classifyHost, isBlocked } from '../../src/address.ts';
import { parseChallenges } from '../../src/challenge.ts';
import type { HandshakeAnswer, RegistrySend } from '../../src/effect.ts';
import { beginExchange, stepExchange } from '../../src/exchange.ts';
import type { Authorization, Grant, Need } from '../../src/grant.ts';
import { start, step } from '../../src/handshake.ts';
import { completePolicy, defaultPolicy, type Policy } from '../../src/policy.ts';
import { judgeRealm } from '../../src/realm.ts';
import { judgeRedirect } from '../../src/redirect.ts';
import { endpoint, parseReference } from '../../src/reference.ts';
import { reveal, Secret } from '../../src/secret.ts';
import { blockedAddress } from '../../src/target.ts';
import { describeTopic, type Rule, type Vector } from './harness.ts';

/** `{R}` stands for the host and port of a test server, `127.0.0.1:{A}` for one that must be on loopback. */
function placed(text: string): string {
  const port = (name: string): number => 5_000 + [...name].reduce((sum, char) => sum + char.charCodeAt(0), 0);
  return text
    .replaceAll(/127\.0\.0\.1:\{(\w+)\}/g, (_, name: string) => `127.0.0.1:${port(name)}`)
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => `${name.toLowerCase()}.test:${port(name)}`);
}

/** Where a peer sends us, and who it is. */
interface Question {
  readonly target: string;
  readonly from: string;
}

const nobody = 'registry.invalid';

function questionOf({ op, input }: Vector): Question | null {
  switch (op) {
    case 'validate-realm':
      return {
        target: input.text('realm'),
        from: schemed(input.value('insecure'), input.text('registry_host') || nobody),
      };
    case 'validate-foreign-url':
      return { target: input.text('url'), from: schemed(input.value('insecure'), nobody) };
    case 'check-redirect':
      // The rule of that client looks at hosts alone, so the peer speaks what the target speaks.
      return {
        target: input.text('to'),
        from: schemed(
          input.text('to').startsWith('http:'),
          input.value('from_host') === null ? nobody : input.text('from_host'),
        ),
      };
    case 'allow-redirect':
      return { target: input.text('to'), from: input.text('from') };
    case 'upload-location':
      return { target: input.text('location'), from: input.text('request_url') };
    case 'token-server-redirect':
      return { target: placed(input.text('redirects_to')), from: placed(input.text('from')) };
    default:
      return null;
  }
}

function schemed(insecure: unknown, host: string): string {
  return `${insecure === true ? 'http' : 'https'}://${host}/`;
}

/** A policy under which these URLs may speak http. */
function leaveFor(...urls: readonly string[]): Policy {
  return completePolicy({ insecureHosts: urls.map((url) => new URL(url).host) });
}

function contacts(vector: Vector): unknown {
  const { target, from } = asked(vector);
  const { contact } = judgeRealm(target, { registry: from, credential: false }, leaveFor(from));
  return { allowed: contact.allow };
}

function follows(vector: Vector): unknown {
  const { target, from } = asked(vector);
  const { verdict } = judgeRedirect(target, { from, method: 'GET', hops: 0, body: 'none' }, defaultPolicy);
  return { allowed: verdict.allow };
}

function asked(vector: Vector): Question {
  const question = questionOf(vector);
  if (question === null) throw new Error(`${vector.id} asks about no target`);
  return question;
}

const isDowngrade = ({ target, from }: Question): boolean =>
  from.startsWith('https:') && target.startsWith('http:');

/** A case about a target, with the class of its host. */
function leadsTo(vector: Vector, holds: (question: Question, host: string) => boolean): boolean {
  const question = questionOf(vector);
  if (question === null || !URL.canParse(question.target)) return false;
  return holds(question, classifyHost(new URL(question.target).hostname));
}

interface Journey {
  readonly sent: readonly { readonly url: string; readonly authorization: string | null }[];
  readonly tokenRequests: readonly { readonly url: string; readonly authorization: string | null }[];
  readonly status: number | null;
}

interface World {
  /** What a request is answered with; `bare` when it carried no authorization. */
  readonly answer: (url: string, bare: boolean) => { status: number; challenge?: string; location?: string };
  /** The user's, for the registry. */
  readonly authorization: (registry: string) => Authorization;
  /** What token servers give to nobody. */
  readonly anonymousToken: string;
}

/** One GET through both machines. */
function travel(url: string, policy: Policy, world: World): Journey {
  const sent: { url: string; authorization: string | null }[] = [];
  const tokenRequests: { url: string; authorization: string | null }[] = [];
  let state = start({ method: 'GET', url, headers: [], body: 'none' }, policy);
  while ('awaiting' in state) {
    if (state.awaiting.type === 'send') {
      sent.push({ url: state.awaiting.url, authorization: headerOf(state.awaiting) });
      state = step(state, reply(state.awaiting, world));
    } else {
      state = step(state, obtain(state.awaiting.need, policy, world, tokenRequests));
    }
  }
  return { sent, tokenRequests, status: state.phase === 'answered' ? state.head.status : null };
}

function reply({ url, authorization }: RegistrySend, world: World): HandshakeAnswer {
  const { status, challenge, location } = world.answer(url, authorization === null);
  const headers = [
    ...(challenge === undefined ? [] : [['www-authenticate', challenge] as const]),
    ...(location === undefined ? [] : [['location', location] as const]),
  ];
  return { type: 'response', at: 0, head: { status, headers }, problems: [] };
}

function obtain(
  need: Need,
  policy: Policy,
  world: World,
  tokenRequests: Journey['tokenRequests'][number][],
): HandshakeAnswer {
  if (!need.anonymous) {
    const grant: Grant = {
      authorization: world.authorization(need.registry),
      registry: need.registry,
      realm: need.realm,
      service: need.service,
      principal: 1,
      from: 'credential',
      asked: need.scopes,
      granted: null,
      obtainedAt: 0,
      expiresAt: null,
    };
    return { type: 'granted', at: 0, grant, reuse: 'fresh' };
  }
  let state = beginExchange(need, null, policy);
  while ('awaiting' in state) {
    tokenRequests.push({
      url: state.awaiting.url.split('?', 1).join(''),
      authorization: headerOf(state.awaiting),
    });
    const text = JSON.stringify({ token: world.anonymousToken });
    state = stepExchange(state, {
      type: 'token-response',
      at: 0,
      sentAt: 0,
      head: { status: 200, headers: [] },
      text,
      retryAfterMs: null,
    });
  }
  if (state.phase === 'failed') return { type: 'refused', at: 0, failure: state.failure };
  return { type: 'granted', at: 0, grant: state.grant, reuse: 'fresh' };
}

function headerOf({
  url,
  authorization,
}: {
  url: string;
  authorization: Authorization | null;
}): string | null {
  if (authorization === null) return null;
  return authorization.scheme === 'basic' ? 'Basic' : `Bearer ${reveal(authorization.token, url)}`;
}

function afterRedirect({ input, expect }: Vector): unknown {
  const url = placed(input.text('url'));
  const target = new URL(placed(input.text('redirects_to')), url);
  const { origin } = new URL(url);
  const basic = input.text('auth') === 'Basic';
  const challenge = basic ? 'Basic realm="test"' : `Bearer realm="${origin}/token",service="test"`;
  const journey = travel(url, leaveFor(url, target.href), {
    answer: (at, bare) => {
      if (new URL(at).origin === origin && bare) return { status: 401, challenge };
      return at === url
        ? { status: input.number('status'), location: placed(input.text('redirects_to')) }
        : { status: 200 };
    },
    authorization: (registry) =>
      basic
        ? { scheme: 'basic', username: 'u', password: new Secret('p', registry) }
        : { scheme: 'bearer', token: new Secret('t', registry) },
    anonymousToken: 'anonymous',
  });
  const last = journey.sent.at(-1);
  return {
    authorization_sent_to_target: last?.url === target.href && last.authorization !== null,
    ...(expect.has('final_status') ? { final_status: journey.status } : {}),
  };
}

/** The request begins at the registry, which takes the held token and sends it on to where it is now. */
function challengedElsewhere({ input, expect }: Vector): unknown {
  const now = placed(input.text('request_now_at'));
  const url = `http://${input.text('registry')}/v2/foo/bar/manifests/latest`;
  const { origin } = new URL(url);
  const given = expect.has('token_response') ? Object(expect.value('token_response')).token : 'anonymous';
  const { sent, tokenRequests, status } = travel(url, leaveFor(url, now), {
    answer: (at, bare) => {
      if (at === url && bare) return { status: 401, challenge: `Bearer realm="${origin}/token"` };
      if (at === url) return { status: 307, location: now };
      return bare ? { status: 401, challenge: placed(input.text('challenge')) } : { status: 200 };
    },
    authorization: (registry) => ({
      scheme: 'bearer',
      token: new Secret(input.text('held_token'), registry),
    }),
    anonymousToken: String(given),
  });
  const last = sent.filter((request) => request.url === now).at(-1)?.authorization ?? null;
  if (!expect.has('token_request')) return { authorization_sent_to_challenger: last };
  return { token_request: tokenRequests[0], retry_authorization: last, final_status: status };
}

function foreign(name: string, reason: string, ...ops: readonly string[]): Rule {
  return { name, reason, kind: 'foreign', applies: ({ op }) => ops.includes(op) };
}

const allowed = (ours: unknown): boolean => Object(ours).allowed === true;

describeTopic('redirects', {
  operations: {
    'validate-realm': { ours: contacts },
    'realm-policy': {
      ours: ({ input }) => {
        const url = placed(input.text('request_url'));
        const [challenge] = parseChallenges(placed(input.text('challenge'))).challenges;
        const realm = challenge?.params['realm'] ?? '';
        return {
          refused: !judgeRealm(realm, { registry: url, credential: false }, leaveFor(url)).contact.allow,
        };
      },
      theirs: ({ expect }) => ({ refused: expect.has('error') && expect.value('error') !== null }),
    },
    'check-redirect': { ours: follows },
    // A URL in a manifest is as much a peer's word as a realm.
    'validate-foreign-url': { ours: contacts },
    'allow-redirect': { ours: follows },
    'token-server-redirect': { ours: follows },
    'upload-location': {
      ours: (vector) => {
        const { target, from } = asked(vector);
        const { url, verdict } = judgeRedirect(
          target,
          { from, method: 'GET', hops: 0, body: 'none' },
          defaultPolicy,
        );
        return { allowed: verdict.allow, ...(vector.expect.has('url') ? { url: url?.href } : {}) };
      },
      theirs: ({ expect }) => ({
        allowed: !expect.has('error'),
        ...(expect.has('url') ? { url: expect.text('url') } : {}),
      }),
    },
    'is-local': {
      ours: ({ input }) => {
        const host = input.text('host');
        return {
          local: isBlocked(classifyAddress(host) ?? classifyHost(new URL(`https://${host}`).hostname)),
        };
      },
    },
    'authorization-on-redirect': { ours: afterRedirect },
    'challenge-after-redirect': {
      ours: challengedElsewhere,
      theirs: ({ expect }) => JSON.parse(placed(JSON.stringify(expect.without('token_response')))),
    },
    'registry-url': {
      ours: ({ input }) => ({
        url: endpoint(parseReference(input.text('tag')), 'ping').origin + input.text('path'),
      }),
    },
  },
  rules: [
    foreign('dial-address', 'what an HTTP client dials is the transport’s', 'canonical-address'),
    foreign(
      'scheme-fallback',
      'no other scheme is tried after one failed (CVE-2014-5277)',
      'is-port-error',
      'ping-fallback',
    ),
    foreign('log-format', 'how that client prints a URL into its logs', 'redact-url'),
    {
      name: 'no-redirect',
      reason: 'the request itself, which its caller chose, is no redirect to judge',
      kind: 'foreign',
      applies: (vector) =>
        vector.op === 'check-redirect' &&
        vector.expect.value('allowed') === true &&
        leadsTo(vector, ({ target, from }) => blockedAddress(new URL(target), new URL(from)) !== null),
    },
    {
      name: 'private-ranges',
      reason:
        'registries and their token servers live in private ranges; blocking these broke self-hosted ones',
      kind: 'policy',
      applies: (vector) =>
        (vector.expect.value('allowed') === false || vector.expect.has('error')) &&
        leadsTo(vector, (question, host) => host === 'private' && !isDowngrade(question)),
      differs: allowed,
    },
    {
      name: 'no-downgrade',
      reason: 'what is asked for over https is never sent on over http, not even to the same host (Q53)',
      kind: 'policy',
      applies: (vector) => vector.expect.value('allowed') === true && leadsTo(vector, isDowngrade),
      differs: (ours) => !allowed(ours),
    },
    {
      name: 'loopback-neighbour',
      reason:
        'a server on loopback may send us to its neighbour, which gets nothing of what was the server’s',
      kind: 'policy',
      applies: (vector) =>
        (vector.op === 'check-redirect' || vector.op === 'token-server-redirect') &&
        vector.expect.value('allowed') === false &&
        leadsTo(
          vector,
          ({ from }, host) => host === 'loopback' && classifyHost(new URL(from).hostname) === 'loopback',
        ),
      differs: allowed,
    },
  ],
  pins: {
    cases: 84,
    rules: {
      'dial-address': 11,
      'scheme-fallback': 4,
      'log-format': 8,
      'no-redirect': 1,
      'private-ranges': 4,
      'no-downgrade': 1,
      'loopback-neighbour': 1,
    },
  },
});
