/**
 * What an error body says, whatever its shape: registry `errors[]`, a token server's `details`, OAuth2 `error`, or text.
 *
 * Rules of this file: bounded, never throws, and the text stays the server's: it is shown, never acted on (requirement 131, Q40).
 */

import type { Problem } from './message.ts';

const most = 8;
const longest = 512;

/** The entries of an error body; plain text becomes one entry without a code. HTML says nothing. */
export function readProblems(text: string): readonly Problem[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    const plain = text.trim();
    return plain === '' || plain.startsWith('<') ? [] : [problem('', plain)];
  }
  const errors = member(body, 'errors');
  if (Array.isArray(errors)) {
    return errors.slice(0, most).map((e) => problem(member(e, 'code'), member(e, 'message')));
  }
  const error = member(body, 'error');
  if (typeof error === 'string') return [problem(error, member(body, 'error_description'))];
  for (const name of ['details', 'message', 'detail']) {
    const value = member(body, name);
    if (typeof value === 'string') return [problem('', value)];
  }
  return [];
}

function problem(code: unknown, message: unknown): Problem {
  return { code: bounded(code), message: bounded(message) };
}

function bounded(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, longest) : '';
}

function member(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null
    ? Object.getOwnPropertyDescriptor(body, name)?.value
    : undefined;
}
