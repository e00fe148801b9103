/**
 * `reg ratelimit`: what is left of a registry's rate limit, with and without the credential.
 *
 * Rules of this file: it asks by HEAD for a manifest, which Docker Hub does not count, afresh each time. A registry that says
 * nothing of a limit has none that anybody could print: that is told, and is no failure.
 */

import { isIP } from 'node:net';
import { formatReference, type HeaderList, toVisible } from '@reg/core';
import type { Keychain } from '@reg/core/driver';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import { type Again, againFor, type ReferenceTarget, referenceTarget } from '../registry/argument.ts';
import { manifestTypes, openClient } from '../registry/client.ts';
import { type GivenCredential, givenCredential } from '../registry/given.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { Complaint } from '../report/complaint.ts';
import { duration } from '../report/duration.ts';
import { jsonDocument } from '../report/json.ts';
import type { Surroundings } from '../surroundings.ts';
import { table } from '../terminal/table.ts';

export interface RatelimitOptions extends NetworkOptions {
  readonly output: 'text' | 'json';
}

/** The image that Docker Hub has for this (docs.docker.com, "Docker Hub pull usage and limits"). */
const hubProbe = 'docker.io/ratelimitpreview/test:latest';

/** `reg ratelimit` */
export async function ratelimit(
  repository: string | undefined,
  options: RatelimitOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = referenceTarget(repository ?? hubProbe, 'manifest', options);
  const again = againFor('ratelimit', target, options);
  const given = await givenCredential(options, surroundings, again.command);
  const holder = options.anonymous === true ? null : await holderOf(target, options, given, surroundings);
  const measured = await Promise.all(
    [null, ...(holder === null ? [] : [holder])].map((as) =>
      measure(as, { target, options, given, again, surroundings }),
    ),
  );
  surroundings.stdout.write(
    options.output === 'json'
      ? jsonDocument({ repository: nameOf(target), limits: measured.map(documentOf) })
      : renderLimits(target.registry, measured),
  );
  // To somebody with a credential it is no news that nobody gets in without one.
  const complaint = measured.at(-1)?.complaint ?? null;
  if (complaint !== null) throw complaint;
}

/** Who has a credential, and where it was found. */
interface Holder {
  readonly user: string;
  readonly source: string;
  /** Knows what was found, so that no helper is asked twice. */
  readonly keychain: Keychain | null;
}

/** What a registry said of its limit to one who asked. */
export interface Measured {
  /** `null`: asked without a credential. */
  readonly holder: Holder | null;
  /** HTTP status of the answer; `null` without one. */
  readonly status: number | null;
  readonly limit: number | null;
  readonly remaining: number | null;
  /** In which so many are allowed. */
  readonly windowSeconds: number | null;
  readonly resetAt: Date | null;
  /** What Docker Hub counts by. The address itself is the user's own, and for no log (requirement 155). */
  readonly countedBy: 'address' | 'account' | null;
  /** Why nothing could be asked, or `null`. */
  readonly complaint: Complaint | null;
}

interface Measuring {
  readonly target: ReferenceTarget;
  readonly options: RatelimitOptions;
  readonly given: GivenCredential | null;
  readonly again: Again;
  readonly surroundings: Surroundings;
}

/** Who would be asked for; `null` when nobody has a credential for it. One that cannot be had is told by who uses it. */
async function holderOf(
  { url, reference }: ReferenceTarget,
  options: RatelimitOptions,
  given: GivenCredential | null,
  surroundings: Surroundings,
): Promise<Holder | null> {
  if (given !== null) return { user: given.username, source: given.source, keychain: null };
  const { keychainAt } = await import('../registry/keychain.ts');
  const keychain = keychainAt(options, surroundings);
  try {
    const found = await keychain.find(url.origin, reference.repository, { signal: surroundings.signal });
    if (found === null || found.credential === null) return null;
    const { credential, source } = found;
    return {
      user: credential.type === 'password' ? credential.username : `${credential.type} token`,
      source,
      keychain: {
        find: async (origin, repository, about) =>
          origin === url.origin && about?.rejected === undefined
            ? found
            : keychain.find(origin, repository, about),
      },
    };
  } catch {
    return { user: 'your credential', source: 'not to be had', keychain: null };
  }
}

async function measure(holder: Holder | null, about: Measuring): Promise<Measured> {
  const { target, again, given, surroundings } = about;
  const options = holder === null ? { ...about.options, anonymous: true } : about.options;
  const client = await openClient({
    registry: target.url,
    options,
    given: holder === null ? null : given,
    surroundings,
    bodies: false,
    store: false,
    ...(holder?.keychain && { keychain: holder.keychain }),
  });
  try {
    const accept = [['accept', manifestTypes]] as const;
    const delivered = await client.request({ method: 'HEAD', url: target.url, headers: accept });
    await delivered.raw.discard();
    const { status, headers } = delivered.head;
    return {
      holder,
      status,
      ...readLimits(headers, Date.now()),
      complaint: complaintAbout(delivered, again),
    };
  } catch (error) {
    const complaint = complaintFrom(error, again);
    if (!(complaint instanceof Complaint)) throw error;
    return { holder, status: null, ...readLimits([], 0), complaint };
  } finally {
    client.close();
  }
}

type Limits = Omit<Measured, 'holder' | 'status' | 'complaint'>;

/**
 * `RateLimit-Limit: 100;w=21600` and its like (requirement 151; draft-ietf-httpapi-ratelimit-headers-03, also with `X-` before).
 *
 * @param now epoch milliseconds
 */
export function readLimits(headers: HeaderList, now: number): Limits {
  const field = (name: string): string | null =>
    headers.find(([known]) => known === `ratelimit-${name}` || known === `x-ratelimit-${name}`)?.[1] ?? null;
  const [limit, remaining, reset] = [field('limit'), field('remaining'), field('reset')].map(wholeAt);
  const source = headers.find(([name]) => name === 'docker-ratelimit-source')?.[1] ?? null;
  return {
    limit: limit ?? null,
    remaining: remaining ?? null,
    windowSeconds: windowIn(field('limit')) ?? windowIn(field('remaining')),
    resetAt: reset == null ? null : timeOf(reset, now),
    countedBy: source === null || source === '' ? null : isIP(source) > 0 ? 'address' : 'account',
  };
}

/** The whole number that `text` begins with. */
function wholeAt(text: string | null): number | null {
  const digits = /^\s{0,9}(\d{1,15})(?=$|[\s;,])/.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

/** `w=` of the first member of a list. */
function windowIn(text: string | null): number | null {
  const [, ...parameters] = (text ?? '').slice(0, 256).split(';');
  const value = parameters
    .map((parameter) => parameter.trim())
    .find((parameter) => parameter.startsWith('w='));
  return wholeAt(value?.slice('w='.length) ?? null);
}

/** Seconds from now; GitHub and others write the time itself, in seconds since 1970. */
function timeOf(reset: number, now: number): Date | null {
  const at = reset > 1_000_000_000 ? reset * 1_000 : now + reset * 1_000;
  return at <= 8.64e15 ? new Date(at) : null;
}

function nameOf({ reference }: ReferenceTarget): string {
  const { registry, repository } = reference;
  return formatReference({ registry, repository });
}

/** A line for each who asked; one sentence for a registry that says nothing. */
export function renderLimits(registry: string, measured: readonly Measured[]): string {
  if (
    measured.every(
      ({ limit, remaining, complaint }) => limit === null && remaining === null && complaint === null,
    )
  ) {
    return `${registry} says nothing of a rate limit\n`;
  }
  const rows = measured.map((one) => [toVisible(one.holder?.user ?? 'anonymous'), ...wordsFor(one)]);
  return table(rows);
}

function wordsFor({
  status,
  limit,
  remaining,
  windowSeconds,
  resetAt,
  countedBy,
  complaint,
}: Measured): readonly string[] {
  if (limit === null && remaining === null) {
    if (complaint === null) return ['no limit is told'];
    return [status === null ? 'no answer' : `answered ${status}`];
  }
  const window = windowSeconds === null ? '' : ` in ${duration(windowSeconds * 1_000)}`;
  const rest = [
    ...(countedBy === null ? [] : [`counted by ${countedBy}`]),
    ...(resetAt === null ? [] : [`new at ${resetAt.toISOString()}`]),
  ];
  return [
    remaining === null ? '' : `${remaining} left`,
    limit === null ? '' : `of ${limit}${window}`,
    rest.join(', '),
  ];
}

function documentOf({ holder, resetAt, complaint, ...limits }: Measured): object {
  return {
    username: holder?.user ?? null,
    source: holder?.source ?? null,
    ...limits,
    resetAt: resetAt?.toISOString() ?? null,
    error: complaint?.message ?? null,
  };
}
