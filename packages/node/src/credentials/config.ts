/**
 * A config as data, read member by member.
 *
 * Rules of this file: own members only, so that no prototype counts; a member of another type is an error that names it; a key
 * is shown bounded and visible, a value never.
 */

import { toVisible } from '@reg/core';
import { CredentialsError } from './error.ts';

/** The object that `text` is, or `null` for blank text. Throws `CredentialsError` for anything else. */
export function parseConfig(path: string, text: string): object | null {
  if (text.trim() === '') return null;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and the text is secrets (CVE-2020-8564).
    throw new CredentialsError(path, 'is not JSON');
  }
  if (!isObject(config)) throw new CredentialsError(path, 'is not a JSON object');
  return config;
}

/** The object in the member `name`, an empty one where it is absent or null. */
export function objectIn(path: string, config: object, name: string): object {
  const value = member(config, name) ?? {};
  if (!isObject(value)) throw new CredentialsError(path, `${shown(name)} is not an object`);
  return value;
}

/** The text in the member `name`, an empty one where it is absent or null. `at` says which object is meant. */
export function textIn(path: string, value: object, name: string, at = ''): string {
  const text = member(value, name) ?? '';
  if (typeof text !== 'string') throw new CredentialsError(path, `${shown(name)}${at} is not a string`);
  return text;
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function member(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/** A host with its longest name, a port and some path fits in. */
const longestKey = 300;

/** A key in quotes, for people. */
export function shown(key: string): string {
  const text = key.length > longestKey ? `${key.slice(0, longestKey)}…` : key;
  return toVisible(JSON.stringify(text));
}
