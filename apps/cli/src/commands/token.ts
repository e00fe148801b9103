/**
 * `reg token`: a token for a repository or a registry, as another client can use it.
 *
 * Rules of this file: the one command whose result is a secret. It goes to stdout, and nowhere else; with `--inspect` it goes
 * nowhere. What was asked for and not granted is a complaint, after the result.
 */

import {
  endpoint,
  formatScopes,
  parseScopes,
  type Scope,
  scopesForRequest,
  toVisible,
  unionScopes,
} from '@reg/core';
import { type Again, type AnyTarget, againFor, anyTarget, referenceTarget } from '../registry/argument.ts';
import type { NetworkOptions, ScopeOptions } from '../registry/options.ts';
import { readScopes } from '../registry/values.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { duration } from '../report/duration.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor } from '../terminal/paint.ts';
import { authorizedFor } from '../token/authorize.ts';
import { complaintAboutGrant } from '../token/granted.ts';
import { renderJson, renderReport } from '../token/render.ts';
import { reportOn, tokenIn } from '../token/report.ts';

export interface TokenOptions extends NetworkOptions, ScopeOptions {
  readonly mount?: readonly string[];
  readonly header?: boolean;
  readonly inspect?: boolean;
  readonly output: 'text' | 'json';
}

/** `reg token` */
export async function token(
  about: string,
  options: TokenOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { stdout, stderr, env } = surroundings;
  const { header = false, inspect = false, output } = options;
  const target = anyTarget(about, options);
  const scopes = scopesOf(target, options);
  const plain = againFor('token', target, options, flagsOf(options));
  const isPush = options.push === true || options.mount !== undefined;
  const again = { ...plain, doctor: againFor('doctor', target, options, isPush ? ['--push'] : []).command };
  const task = { target, options, again, bodies: false };
  const authorized = await withClient(task, surroundings, (client) =>
    authorizedFor(client, { target, scopes, push: isPush, again }),
  );
  const transcript = authorized.transcript();
  const report = reportOn(authorized, transcript, Date.now());
  if (report.scheme === 'basic' && !header && !inspect) throw noToken(target.registry, again);
  if (output === 'json') {
    const printed = inspect
      ? {}
      : header
        ? { header: authorized.header && headerLine(authorized.header) }
        : { token: tokenIn(authorized.header) };
    stdout.write(renderJson(report, printed, inspect));
  } else if (inspect) {
    stdout.write(renderReport(report, paintFor(stdout, env, options.color)));
  } else if (authorized.header === null) {
    if (options.quiet !== true)
      stderr.write(`reg: ${toVisible(target.registry)} asks for nothing: no token is needed\n`);
  } else {
    stdout.write(`${header ? headerLine(authorized.header) : tokenIn(authorized.header)}\n`);
  }
  if (report.aheadMs > 0 && !inspect) {
    stderr.write(`warning: the token begins ${duration(report.aheadMs)} from now, by this machine's clock\n`);
  }
  const complaint = complaintAboutGrant(transcript, report.claims, again);
  if (complaint !== null) throw complaint;
}

/** As curl's `-H` takes it. */
function headerLine(header: string): string {
  return `Authorization: ${header}`;
}

function noToken(registry: string, { command }: Again): Complaint {
  return new Complaint(
    exitCode.unexpected,
    `${registry} takes user name and password with every request (Basic): it has no tokens`,
    { code: 'no-token', hint: `${command} -H   # the header line, with the password in it` },
  );
}

/** What to ask for; `null` leaves it to what a GET needs. */
function scopesOf(
  { reference }: AnyTarget,
  { push = false, mount = [], scope = [], ...options }: TokenOptions,
): string | null {
  if ((push || mount.length > 0) && reference === null) {
    throw usage('a push goes to a repository: name one, as in registry.example/team/app');
  }
  const given = parseScopes(readScopes(scope));
  if (reference === null || (!push && mount.length === 0))
    return given.length === 0 ? null : formatScopes(given);
  const uploads = scopesForRequest('POST', endpoint(reference, 'uploads'));
  // A blob is mounted from the same registry, whether its name is written or not.
  const sources = mount.flatMap((source): readonly Scope[] => {
    const full = source.startsWith(`${reference.registry}/`) ? source : `${reference.registry}/${source}`;
    return scopesForRequest('GET', referenceTarget(full, 'tags', options).url);
  });
  return formatScopes([uploads, sources, given].reduce(unionScopes));
}

function flagsOf({ push = false, mount = [], scope = [] }: TokenOptions): readonly string[] {
  return [
    ...(push ? ['--push'] : []),
    ...mount.flatMap((one) => ['--mount', one]),
    ...scope.flatMap((one) => ['--scope', one]),
  ];
}
