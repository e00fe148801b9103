/**
 * `reg status`: every stored credential, where it is, who uses it and until when.
 *
 * Rules of this file: no secret is read that need not be, and none is shown; without `--check` nothing leaves this machine and no
 * helper is asked for more than its list. What would be used comes before what it shadows.
 */

import { toVisible } from '@reg/core';
import type { Keychain } from '@reg/core/driver';
import { CredentialsError, defaultKeychain, dockerKeychain } from '../credentials/keep.ts';
import { type Named, namedTarget } from '../credentials/name.ts';
import { shownPlace } from '../credentials/place.ts';
import {
  type StoredEntry as Entry,
  ownProgram,
  type Stored,
  storedCredentials,
  type User,
} from '../credentials/stored.ts';
import { verify } from '../credentials/verify.ts';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import { againFor, registryTarget } from '../registry/argument.ts';
import { openClient } from '../registry/client.ts';
import { readConnection } from '../registry/connection.ts';
import { filesFor } from '../registry/files.ts';
import type { CommonOptions, ConnectionOptions, FileOptions } from '../registry/options.ts';
import { Complaint, renderComplaint, usage } from '../report/complaint.ts';
import { duration } from '../report/duration.ts';
import { type ExitCode, exitCode } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Paint, paintFor, widthOf } from '../terminal/paint.ts';
import { progressFor } from '../terminal/progress.ts';

export interface StatusOptions extends FileOptions, ConnectionOptions, CommonOptions {
  readonly check?: boolean;
  readonly output: 'text' | 'json';
}

/** What became of a credential at its registry. */
interface Checked {
  /** `untested`: the registry asks nobody who they are. */
  readonly result: 'accepted' | 'refused' | 'untested' | 'failed';
  readonly code: ExitCode;
  /** For people. */
  readonly message: string | null;
  readonly hint: string | null;
}

interface Row {
  readonly entry: Entry;
  /** `null` where it was not tried. */
  readonly checked: Checked | null;
}

/** Two tools that come to different entries for one registry. */
interface Difference {
  readonly registry: string;
  readonly docker: Entry;
  readonly podman: Entry;
}

/** `reg status` */
export async function status(
  registry: string | undefined,
  options: StatusOptions,
  surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  const { env, stdout, stderr } = surroundings;
  const named = registry === undefined ? null : namedTarget(registry, options, 'containers');
  const name = named?.name ?? null;
  if (options.check === true) await checkOptions(named, options);
  const { credentials, problems } = await storedCredentials(options, surroundings);
  const selected = credentials.filter(
    (entry) => name === null || entry.registry === name || entry.registry.startsWith(`${name}/`),
  );
  const unreadable = problems.filter(({ kind }) => kind === 'unreadable');
  if (name !== null && selected.length === 0 && unreadable.length === 0) {
    throw new Complaint(exitCode.unauthenticated, `not logged in to ${name}`, {
      code: 'credential-missing',
      hint: `reg login ${quote(name)}`,
    });
  }
  const rows =
    options.check === true
      ? await checkAll(selected, named?.url ?? null, options, surroundings)
      : selected.map(unchecked);
  const differences = differencesIn(selected);

  if (options.output === 'json') {
    stdout.write(jsonDocument(statusJson(rows, differences, problems)));
  } else if (rows.length > 0) {
    const paint = paintFor(stdout, env, options.color);
    const page = { env, paint, now: Date.now(), check: options.check === true, width: widthOf(stdout) };
    stdout.write(renderStatus(rows, page));
  }
  const say = (text: string): void => void stderr.write(`${text}\n`);
  if (options.output === 'text' && options.quiet !== true) {
    if (rows.length === 0 && unreadable.length === 0) say('reg: no credentials are stored');
    for (const { registry, docker, podman } of differences) {
      say(
        `warning: for ${registry} docker uses ${shownEntry(docker, env)}, podman and skopeo use ${shownEntry(podman, env)}`,
      );
    }
    for (const { source, why } of problems) say(`warning: ${shownPlace(source, env)}: ${toVisible(why)}`);
  }
  const failed = rows.flatMap(({ entry, checked }) =>
    checked?.message == null ? [] : [{ entry, ...checked, message: checked.message }],
  );
  if (options.output === 'text') {
    const [paint, width] = [paintFor(stderr, env, options.color), widthOf(stderr)];
    for (const { entry, code, message, hint } of failed) {
      const what = `${entry.registry}, from ${shownEntry(entry, env)}: ${message}`;
      stderr.write(renderComplaint(new Complaint(code, what), hint ?? 'reg status', paint, width));
    }
    if (failed.length === 0 && unreadable.length > 0) say(`${paint('faint', 'hint: ')}reg help auth-files`);
  }
  const codes = failed.map(({ code }) => code);
  if (codes.includes(exitCode.unauthenticated)) return exitCode.unauthenticated;
  return codes[0] ?? (unreadable.length > 0 ? exitCode.credentials : undefined);
}

function unchecked(entry: Entry): Row {
  return { entry, checked: null };
}

/** One complaint about what holds for every credential, before anybody is asked. */
async function checkOptions(named: Named | null, options: StatusOptions): Promise<void> {
  await readConnection(options);
  if (named !== null) return;
  const { plainHttp = false, insecure = false, cert, trustRealm = [] } = options;
  const forOne = [
    ...(plainHttp ? ['--plain-http'] : []),
    ...(insecure ? ['--insecure'] : []),
    ...(cert === undefined ? [] : ['--cert']),
    ...(trustRealm.length === 0 ? [] : ['--trust-realm']),
  ];
  const [first] = forOne;
  if (first === undefined) return;
  // The credentials of all the others would be sent in the open, or to whoever answers.
  throw usage(`${first} is for one registry, and none is named`, `reg status REGISTRY --check ${first}`);
}

/** At once: a registry that hangs keeps few others waiting. */
const AT_ONCE = 4;

/** Longer than a helper may take, and a token server after it. */
const CHECK_MS = 60_000;

/** Tries each credential that somebody would use; the others answer for nothing. */
async function checkAll(
  entries: readonly Entry[],
  named: URL | null,
  options: StatusOptions,
  surroundings: Surroundings,
): Promise<readonly Row[]> {
  const running = progressFor(surroundings, options).start('asking registries');
  const rows = entries.map(unchecked);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i];
      if (entry === undefined || entry.usedBy.length === 0) continue;
      rows[i] = { entry, checked: await check(entry, named, options, surroundings) };
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    running.end();
  }
  return rows;
}

/** @param named the registry of the command line, which says how it is spoken to */
async function check(
  entry: Entry,
  named: URL | null,
  options: StatusOptions,
  surroundings: Surroundings,
): Promise<Checked> {
  const [host = '', ...namespace] = entry.registry.split('/');
  const target = registryTarget(named?.origin ?? host, options);
  const again = againFor('status', target, options, ['--check']);
  const failed = (code: ExitCode, message: string, hint: string, isRefused = false): Checked => ({
    result: isRefused ? 'refused' : 'failed',
    code,
    message,
    hint,
  });
  const late = AbortSignal.timeout(CHECK_MS);
  const signal = AbortSignal.any([surroundings.signal, late]);
  const { stderr, env } = surroundings;
  try {
    const { origin } = target.url;
    const keychain = keychainOf(entry, options, env);
    const repository = namespace.length === 0 ? null : namespace.join('/');
    const found = await keychain.find(origin, repository, { signal });
    if (found === null) return failed(exitCode.credentials, 'it is not there any more', again.command);
    const holder: Keychain = {
      find: async (registry) => (registry === origin ? found : null),
      // A token that was replaced is written back: the old one may be dead.
      replaced: (...replacement) => keychain.replaced?.(...replacement),
    };
    const open = (keychain: Keychain) =>
      openClient({
        registry: target.url,
        options: { ...options, cache: false },
        given: null,
        keychain,
        store: false,
        surroundings: { stderr, env, signal },
        bodies: false,
      });
    const verified = await verify(holder, target.url, null, open);
    const complaint = complaintAbout(verified.delivered, again);
    if (complaint !== null) throw complaint;
    const result = verified.doubt === null ? 'accepted' : 'untested';
    return { result, code: exitCode.ok, message: null, hint: null };
  } catch (fault) {
    if (surroundings.signal.aborted) throw fault;
    if (late.aborted) {
      return failed(exitCode.unreachable, `no answer within ${CHECK_MS / 1_000} s`, again.doctor);
    }
    if (fault instanceof CredentialsError) return failed(exitCode.credentials, fault.message, again.doctor);
    const error = complaintFrom(fault, again);
    if (!(error instanceof Complaint)) throw error;
    // Without a code it is the registry's own answer; with another one than these it was not sent.
    const { code, hint } = error.details;
    const isRefused =
      code === 'credential-rejected' || (code === undefined && error.exitCode === exitCode.unauthenticated);
    const next = error.exitCode === exitCode.unauthenticated ? (hint ?? again.doctor) : again.doctor;
    return failed(error.exitCode, error.message, isRefused ? again.login : next, isRefused);
  }
}

/** The keychain in which `entry` is the one that is found. */
function keychainOf(
  { usedBy, source, format }: Entry,
  options: FileOptions,
  env: Surroundings['env'],
): Keychain {
  const files = filesFor(options, env);
  if (usedBy.includes(ownProgram)) return dockerKeychain({ path: source, env });
  if (usedBy.includes('default')) return defaultKeychain(files);
  const variable = env[source];
  if (format === 'variable' && variable !== undefined) {
    return defaultKeychain({ env: { [source]: variable }, home: '' });
  }
  const flavor = usedBy.includes('docker') ? 'docker' : 'containers';
  return dockerKeychain({ ...files, path: source, flavor });
}

/** Where Docker and Podman come to different entries. That one of them finds none is seen in the list. */
function differencesIn(entries: readonly Entry[]): readonly Difference[] {
  return [...new Set(entries.map(({ registry }) => registry))].flatMap((registry) => {
    const usedBy = (reader: 'docker' | 'podman') =>
      entries.find((entry) => entry.registry === registry && entry.usedBy.includes(reader));
    const [docker, podman] = [usedBy('docker'), usedBy('podman')];
    return docker === undefined || podman === undefined || docker === podman
      ? []
      : [{ registry, docker, podman }];
  });
}

function shownEntry({ source, helper, key }: Entry, env: Surroundings['env']): string {
  const place = shownPlace(source, env);
  return helper === null ? `${place} ${toVisible(JSON.stringify(key))}` : `${place} › ${helper}`;
}

function statusJson(
  rows: readonly Row[],
  differences: readonly Difference[],
  problems: Stored['problems'],
): object {
  const placeOf = ({ source, key, helper }: Entry) => ({ source, key, helper });
  return {
    credentials: rows.map(({ entry, checked }) => ({
      registry: entry.registry,
      ...placeOf(entry),
      kind: entry.type,
      username: entry.username,
      expiresAt: entry.expiresAt === null ? null : new Date(entry.expiresAt).toISOString(),
      expired: entry.expiresAt === null ? null : entry.expiresAt <= Date.now(),
      usedBy: entry.usedBy.map(readerName),
      shadowedBy: entry.shadowedBy,
      fault: entry.fault,
      check: checked === null ? null : { result: checked.result, message: checked.message },
    })),
    differences: differences.map(({ registry, docker, podman }) => ({
      registry,
      docker: placeOf(docker),
      podman: placeOf(podman),
    })),
    problems: problems.map(({ source, kind, why }) => ({ source, kind, message: why })),
  };
}

function readerName(reader: User): string {
  return reader === 'default' ? 'reg' : reader;
}

interface Page {
  readonly env: Surroundings['env'];
  readonly paint: Paint;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly check: boolean;
  /** Columns. */
  readonly width: number;
}

/** A table, the registry of a shadowed entry left out. Colours are put on when its columns have their widths. */
function renderStatus(rows: readonly Row[], { env, paint, now, check, width }: Page): string {
  const titles = ['REGISTRY', 'USER', 'SOURCE', 'KIND', 'EXPIRES', 'USED BY', ...(check ? ['CHECK'] : [])];
  const cells = rows.map(({ entry, checked }, i) => [
    rows[i - 1]?.entry.registry === entry.registry ? '' : toVisible(entry.registry),
    toVisible(entry.username ?? '–'),
    entry.helper === null
      ? shownPlace(entry.source, env)
      : `${shownPlace(entry.source, env)} › ${entry.helper}`,
    kindOf(entry),
    expiryText(entry.expiresAt, now),
    users(entry),
    ...(check ? [checked === null ? '–' : checkText[checked.result]] : []),
  ]);
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  // What is too wide is cut where the most is: names of registries are long, and so are paths, which end in what tells.
  const [registries = 0, , sources = 0] = widths;
  const tooWide = widths.reduce((sum, column) => sum + column + GAP.length, -GAP.length) - width;
  widths[0] = Math.max(Math.min(registries, NARROWEST), registries - Math.max(0, tooWide));
  widths[2] = Math.max(
    Math.min(sources, NARROWEST),
    sources - Math.max(0, tooWide - (registries - widths[0])),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const room = widths[i] ?? 0;
        if (cell.length <= room) return cell.padEnd(room);
        return i === 0 ? `${cell.slice(0, room - 1)}…` : `…${cell.slice(cell.length - room + 1)}`;
      })
      .join(GAP)
      .trimEnd();
  const body = cells.map((row, i) => {
    const text = line(row);
    if (rows[i]?.entry.usedBy.length === 0) return paint('faint', text);
    return text.replace('✗', paint('bad', '✗')).replace('✓', paint('good', '✓'));
  });
  return [paint('faint', line(titles)), ...body].map((text) => `${text}\n`).join('');
}

const GAP = '  ';

/** Enough to tell one from the other. */
const NARROWEST = 16;

const checkText = {
  accepted: '✓ accepted',
  refused: '✗ refused',
  untested: '– not asked for',
  failed: '✗ failed',
} as const satisfies Record<Checked['result'], string>;

function kindOf({ type, fault }: Entry): string {
  if (fault !== null) return '✗ unusable';
  switch (type) {
    case 'password':
      return 'password';
    case 'identity':
      return 'identity token';
    case 'registry':
      return 'registry token';
    case null:
      return '–';
  }
}

/** `1 h 20 min left`, `2 h 5 min ago ✗`. */
function expiryText(expiresAt: number | null, now: number): string {
  if (expiresAt === null) return '–';
  return expiresAt > now ? `${duration(expiresAt - now)} left` : `${duration(now - expiresAt)} ago ✗`;
}

/** Who would use it. */
function users({ usedBy }: Entry): string {
  if (usedBy.length === 0) return 'nobody';
  return usedBy.length === 3 ? 'all' : usedBy.map(readerName).join(', ');
}
