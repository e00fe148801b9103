/**
 * The attack cases that `realm.ts` and `redirect.ts` decide.
 *
 * Every case of `data/attacks.json` is accounted for: judged here by its machine-checkable facts, set aside by a named rule
 * whose opposite is checked, or counted for the part of the project that decides it. Each case names its source. A fact
 * that this file does not know fails the case that states it. Where facts speak of headers and requests, this file proves
 * the verdict they rest on; that a verdict is obeyed is proved by `attacks-flow.test.ts`.
 */

import { afterAll, describe, expect, test } from 'vitest';
import { completePolicy } from '../src/policy.ts';
import { judgeRealm, type RealmVerdict } from '../src/realm.ts';
import { judgeRedirect, type RedirectVerdict } from '../src/redirect.ts';
import { type AttackCase, attacks, elsewhere, listOf, membersOf } from './attack-cases.ts';

interface Hop {
  readonly to?: string;
  readonly status: number;
  readonly location?: string;
  readonly www_authenticate?: readonly string[];
}

/** A case about a realm or a redirect. */
interface Target extends AttackCase {
  readonly input: {
    readonly registry: string;
    readonly www_authenticate?: readonly string[];
    readonly chain?: readonly Hop[];
    readonly credential?: unknown;
    readonly [other: string]: unknown;
  };
}

const policy = completePolicy();

const targets = ['realm-url', 'realm-trust', 'redirect'];

/** Whether a verdict on a realm or a redirect decides the case. */
function isTarget(attack: AttackCase): attack is Target {
  const { input } = attack;
  return (
    targets.includes(attack.category) &&
    // A ready token needs no realm; a layer's own URL is another origin than the registry.
    input['registry_token'] === undefined &&
    input['blob_url'] === undefined &&
    // A token endpoint's redirect is not judged: none is followed.
    membersOf(listOf(input['chain'])[0])['to'] !== 'token'
  );
}

interface SetAside {
  readonly name: string;
  readonly reason: string;
  readonly count: number;
  applies(attack: Target): boolean;
  /** Holds because our policy differs; what the case fears beyond the difference is still refused. */
  opposite(attack: Target): void;
}

const setAside: readonly SetAside[] = [
  {
    name: 'same host, other port',
    reason: 'the owner of a host owns its https ports: both https and no loopback is one party',
    count: 1,
    applies: ({ input, assert }) => {
      if (assert['error'] !== 'REALM_UNTRUSTED') return false;
      const registry = new URL(input.registry);
      return realmsOf(input).every((realm) => {
        const url = URL.canParse(realm) ? new URL(realm) : registry;
        return url.hostname === registry.hostname && url.port !== registry.port && url.protocol === 'https:';
      });
    },
    opposite: (attack) => {
      const [verdict] = judgeAll(attack, true);
      expect(verdict?.release).toEqual({ allow: true, reason: 'same-host' });
    },
  },
  {
    name: 'anonymous token from any realm',
    reason:
      'without a credential a token may be asked for: it says nothing that the registry could not ask for itself',
    count: 1,
    applies: ({ input, assert }) =>
      input['stored_credentials'] !== undefined && assert['token_sent_to'] !== undefined,
    opposite: (attack) => {
      const [anonymous] = judgeAll(attack, false);
      expect(anonymous?.release).toEqual({ allow: true, reason: 'no-credential' });
      const [authenticated] = judgeAll(attack, true);
      expect(authenticated?.release).toEqual({ allow: false, reason: 'unrelated' });
    },
  },
];

/** Our reasons for each error name of the file. Several checks may fit one input; any of them will do. */
const errors: { readonly [name: string]: readonly string[] } = {
  REALM_SCHEME_DOWNGRADE: ['not-https'],
  REALM_ADDRESS_BLOCKED: ['loopback', 'link-local', 'unspecified', 'metadata', 'host-alias', 'embedded'],
  REALM_SCHEME: ['scheme'],
  REALM_USERINFO: ['userinfo'],
  REALM_INVALID_URL: ['unparsable', 'bad-authority'],
  REALM_UNTRUSTED: ['unrelated', 'bad-authority'],
  CHALLENGE_NO_REALM: ['unparsable'],
  REDIRECT_DOWNGRADE: ['downgrade'],
  REDIRECT_SCHEME: ['scheme'],
  REDIRECT_LIMIT: ['hops'],
};

/** The realm as it stands in the header: what the grammar makes of a backslash in it is proved with the grammar. */
function realmsOf(input: { readonly www_authenticate?: readonly string[] }): string[] {
  return (input.www_authenticate ?? []).map((line) => line.split('realm="')[1]?.split('"')[0] ?? '');
}

function judgeAll({ input }: Target, credential: boolean): RealmVerdict[] {
  const registry = `${input.registry}/v2/a/b/manifests/latest`;
  return realmsOf(input).map((realm) => judgeRealm(realm, { registry, credential }, policy));
}

const isReleased = ({ contact, release }: RealmVerdict): boolean => contact.allow && release.allow;

function checkRealm(attack: Target): void {
  const credential = attack.input.credential !== null;
  const verdicts = judgeAll(attack, credential);
  expect(verdicts.length).toBeGreaterThan(0);
  const released = verdicts.filter(isReleased);
  const printed = JSON.stringify(verdicts);
  for (const [fact, expected] of Object.entries(attack.assert)) {
    switch (fact) {
      case 'outcome':
        if (expected === 'reject') expect(released).toEqual([]);
        else expect(released.length).toBeGreaterThan(0);
        break;
      case 'requests_to_realm':
        expect(released.length).toBe(expected);
        break;
      case 'error':
        for (const { contact, release } of verdicts) {
          expect(errors[String(expected)]).toContain(contact.allow ? release.reason : contact.reason);
        }
        break;
      case 'credential_sent_to':
        expect(released.map(({ url }) => url?.origin)).toEqual(expected);
        break;
      case 'authorization_sent':
        expect(released.map(({ release }) => release.reason)).toEqual(['no-credential']);
        break;
      case 'canonical_host':
        expect(released.map(({ url }) => url?.host)).toEqual([expected]);
        break;
      case 'request_query_must_contain':
        // Parameters are added to the query, which no fragment may hide.
        expect(printed).not.toContain('#');
        break;
      case 'output_must_contain':
        for (const text of expected as string[]) expect(printed).toContain(text);
        break;
      case 'output_must_not_contain':
        for (const text of expected as string[]) expect(printed).not.toContain(text);
        break;
      default:
        expect.unreachable(`no check for the fact ${fact}`);
    }
  }
}

interface Walk {
  readonly at: string;
  readonly hops: number;
  readonly crossed: boolean;
  readonly refused: RedirectVerdict | null;
}

/** Follows the chain as a GET; a loop is followed round and round until it is refused. */
function walk({ input, assert }: Target): Walk {
  const locations = (input.chain ?? []).flatMap(({ status, location }) =>
    location ? [{ status, location }] : [],
  );
  const rounds = assert['max_hops'] === undefined ? 1 : 100;
  let state: Walk = { at: `${input.registry}/v2/a/b/blobs/x`, hops: 0, crossed: false, refused: null };
  for (const { status, location } of Array<typeof locations>(rounds).fill(locations).flat()) {
    const about = { from: state.at, method: 'GET', status, hops: state.hops, body: 'none' } as const;
    const judged = judgeRedirect(location, about, policy);
    if (!judged.verdict.allow || judged.url === null) return { ...state, refused: judged };
    const crossed = state.crossed || !judged.sameOrigin;
    state = { at: judged.url.href, hops: state.hops + 1, crossed, refused: null };
  }
  return state;
}

function checkRedirect(attack: Target): void {
  const { at, hops, crossed, refused } = walk(attack);
  // A challenge of the host that was reached is that host's own (requirement 93).
  const challenge = attack.input.chain?.find((hop) => hop.www_authenticate !== undefined);
  const answers = realmsOf(challenge ?? {}).map((realm) => {
    return judgeRealm(realm, { registry: at, credential: true }, policy);
  });
  for (const [fact, expected] of Object.entries(attack.assert)) {
    switch (fact) {
      case 'outcome':
        if (challenge !== undefined) expect(answers.filter(isReleased)).toEqual([]);
        else expect(refused === null).toBe(expected === 'accept');
        break;
      case 'error':
        expect(errors[String(expected)]).toContain(refused?.verdict.reason);
        break;
      case 'headers_absent_at_target':
        expect(crossed).toBe(true);
        break;
      case 'token_sent_to':
        expect(answers.filter(isReleased)).toEqual(expected);
        break;
      case 'max_hops':
        expect(hops).toBe(expected);
        break;
      default:
        expect.unreachable(`no check for the fact ${fact}`);
    }
  }
}

const others = new Map<string, number>();
const mine: Target[] = [];
for (const attack of attacks.cases) {
  const place = elsewhere(attack) ?? (isTarget(attack) ? null : 'packages/core/test/attacks-flow.test.ts');
  if (place !== null) others.set(place, (others.get(place) ?? 0) + 1);
  else if (isTarget(attack)) mine.push(attack);
}
const judged = mine.filter((attack) => !setAside.some((rule) => rule.applies(attack)));

describe('attack cases', () => {
  test.each(judged)('$id: $title', (attack) => {
    if (attack.input.chain === undefined) checkRealm(attack);
    else checkRedirect(attack);
  });

  describe.each(setAside)('set aside: $name, since $reason', (rule) => {
    const applying = mine.filter((attack) => rule.applies(attack));
    test.each(applying)('$id: $title', (attack) => {
      rule.opposite(attack);
    });

    test(`${rule.count} of them`, () => {
      expect(applying.length).toBe(rule.count);
    });
  });

  test('every case is accounted for', () => {
    expect(attacks.cases.length).toBe(attacks.count);
    expect({
      judged: judged.length,
      setAside: mine.length - judged.length,
      elsewhere: attacks.count - mine.length,
    }).toEqual({
      judged: 52,
      setAside: 2,
      elsewhere: 127,
    });
  });

  afterAll(() => {
    const places = [...others].map(([place, n]) => `${n} ${place}`).join(', ');
    console.info(
      `attack cases: ${judged.length} judged here, ${mine.length - judged.length} set aside; decided elsewhere: ${places}`,
    );
  });
});
