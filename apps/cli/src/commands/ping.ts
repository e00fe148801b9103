/**
 * `reg ping`: whether registries are there, and whom they want to see.
 *
 * Rules of this file: one bare request at a time to each registry, several registries at once, their results in the order of
 * the arguments. No credential is looked for and no token server is asked. A 401 with a challenge is what a good registry says.
 */

import { type Failure, type HeaderList, parseChallenges, type Timing, toVisible } from '@reg/core';
import { complaintAboutPage, complaintOf } from '../registry/answer.ts';
import { againFor, registryTarget, type Target } from '../registry/argument.ts';
import { transportAt } from '../registry/client.ts';
import type { CommonOptions, ConnectionOptions } from '../registry/options.ts';
import { readCount, readSeconds } from '../registry/values.ts';
import { Complaint } from '../report/complaint.ts';
import { codeOfStatus, type ExitCode, exitCode } from '../report/exit-code.ts';
import { jsonDocument, jsonLine } from '../report/json.ts';
import { bareUrl } from '../report/url.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Transport } from '../transport/send.ts';
import { SendError } from '../transport/send-error.ts';

export interface PingOptions extends ConnectionOptions, CommonOptions {
  readonly count: string;
  readonly maxTime?: string;
  readonly output: 'text' | 'json' | 'ndjson';
}

/** `reg ping` */
export async function ping(
  registries: readonly string[],
  options: PingOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { stdout } = surroundings;
  const count = readCount('--count', options.count, MOST_PINGS, 1);
  const maxMs = options.maxTime === undefined ? null : readSeconds('--max-time', options.maxTime) * 1_000;
  const targets = registries.map((registry) => registryTarget(registry, options));
  const width = columnsOf(targets);
  const results: Pinged[] = [];
  for await (const pinged of inOrder(targets, (target) =>
    pingOne(target, { count, maxMs }, options, surroundings),
  )) {
    results.push(pinged);
    if (options.output === 'text') stdout.write(renderPing(pinged, width));
    if (options.output === 'ndjson') stdout.write(jsonLine(documentOf(pinged)));
  }
  if (options.output === 'json') {
    stdout.write(jsonDocument({ registries: results.map(documentOf) }));
  }
  const complaint = worstOf(results);
  if (complaint !== null) throw complaint;
}

const MOST_PINGS = 10_000;

/** Requests under way at once. */
const AT_ONCE = 16;

/** What a registry said, or that it said nothing. */
export interface Pinged {
  readonly target: Target;
  /** Of the last answer. */
  readonly status: number | null;
  readonly asks: Asks | null;
  readonly answers: readonly Answered[];
  /** Why it cannot be used, or `null`. */
  readonly complaint: Complaint | null;
}

interface Asks {
  readonly scheme: string;
  readonly realm: string | null;
  readonly service: string | null;
}

interface Answered {
  readonly ms: number;
  readonly timing: Timing | null;
}

interface Pings {
  readonly count: number;
  readonly maxMs: number | null;
}

async function pingOne(
  target: Target,
  { count, maxMs }: Pings,
  options: PingOptions,
  surroundings: Surroundings,
): Promise<Pinged> {
  const again = againFor('ping', target, options);
  const answers: Answered[] = [];
  let status: number | null = null;
  let asks: Asks | null = null;
  let complaint: Complaint | null = null;
  const transport = await transportAt(target.url, options, surroundings);
  try {
    for (let i = 0; i < count && complaint === null; i++) {
      const answer = await askOnce(target.url, transport, maxMs, surroundings.signal);
      answers.push(answer);
      ({ status } = answer);
      asks = challengeIn(answer.headers);
      const code = codeOf(status, asks);
      if (code !== exitCode.ok)
        complaint = new Complaint(code, faultOf(target, status), { hint: again.doctor });
      else complaint = complaintAboutPage({ head: answer, url: target.url.href }, again);
      if (complaint === null && maxMs !== null && answer.ms > maxMs)
        complaint = tooLate(target, maxMs, again.command);
    }
  } catch (error) {
    if (!(error instanceof SendError)) throw error;
    complaint =
      error.code === TOO_LATE && maxMs !== null
        ? tooLate(target, maxMs, again.command)
        : complaintOf(failureOf(error, target.url), again);
  } finally {
    transport.close();
  }
  return { target, status, asks, answers, complaint };
}

interface Answer extends Answered {
  readonly status: number;
  readonly headers: HeaderList;
}

const TOO_LATE = 'ERR_REG_MAX_TIME';

/** One request. Rejects with `SendError`, or with the signal's reason. */
async function askOnce(
  url: URL,
  { send }: Transport,
  maxMs: number | null,
  signal: AbortSignal,
): Promise<Answer> {
  const late = new AbortController();
  const timer =
    maxMs === null
      ? undefined
      : setTimeout(() => late.abort(new SendError('head', TOO_LATE, 'no answer in time')), maxMs);
  const since = performance.now();
  try {
    const reply = await send(
      {
        to: 'registry',
        method: 'GET',
        url: url.href,
        headers: [],
        body: 'none',
        form: null,
        request: null,
        redirect: 'manual',
        addresses: 'any',
      },
      AbortSignal.any([signal, late.signal]),
    );
    const ms = performance.now() - since;
    await reply.discard();
    return { ms, timing: reply.timing ?? null, status: reply.head.status, headers: reply.head.headers };
  } finally {
    clearTimeout(timer);
  }
}

/** The challenge that a client would answer, or the first there is. */
function challengeIn(headers: HeaderList): Asks | null {
  const lines = headers.filter(([name]) => name === 'www-authenticate').map(([, value]) => value);
  const { challenges } = parseChallenges(lines);
  const chosen =
    challenges.find(({ scheme }) => scheme === 'bearer') ??
    challenges.find(({ scheme }) => scheme === 'basic') ??
    challenges[0];
  if (chosen === undefined) return null;
  const { scheme } = chosen;
  const { realm = null, service = null } = chosen.params;
  // Of other schemes it is a name, which may hold anything all the same.
  const isPlain = realm === null || (scheme !== 'bearer' && !realm.includes('@'));
  return { scheme, realm: isPlain ? realm : bareUrl(realm), service };
}

function codeOf(status: number, asks: Asks | null): ExitCode {
  if (status === 401) return asks === null ? exitCode.protocol : exitCode.ok;
  return codeOfStatus(status);
}

function faultOf({ url }: Target, status: number): string {
  return status === 401
    ? `${url.href} answered 401 and says nothing of what it wants to see`
    : `${url.href} answered ${status}, which is no answer of a registry's to a ping`;
}

function tooLate({ url }: Target, maxMs: number, hint: string): Complaint {
  return new Complaint(
    exitCode.unreachable,
    `${url.href} took longer than the ${maxMs / 1_000} s of --max-time`,
    {
      hint,
    },
  );
}

function failureOf({ phase, code, message }: SendError, url: URL): Failure {
  return { kind: 'network', url: url.href, to: 'registry', phase, code, message };
}

/** One complaint is as it is; of several the worst is counted, and leads on. */
function worstOf(results: readonly Pinged[]): Complaint | null {
  const complaints = results.flatMap(({ complaint }) => complaint ?? []);
  const [first, ...rest] = complaints;
  if (first === undefined || results.length === 1) return first ?? null;
  const worst = rest.reduce((one, other) => (other.exitCode > one.exitCode ? other : one), first);
  return new Complaint(
    worst.exitCode,
    `${complaints.length} of ${results.length} cannot be used. ${worst.message}`,
    worst.details,
  );
}

/** What `work` makes of each of `items`, in their order, as soon as all before it are there. */
async function* inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  for (const [index, item] of items.entries()) {
    // Whoever waits for the first of them learns that it failed; until then nobody else does.
    if (index >= AT_ONCE) await begun[index - AT_ONCE]?.catch(() => {});
    const result = work(item);
    result.catch(() => {});
    begun.push(result);
  }
  for (const result of begun) yield await result;
}

interface Columns {
  readonly registry: number;
  readonly host: number;
}

function columnsOf(targets: readonly Target[]): Columns {
  const longest = (texts: readonly string[]): number =>
    texts.reduce((most, { length }) => Math.max(most, length), 0);
  return {
    registry: longest(targets.map(({ shown }) => shown)),
    host: longest(targets.map(({ url }) => url.host)),
  };
}

/** `docker.io  registry-1.docker.io  401 bearer auth.docker.io  87 ms` */
export function renderPing({ target, status, asks, answers, complaint }: Pinged, width: Columns): string {
  const { shown, url } = target;
  const names = `${shown.padEnd(width.registry)}  ${url.host.padEnd(width.host)}`;
  if (status === null) {
    const word = complaint?.details.code === 'network' ? 'unreachable' : 'no answer';
    return `${names}  ${word}\n`;
  }
  const what = [status, asks?.scheme ?? '', realmHost(asks)].filter((text) => text !== '').join(' ');
  return `${names}  ${toVisible(what)}  ${timesOf(answers)}\n`;
}

function realmHost(asks: Asks | null): string {
  if (asks?.scheme !== 'bearer' || asks.realm === null || !URL.canParse(asks.realm)) return '';
  return new URL(asks.realm).host;
}

/** Of one answer its time; of more the least, the median and the most. */
function timesOf(answers: readonly Answered[]): string {
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (index: number): number => Math.round(times[index] ?? 0);
  if (times.length === 1) return `${at(0)} ms`;
  const last = times.length - 1;
  return `${at(0)}/${at(Math.floor(last / 2))}/${at(last)} ms (least/median/most of ${times.length})`;
}

function documentOf({ target, status, asks, answers, complaint }: Pinged): object {
  return {
    registry: target.registry,
    url: target.url.href,
    status,
    scheme: asks?.scheme ?? null,
    realm: asks?.realm ?? null,
    service: asks?.service ?? null,
    answers: answers.map(({ ms, timing }) => ({ totalMs: rounded(ms), ...timingOf(timing) })),
    exitCode: complaint?.exitCode ?? exitCode.ok,
    error: complaint?.message ?? null,
  };
}

function timingOf(timing: Timing | null): object {
  const { lookupMs = null, connectMs = null, tlsMs = null, waitMs = null } = timing ?? {};
  return {
    lookupMs: rounded(lookupMs),
    connectMs: rounded(connectMs),
    tlsMs: rounded(tlsMs),
    waitMs: rounded(waitMs),
  };
}

/** A tenth of a millisecond is as good as this clock is. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10;
}
