/**
 * `reg logout`: what is stored for a registry is forgotten, wherever it is.
 *
 * Rules of this file: all places are looked through before and after, and what is left is told, with why it was; a place that
 * cannot be written to does not keep the others from forgetting. Not to be logged in is no error.
 */

import { toVisible } from '@reg/core';
import { CredentialsError, eraseCredential } from '../credentials/keep.ts';
import { namedTarget } from '../credentials/name.ts';
import { ownHelper } from '../credentials/own.ts';
import { type Place, placeFor, shownPlace } from '../credentials/place.ts';
import { ownFileFor, type Stored, type StoredEntry, storedCredentials } from '../credentials/stored.ts';
import { filesFor } from '../registry/files.ts';
import type { CommonOptions, FileOptions } from '../registry/options.ts';
import { clearTokens, storeAt } from '../registry/store.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { type ExitCode, exitCode } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor } from '../terminal/paint.ts';

export interface LogoutOptions extends FileOptions, CommonOptions {
  readonly all?: boolean;
  readonly purgeCache?: boolean;
  readonly output: 'text' | 'json';
}

/** What became of one registry, or a namespace of one. */
interface Outcome {
  readonly registry: string;
  readonly erased: readonly Kept[];
  readonly left: readonly (Kept & {
    /** For people. */
    readonly why: string;
  })[];
}

/** Where something is kept. */
interface Kept {
  /** A file, or `DOCKER_AUTH_CONFIG`. */
  readonly source: string;
  /** `pass` for `docker-credential-pass`; `null`: the file itself. */
  readonly helper: string | null;
}

/** `reg logout` */
export async function logout(
  registries: readonly string[],
  options: LogoutOptions,
  surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  const { env, stdout, stderr } = surroundings;
  const { all = false, purgeCache = false } = options;
  if (all && registries.length > 0) throw usage('--all is every registry, so none is named with it');
  if (!all && registries.length === 0)
    throw usage('a registry is missing', 'reg logout ghcr.io   # or --all');
  const named = registries.map((text) => namedTarget(text, {}, 'containers'));
  const targets = new Map(named.map(({ name, url }) => [name, url.host]));
  const { credentials: before, problems } = await storedCredentials(options, surroundings);
  const names = all ? [...new Set(before.map(({ registry }) => registry))] : [...targets.keys()];

  const outcomes: Outcome[] = [];
  for (const name of names) {
    surroundings.signal.throwIfAborted();
    outcomes.push(await forget(name, before, options, surroundings));
  }
  const unpurged = purgeCache ? await purge(all ? [undefined] : [...targets.values()], env) : null;
  const isPurged = purgeCache && unpurged === null;

  if (options.output === 'json') {
    stdout.write(jsonDocument({ registries: outcomes, purgedCache: isPurged }));
  } else if (options.quiet !== true) {
    const paint = paintFor(stderr, env, options.color);
    for (const { registry, erased, left } of outcomes) {
      const where = erased.map((kept) => shownKept(kept, env)).join(', ');
      if (erased.length > 0) stderr.write(`${paint('good', '✓')} ${registry}: forgotten in ${where}\n`);
      if (erased.length === 0 && left.length === 0) stderr.write(`reg: not logged in to ${registry}\n`);
      for (const namespace of namespacesOf(registry, before, names)) {
        stderr.write(`reg: ${namespace} is a login of its own: reg logout ${quote(namespace)}\n`);
      }
    }
    if (outcomes.length === 0) stderr.write('reg: not logged in anywhere\n');
    if (isPurged) stderr.write(`${paint('good', '✓')} kept tokens: forgotten\n`);
  }
  const unread = all ? problems.filter(({ kind }) => kind === 'unreadable') : [];
  return complain(outcomes, unread, unpurged, options, env);
}

/** Forgets the tokens of each host, or all. Resolves to what is wrong where some stay: what else was done is told first. */
async function purge(
  hosts: readonly (string | undefined)[],
  env: Surroundings['env'],
): Promise<Complaint | null> {
  try {
    for (const host of hosts) await clearTokens(storeAt(env), host);
    return null;
  } catch (error) {
    if (error instanceof Complaint) return error;
    throw error;
  }
}

async function forget(
  registry: string,
  before: readonly StoredEntry[],
  options: FileOptions,
  surroundings: Surroundings,
): Promise<Outcome> {
  const { path: _, flavor: __, ...owner } = filesFor(options, surroundings.env);
  const entries = before.filter((entry) => entry.registry === registry);
  const own = ownFileFor(options, surroundings.env);
  const unlisted = [
    ...(entries.every(({ source }) => source === own) ? [placeFor(options, surroundings.env)] : []),
    ...(own === null || entries.some(({ source }) => source === own)
      ? []
      : [{ ...owner, path: own, flavor: 'docker' } as const]),
  ];
  const others = [];
  for (const place of unlisted) others.push(await forgetUnlisted(registry, place));
  const reasons = new Map<string, string>();
  const done = new Set<string>();
  for (const { source, format } of entries) {
    if (done.has(source)) continue;
    done.add(source);
    if (format === 'variable' || format === 'flat') {
      reasons.set(source, fixed[format]);
      continue;
    }
    try {
      const files = { ...owner, path: source, flavor: format };
      await eraseCredential(registry, files);
      // Where this command is named as a helper, what stands beside its name would answer next.
      const isAsked = entries.some((entry) => entry.source === source && entry.helper === ownHelper);
      if (isAsked) await eraseCredential(registry, { ...files, withoutHelpers: [ownHelper] });
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error;
      reasons.set(source, error.message);
    }
  }
  const { credentials: after } = await storedCredentials(options, surroundings);
  const isLeft = (one: StoredEntry): boolean =>
    after.some(
      ({ source, key, helper }) => source === one.source && key === one.key && helper === one.helper,
    );
  return {
    registry,
    erased: [...others.flatMap(({ erased }) => erased), ...places(entries.filter((entry) => !isLeft(entry)))],
    left: [
      ...others.flatMap(({ left }) => left),
      ...places(entries.filter(isLeft)).map((kept) => ({
        ...kept,
        why: reasons.get(kept.source) ?? 'its helper keeps it',
      })),
    ],
  };
}

/** Each place once, however many names the registry has there. */
function places(entries: readonly StoredEntry[]): readonly Kept[] {
  const kept = new Map(entries.map(({ source, helper }) => [`${helper} ${source}`, { source, helper }]));
  return [...kept.values()];
}

/** What this command does not write to. */
const fixed = {
  variable: 'a variable of the shell is for the shell to change',
  flat: 'nobody has written this file since Docker 1.7, and nor does this command',
} as const;

/** A helper may keep what it does not list, and a file that cannot be read may hold anything. */
async function forgetUnlisted(registry: string, place: Place): Promise<Pick<Outcome, 'erased' | 'left'>> {
  // Docker's file has no namespaces.
  if (place.flavor === 'docker' && registry.includes('/')) return { erased: [], left: [] };
  try {
    const isErased = await eraseCredential(registry, place);
    return { erased: isErased ? [{ source: 'a helper', helper: null }] : [], left: [] };
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return { erased: [], left: [{ source: error.path, helper: null, why: error.fault }] };
  }
}

function shownKept({ source, helper }: Kept, env: Surroundings['env']): string {
  return `${shownPlace(source, env)}${helper === null ? '' : ` (docker-credential-${helper})`}`;
}

/** Namespaces of `registry` that are stored, and not forgotten with it. */
function namespacesOf(
  registry: string,
  before: readonly StoredEntry[],
  names: readonly string[],
): readonly string[] {
  const all = new Set(before.map((entry) => entry.registry));
  return [...all].filter((name) => name.startsWith(`${registry}/`) && !names.includes(name));
}

/** What is left is an error, after what was done; so is what could not be looked into. */
function complain(
  outcomes: readonly Outcome[],
  unread: Stored['problems'],
  unpurged: Complaint | null,
  { output }: LogoutOptions,
  env: Surroundings['env'],
): ExitCode | undefined {
  const left = outcomes.flatMap(({ registry, left }) => left.map((one) => ({ registry, ...one })));
  const faults = [
    ...left.map(
      ({ registry, why, ...kept }) =>
        `${registry} may still be in ${shownKept(kept, env)}: ${toVisible(why)}`,
    ),
    ...unread.map(
      ({ source, why }) => `what is in ${shownPlace(source, env)} is not known: ${toVisible(why)}`,
    ),
  ];
  if (faults.length === 0) {
    if (unpurged !== null && output === 'text') throw unpurged;
    return unpurged?.exitCode;
  }
  if (output === 'json') return exitCode.credentials;
  if (unpurged !== null) faults.push(unpurged.message);
  const [first] = left;
  const hint =
    first?.source === 'DOCKER_AUTH_CONFIG'
      ? 'unset DOCKER_AUTH_CONFIG'
      : `reg status${first === undefined ? '' : ` ${quote(first.registry)}`}`;
  throw new Complaint(exitCode.credentials, faults.join('; '), { hint });
}
