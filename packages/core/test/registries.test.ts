/**
 * Challenges that registries were seen to send (`data/registries.json`): each is read, as the record of its registry says,
 * and strictly but where `Qnn` of the quirks names the fault.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../src/challenge.ts';
import { parseScopes } from '../src/scope.ts';

interface Sample {
  readonly registry: string;
  readonly lines: readonly string[];
  readonly schemes: string;
  readonly realm: string | null;
  readonly service: string | null;
}

/** The samples that break the grammar: which quirk says so, and in how many places. */
const malformed = new Map<string, readonly [quirk: string, problems: number]>([
  [
    'Bearer realm=https://cp.icr.io/oauth/token, service=registry, scope=repository:cp/ibm-ceph/ceph-8-rhel9:pull',
    ['Q07', 2],
  ],
  ['basic realm=<realm unquoted>', ['Q08', 1]],
  ['bearer realm=<realm unquoted>', ['Q08', 1]],
]);

/** The samples that are not what their record says of the registry, and why. */
const otherwise = new Map<string, string>([
  ['Basic realm="harbor"', 'Q13: Basic after a Bearer ping'],
  ['Bearer realm="http://my.registry.company.com/v2//service/token",service="harbor-registry"', 'Q16, Q17'],
  ['Basic realm="<issuer>"', 'of the token server, not of the registry'],
  [
    'Bearer realm="https://uk-london-1.ocir.io/12345678/docker/token",service="uk-london-1.ocir.io",scope=""',
    'another API version in the path',
  ],
  [
    'Bearer realm="https://dockerauth.cn-hangzhou.aliyuncs.com/auth",service="registry.aliyuncs.com:cn-hangzhou:china:cri-example123:2a"',
    'an enterprise instance',
  ],
  [
    'Bearer realm="https://harbor-community.tencentcloudcr.com/service/token",service="harbor-registry"',
    'a Harbor',
  ],
  [
    'Bearer realm="http://192.168.2.244:3000/v2/token",service="container_registry",scope="*", Basic realm="Gitea Container Registry"',
    'on http',
  ],
]);

const samples = readSamples();

describe('challenges of known registries', () => {
  it.each(samples)('$registry: $lines', ({ lines, schemes, realm, service }) => {
    const { challenges, problems } = parseChallenges(lines);
    const [, places] = malformed.get(lines.join(', ')) ?? ['', 0];
    expect(problems).toHaveLength(places);
    expect(challenges.some(({ lenient }) => lenient)).toBe(places > 0);
    const [main] = challenges;
    expect(main?.params['realm']).toBeTruthy();
    const as =
      schemes.includes(main?.scheme ?? '-') &&
      fits(main?.params['realm'], realm) &&
      fits(main?.params['service'], service);
    expect(as).toBe(!otherwise.has(lines.join(', ')));
  });

  it('has every exception among the samples', () => {
    const seen = new Set(samples.map(({ lines }) => lines.join(', ')));
    expect([...malformed.keys(), ...otherwise.keys()].filter((line) => !seen.has(line))).toEqual([]);
  });

  it('finds both challenges of Forgejo in one field and of Gitea in two lines (Q02, Q03)', () => {
    const gitea = samples.filter(
      ({ registry, lines }) => registry.startsWith('Gitea') && lines.join().includes('Basic'),
    );
    expect(gitea.map(({ lines }) => parseChallenges(lines).challenges.map(({ scheme }) => scheme))).toEqual([
      ['bearer', 'basic'],
      ['bearer', 'basic'],
    ]);
  });

  it('reads every scope they ask for, placeholders and all (Q09, Q14)', () => {
    const scopes = samples.flatMap(({ lines }) =>
      parseChallenges(lines).challenges.flatMap(({ params }) => params['scope'] ?? []),
    );
    const opaque = new Set(
      scopes.flatMap(parseScopes).flatMap((scope) => ('opaque' in scope ? [scope.opaque] : [])),
    );
    expect([...opaque].sort()).toEqual([
      '*',
      'artifact-repository:repo:pull',
      'aws',
      'repository:<name>:<action>',
    ]);
  });
});

function readSamples(): readonly Sample[] {
  const registries: unknown = JSON.parse(
    readFileSync(new URL('data/registries.json', import.meta.url), 'utf8'),
  );
  if (!Array.isArray(registries)) throw new TypeError('registries.json holds no array');
  return registries.flatMap((record: Readonly<Record<string, unknown>>) => {
    const { name, scheme, realm, service, www_authenticate_samples: fields } = record;
    if (!Array.isArray(fields)) throw new TypeError(`${name} has no samples`);
    return fields.map((field) => ({
      registry: String(name),
      lines: linesOf(String(field)),
      schemes: String(scheme),
      realm: typeof realm === 'string' ? realm : null,
      service: typeof service === 'string' ? service : null,
    }));
  });
}

/** The notes of the record in round brackets are no part of the field; `+ second line` parts two. */
function linesOf(field: string): readonly string[] {
  return field.replace(/ {2}\(.*\)$/, '').split(' + second line ');
}

/** Whether a value is what the record says: `<host>` is any host, and what describes in words fits everything. */
function fits(value: string | undefined, record: string | null): boolean {
  if (
    value === undefined ||
    record === null ||
    /e\.g\.|configured|client id|^\.\.\.|<the request URL/.test(record)
  )
    return true;
  const parts = record.split(/<[^>]*>/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`).test(value);
}
