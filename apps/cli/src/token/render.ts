/**
 * A report on a token, for people and for programs.
 *
 * Rules of this file: pure; what a server wrote is made visible, in JSON by escapes that change nothing of it. JSON is as
 * `schemas/token.json` has it.
 */

import { coversScopes, formatScopes, missingScopes, type Scope, toVisible } from '@reg/core';
import { duration } from '../report/duration.ts';
import { jsonDocument } from '../report/json.ts';
import type { Paint } from '../terminal/paint.ts';
import type { Report } from './report.ts';

/** Lines of names and values, then what was asked for beside what was granted. */
export function renderReport(report: Report, paint: Paint): string {
  const { claims, registry, realm, credential, cached, expiresAt, at, aheadMs } = report;
  const rows: [string, string][] = [['registry', toVisible(registry)]];
  if (realm !== null) rows.push(['from', toVisible(realm) + (cached ? ', kept from before' : '')]);
  if (report.scheme !== null) rows.push(['credential', credential === null ? 'none' : toVisible(credential)]);
  if (report.scheme === null) rows.push(['token', 'none needed: the registry asks for nothing']);
  if (report.scheme === 'basic')
    rows.push(['token', 'none: the registry takes user name and password (Basic)']);
  if (report.scheme === 'bearer')
    rows.push(['token', claims === null ? 'opaque: only its registry can read it' : 'JWT']);
  if (claims !== null) {
    const { issuer, subject, audience, others } = claims;
    if (issuer !== null) rows.push(['issuer', toVisible(issuer)]);
    if (subject !== null) rows.push(['subject', toVisible(subject)]);
    if (audience.length > 0) rows.push(['audience', toVisible(audience.join(', '))]);
    if (others.length > 0) rows.push(['not shown', toVisible(others.join(', '))]);
  }
  if (expiresAt !== null) rows.push(['expires', `${inWords(expiresAt - at)}, ${isoTime(expiresAt)}`]);
  if (aheadMs > 0)
    rows.push(['clock skew', `the token begins ${duration(aheadMs)} from now, by this machine’s clock`]);
  const lines = rows.map(([name, value]) => {
    const shown = name === 'clock skew' ? paint('bad', value) : value;
    return `${paint('name', name.padEnd(10))}  ${shown}`;
  });
  return [...lines, ...scopeLines(report, paint), ''].join('\n');
}

function scopeLines({ asked, granted }: Report, paint: Paint): readonly string[] {
  const added = (granted ?? []).filter((scope) => !coversScopes(asked, [scope]) && !isNamed(scope, asked));
  if (asked.length === 0 && added.length === 0) return [];
  const left = asked.map((scope) => toVisible(formatScopes([scope])));
  const width = Math.max('asked'.length, ...left.map((text) => text.length));
  const row = (text: string, given: string): string => `${text.padEnd(width)}  ${given}`;
  return [
    '',
    paint('name', row('asked', 'granted')),
    ...asked.map((scope, index) => row(left[index] ?? '', givenFor(scope, granted, paint))),
    ...added.map((scope) => row('', toVisible(formatScopes([scope])))),
  ];
}

/** What of one scope was granted: its actions, and after an arrow those that were not. */
function givenFor(scope: Scope, granted: readonly Scope[] | null, paint: Paint): string {
  if (granted === null) return paint('faint', 'not said');
  const missing = missingScopes(granted, [scope]);
  const given = missingScopes(missing, [scope]);
  const words = given.length === 0 && missing.length > 0 ? 'nothing' : actionsOf(scope, given);
  if (missing.length === 0) return paint('good', words);
  return `${words}  ${paint('bad', `→ not granted: ${actionsOf(scope, missing)}`)}`;
}

/** Actions alone, since the resource stands to the left. */
function actionsOf(scope: Scope, scopes: readonly Scope[]): string {
  const [first] = scopes;
  const text = first !== undefined && 'actions' in first ? first.actions.join(',') : formatScopes([scope]);
  return toVisible(text);
}

/** Whether `asked` has an entry about the same. */
function isNamed(scope: Scope, asked: readonly Scope[]): boolean {
  return asked.some(
    (one) => 'name' in one && 'name' in scope && one.type === scope.type && one.name === scope.name,
  );
}

/** What goes with a token in JSON: nothing of the report is a secret. */
export interface Printed {
  readonly token?: string | null;
  readonly header?: string | null;
}

export function renderJson(report: Report, printed: Printed, inspect: boolean): string {
  const { scheme, registry, realm, service, credential, cached, claims, aheadMs } = report;
  const value = {
    registry,
    scheme,
    ...printed,
    realm,
    service,
    credential,
    cached,
    asked: texts(report.asked),
    granted: report.granted === null ? null : texts(report.granted),
    notGranted: texts(report.missing),
    expiresAt: timeOrNull(report.expiresAt),
    ...(inspect
      ? {
          claims:
            claims === null
              ? null
              : {
                  issuer: claims.issuer,
                  subject: claims.subject,
                  audience: claims.audience,
                  issuedAt: timeOrNull(claims.issuedAt),
                  notBefore: timeOrNull(claims.notBefore),
                  expiresAt: timeOrNull(claims.expiresAt),
                  access: claims.access === null ? null : texts(claims.access),
                  notShown: claims.others,
                },
          clockAheadMs: aheadMs,
        }
      : {}),
  };
  return jsonDocument(value);
}

function texts(scopes: readonly Scope[]): readonly string[] {
  return scopes.map((scope) => formatScopes([scope]));
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function inWords(ms: number): string {
  return ms > 0 ? `in ${duration(ms)}` : `${duration(-ms)} ago`;
}
