/**
 * A transcript as an HTTP Archive, which browsers' developer tools open.
 *
 * Rules of this file: HAR 1.2 as its specification has it; what is not known is -1 or empty, as it says there; secrets keep
 * their names, so that the file still tells one from another.
 */

import { type HeaderList, headerValue } from '../message.ts';
import { explain } from './explain.ts';
import { writeJson } from './json.ts';
import { authorizationText, isLeg, type Leg, reasonPhrase } from './legs.ts';
import type { RecordedSend, Transcript } from './transcript.ts';

/** `transcript` as the JSON text of a HAR 1.2 file, one entry for each request. */
export function toHar({ steps }: Transcript): string {
  const entries: object[] = [];
  for (const [index, step] of steps.entries()) {
    if (isLeg(step)) entries.push({ ...entryOf(step), comment: explain(step, index, steps) });
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
  const { at, effect, answer } = leg;
  const time = Math.max(0, answer.at - at);
  return {
    startedDateTime: isoTime(at),
    time,
    request: requestOf(effect),
    response: responseOf(leg),
    cache: {},
    timings: { send: 0, wait: time, receive: 0 },
  };
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
    statusText: reasonPhrase(status),
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
