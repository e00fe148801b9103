/**
 * A transcript as an HTTP Archive, which browsers' developer tools open.
 *
 * Rules of this file: HAR 1.2 as its specification has it; what is not known is -1 or empty, as it says there; secrets keep
 * their names, so that the file still tells one from another.
 */

import { type HeaderList, headerValue } from '../message.ts';
import { explain, explainClaims } from './explain.ts';
import { writeJson } from './json.ts';
import { authorizationText, isLeg, type Leg, reasonPhrase } from './legs.ts';
import type { RecordedSend, Transcript } from './transcript.ts';

/** `transcript` as the JSON text of a HAR 1.2 file, one entry for each request. */
export function toHar(transcript: Transcript): string {
  const { steps } = transcript;
  const entries: object[] = [];
  for (const [index, step] of steps.entries()) {
    if (!isLeg(step)) continue;
    const comment = [explain(step, index, transcript), explainClaims(step)].filter((text) => text !== '');
    entries.push({ ...entryOf(step), comment: comment.join('; ') });
  }
  return writeJson({
    log: {
      version: '1.2',
      creator: { name: '@reg/core', version: '1' },
      entries,
      comment: 'Secrets are replaced by redacted-n.',
    },
  });
}

function entryOf(leg: Leg): object {
  const { at, effect } = leg;
  const timings = timingsOf(leg);
  const { dns, connect, send, wait, receive } = timings;
  return {
    startedDateTime: isoTime(at),
    // All of them but `ssl`, which is part of `connect`.
    time: rounded([dns, connect, send, wait, receive].reduce((sum, part) => sum + Math.max(0, part), 0)),
    request: requestOf(effect),
    response: responseOf(leg),
    cache: {},
    timings,
  };
}

/** As HAR names them. */
interface Timings {
  readonly dns: number;
  readonly connect: number;
  readonly ssl: number;
  readonly send: number;
  readonly wait: number;
  readonly receive: number;
}

/** Milliseconds, and -1 for what was not done or nobody measured. What is left of the time went into reading the body. */
function timingsOf({ at, answer }: Leg): Timings {
  const time = rounded(answer.at - at);
  const timing = answer.type === 'no-response' ? undefined : answer.timing;
  if (timing === undefined) return { dns: -1, connect: -1, ssl: -1, send: 0, wait: time, receive: 0 };
  const dns = known(timing.lookupMs);
  const tcp = known(timing.connectMs);
  const ssl = known(timing.tlsMs);
  const connect = tcp < 0 && ssl < 0 ? -1 : Math.max(0, tcp) + Math.max(0, ssl);
  const wait = rounded(timing.waitMs);
  const receive = rounded(time - Math.max(0, dns) - Math.max(0, connect) - wait);
  return { dns, connect, ssl, send: 0, wait, receive };
}

function known(ms: number | null): number {
  return ms === null ? -1 : rounded(ms);
}

/** Clocks measure in microseconds; what is smaller is left over from subtractions. */
function rounded(ms: number): number {
  return Math.round(Math.max(0, ms) * 1_000) / 1_000;
}

function requestOf(effect: RecordedSend): object {
  const { method, url, headers, authorization, form } = effect;
  const all: HeaderList =
    authorization === null ? headers : [...headers, ['authorization', authorizationText(authorization)]];
  const request = {
    method,
    url,
    httpVersion: 'unknown',
    cookies: [],
    headers: fieldsOf(all),
    queryString: queryOf(url),
    headersSize: -1,
    bodySize: effect.body === 'none' ? 0 : -1,
  };
  if (form === null) return request;
  const params = form.map(([name, value]) => ({ name, value }));
  return { ...request, postData: { mimeType: 'application/x-www-form-urlencoded', params } };
}

function responseOf({ answer }: Leg): object {
  const silent = answer.type === 'no-response';
  const status = silent ? 0 : answer.head.status;
  const headers = silent ? [] : answer.head.headers;
  const body = silent ? null : answer.type === 'response' ? answer.body : answer.text;
  const content = { size: -1, mimeType: firstValue(headers, 'content-type') };
  const response = {
    status,
    statusText: silent ? '' : reasonPhrase(status),
    httpVersion: 'unknown',
    cookies: [],
    headers: fieldsOf(headers),
    content: body === null ? content : { ...content, text: body },
    redirectURL: firstValue(headers, 'location'),
    headersSize: -1,
    bodySize: -1,
  };
  // Members that begin with an underscore are anybody's; browsers put the reason there too.
  return silent ? { ...response, _error: `${answer.phase}: ${answer.code}: ${answer.message}` } : response;
}

function fieldsOf(headers: HeaderList): object[] {
  return headers.map(([name, value]) => ({ name, value }));
}

function queryOf(url: string): object[] {
  return URL.canParse(url) ? [...new URL(url).searchParams].map(([name, value]) => ({ name, value })) : [];
}

function firstValue(headers: HeaderList, name: string): string {
  return headerValue(headers, name) ?? '';
}

const dayMs = 86_400_000;
/** 9999-12-31T23:59:59.999Z: the last time that four digits of a year can say. */
const lastMs = 253_402_300_799_999;

/** Epoch milliseconds as ISO 8601 in UTC. A time that a file made up is moved to the nearest that can be written. */
function isoTime(ms: number): string {
  const time = Math.min(Math.max(0, Math.floor(ms)), lastMs);
  let day = Math.floor(time / dayMs);
  let year = 1970;
  for (; day >= yearDays(year); year++) day -= yearDays(year);
  let month = 1;
  for (; day >= monthDays(year, month); month++) day -= monthDays(year, month);
  const hour = Math.floor(time / 3_600_000) % 24;
  const minute = Math.floor(time / 60_000) % 60;
  const second = Math.floor(time / 1000) % 60;
  return (
    `${digits(year, 4)}-${digits(month, 2)}-${digits(day + 1, 2)}T` +
    `${digits(hour, 2)}:${digits(minute, 2)}:${digits(second, 2)}.${digits(time % 1000, 3)}Z`
  );
}

function yearDays(year: number): number {
  return isLeap(year) ? 366 : 365;
}

function monthDays(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
