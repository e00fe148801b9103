/**
 * Readers of plain data that may hold anything.
 *
 * Rules of this file: a reader gives back a value of its type, with the members its shape names in the order it names them,
 * or throws a `TypeError` that says where and what was expected. It never repeats the value: that may be a secret.
 */

/** @param path of `value`, for the message: `steps[3].answer` */
export type Reader<T> = (value: unknown, path: string) => T;

/** A reader for every member of `T`. */
export type Shape<T> = { readonly [K in keyof T]-?: Reader<T[K]> };

/** More than any operation has of anything, and a bound on what a file can make us do. */
const mostEntries = 10_000;

export const text: Reader<string> = (value, path) => {
  return typeof value === 'string' ? value : fail(path, 'a text');
};

export const number: Reader<number> = (value, path) => {
  return typeof value === 'number' && Number.isFinite(value) ? value : fail(path, 'a number');
};

export const flag: Reader<boolean> = (value, path) => {
  return typeof value === 'boolean' ? value : fail(path, 'true or false');
};

export function nullable<T>(reader: Reader<T>): Reader<T | null> {
  return (value, path) => (value === null ? null : reader(value, path));
}

export function list<T>(reader: Reader<T>): Reader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > mostEntries)
      return fail(path, `a list of at most ${mostEntries}`);
    return value.map((entry, index) => reader(entry, `${path}[${index}]`));
  };
}

export function pair<A, B>(first: Reader<A>, second: Reader<B>): Reader<readonly [A, B]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length !== 2) return fail(path, 'a pair');
    return [first(value[0], `${path}[0]`), second(value[1], `${path}[1]`)];
  };
}

/** One of a union of texts. They come as the keys of an object, so that a missing one does not compile. */
export function oneOf<T extends string>(values: Readonly<Record<T, unknown>>): Reader<T> {
  const isOne = (value: unknown): value is T => typeof value === 'string' && Object.hasOwn(values, value);
  return (value, path) => (isOne(value) ? value : fail(path, `one of ${Object.keys(values).join(', ')}`));
}

export function exactly<const T extends string | number>(expected: T): Reader<T> {
  return (value, path) => (value === expected ? expected : fail(path, String(expected)));
}

/** An object with the members of `shape`; those in `optional` may be missing, others than these are left out. */
export function record<T extends object>(shape: Shape<T>, optional: readonly (keyof T)[] = []): Reader<T> {
  const readers: readonly [string, Reader<unknown>][] = Object.entries(shape);
  const mayMiss = new Set<PropertyKey>(optional);
  return (value, path) => {
    const source = members(value, path);
    const read: [string, unknown][] = [];
    for (const [name, reader] of readers) {
      const present = Object.hasOwn(source, name);
      if (!present && mayMiss.has(name)) continue;
      read.push([name, reader(present ? source[name] : undefined, `${path}.${name}`)]);
    }
    // Every member of T went through its reader: that is what Shape<T> says.
    return Object.fromEntries(read) as T;
  };
}

/** A reader for every value of the member `K` of the union `T`. */
export type Cases<T, K extends keyof T> = {
  readonly [V in T[K] & string]: Reader<Extract<T, Readonly<Record<K, V>>>>;
};

/** A union told apart by the member `tag`. */
export function variant<T extends object, K extends keyof T & string>(tag: K, cases: Cases<T, K>): Reader<T> {
  const readers = new Map<unknown, Reader<T>>(Object.entries(cases));
  const names = [...readers.keys()].join(', ');
  return (value, path) => {
    const reader = readers.get(members(value, path)[tag]);
    return reader === undefined ? fail(`${path}.${tag}`, `one of ${names}`) : reader(value, path);
  };
}

export function members(value: unknown, path: string): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : fail(path, 'an object');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail(path: string, expected: string): never {
  throw new TypeError(`[@reg/core] not a transcript: ${path} is not ${expected}`);
}
