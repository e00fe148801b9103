/**
 * `reg trace`: one request for real, and all that was said on the way to its answer.
 *
 * Rules of this file: the transcript is the result, also of a request that failed: what led to the failure is what was asked
 * for. Rendering is pure. With a file to write to, nothing is sent before the file can be there.
 */

import { endpoint, formatScopes, parseScopes, scopesForRequest, toVisible, unionScopes } from '@reg/core';
import { readAccess, readClaims } from '@reg/core/transcript';
import { againFor, isUrl, referenceTarget, type Target, traceTarget } from '../registry/argument.ts';
import type { NetworkOptions, ScopeOptions } from '../registry/options.ts';
import { readScopes } from '../registry/values.ts';
import { withClient } from '../registry/with-client.ts';
import { type Complaint, usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { headOf, headOfReplay, type Page, renderTrace } from '../tracing/render.ts';
import { replayed } from '../tracing/replayed.ts';
import { traceOf, traceOfPush, traceOfToken } from '../tracing/send.ts';
import type { TraceFormat } from '../tree/names.ts';
import { writeFileWhole } from '../writing/file.ts';

export interface TraceOptions extends NetworkOptions, ScopeOptions {
  readonly output: TraceFormat;
  readonly out?: string;
  readonly replay?: string;
  readonly showClaims?: boolean;
}

/** `reg trace` */
export async function trace(
  about: string | undefined,
  options: TraceOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { replay } = options;
  if (replay !== undefined) {
    if (about !== undefined)
      throw usage('--replay prints what is in a file, and asks nobody', 'reg trace --help');
    await print(() => traceFrom(replay, options, surroundings), options, surroundings);
    return;
  }
  if (about === undefined) throw usage('what is to be traced?');
  const target = targetOf(about, options);
  await print(() => traceAt(target, options, surroundings), options, surroundings);
}

/** What a command prints, and why it is not all that was wanted, or `null`. */
interface Printed {
  readonly text: string;
  readonly complaint: Complaint | null;
}

async function traceAt(target: Target, options: TraceOptions, surroundings: Surroundings): Promise<Printed> {
  const { push = false, scope = [], showClaims = false } = options;
  const flags = [...(push ? ['--push'] : []), ...scope.flatMap((one) => ['--scope', one])];
  const scopes = scope.length === 0 ? null : scopesOf(target.url, options);
  const plain = againFor('trace', target, options, flags);
  const again = { ...plain, trace: plain.command, doctor: doctorFor(target, options) };
  const task = {
    target,
    // stdout tells it all, and in order.
    options: { ...options, verbose: 0 },
    again,
    bodies: true,
    claims: showClaims ? readClaims : readAccess,
    store: false,
  };
  const { transcript, complaint } = await withClient(task, surroundings, (client) => {
    if (scopes !== null) return traceOfToken(client, target.url, scopes, again);
    const warn = (message: string): void => void surroundings.stderr.write(`warning: ${message}\n`);
    return push ? traceOfPush(client, target.url, again, warn) : traceOf(client, target.url, again);
  });
  // On the screen stderr says why it failed.
  const page = pageFor(options, surroundings, isFile(options.out));
  return {
    text: renderTrace(transcript, options.output, {
      ...page,
      head: headOf(transcript, surroundings.runtime, page),
    }),
    complaint,
  };
}

async function traceFrom(file: string, options: TraceOptions, surroundings: Surroundings): Promise<Printed> {
  const { transcript, complaint } = await replayed(file, surroundings);
  const page = pageFor(options, surroundings, true);
  const head = headOfReplay(transcript, file, page);
  return { text: renderTrace(transcript, options.output, { ...page, head }), complaint };
}

/** Writes to stdout, or to the file that `--out` names. Throws the complaint when that is done. */
async function print(
  make: () => Promise<Printed>,
  { out, quiet = false }: TraceOptions,
  { stdout, stderr }: Surroundings,
): Promise<void> {
  const complaints: Complaint[] = [];
  const text = async (): Promise<string> => {
    const { text, complaint } = await make();
    if (complaint !== null) complaints.push(complaint);
    return text;
  };
  if (!isFile(out)) {
    stdout.write(await text());
    // Where both are one screen, what was said and what it means are told apart.
    if (complaints.length > 0 && stdout.isTTY === true) stdout.write('\n');
  } else {
    await writeFileWhole(out, bytesOf(text), OWNER_ONLY);
    if (!quiet) stderr.write(`reg: written to ${toVisible(out)}\n`);
  }
  for (const complaint of complaints) throw complaint;
}

/** `-` is stdout, as where a file is read. */
function isFile(out: string | undefined): out is string {
  return out !== undefined && out !== '-';
}

/** A trace has no secret in it, but who asked whom for what is not everyone's to know. */
const OWNER_ONLY = 0o600;

async function* bytesOf(text: () => Promise<string>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(await text());
}

/** A push begins with an upload to the repository; of all else the argument says what it is about. */
function targetOf(about: string, options: TraceOptions): Target {
  if (options.push !== true) return traceTarget(about, options);
  if (isUrl(about)) throw usage('a push goes to a repository: name one, as in registry.example/team/app');
  const target = referenceTarget(about, 'tags', options);
  const { registry, repository } = target.reference;
  const insecure = options.plainHttp === true ? { insecure: true } : {};
  return { ...target, url: endpoint({ registry, repository }, 'uploads', insecure) };
}

/** The command that finds out why. It is about a repository or a registry, and about no URL. */
function doctorFor(target: Target, options: TraceOptions): string {
  const flags = options.push === true ? ['--push'] : [];
  if (!isUrl(target.shown)) return againFor('doctor', target, options, flags).command;
  const { url, registry } = target;
  const scope = scopesForRequest('GET', url).find((one) => 'name' in one && one.type === 'repository');
  const shown = scope !== undefined && 'name' in scope ? `${registry}/${scope.name}` : registry;
  const plainHttp = url.protocol === 'http:' ? { plainHttp: true } : {};
  return againFor('doctor', { ...target, shown }, { ...options, ...plainHttp }, flags).command;
}

/** What `--scope` says, and with `--push` what a push needs. */
function scopesOf(url: URL, { push = false, scope = [] }: TraceOptions): string {
  const needed = push ? scopesForRequest('POST', url) : [];
  return formatScopes(unionScopes(needed, parseScopes(readScopes(scope))));
}

function pageFor(
  { out, color, verbose = 0 }: TraceOptions,
  { stdout, env }: Surroundings,
  reason: boolean,
): Page {
  const brief = verbose === 0;
  if (isFile(out)) {
    return { paint: (_, text) => text, width: Number.POSITIVE_INFINITY, brief, reason };
  }
  return { paint: paintFor(stdout, env, color), width: widthOf(stdout), brief, reason };
}
