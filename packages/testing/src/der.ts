/**
 * The part of DER (ITU-T X.690) that a certificate is made of.
 *
 * Rules of this file: encoding only; every function returns a whole tag-length-value.
 */

/** One element: `tag`, then the length of all `parts`, then the parts. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** Definite length, short form below 128 (X.690 §8.1.3). */
function length(value: number): Buffer {
  if (value < 0x80) return Buffer.from([value]);
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => element(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => element(0x31, ...parts);
export const octetString = (content: Uint8Array): Buffer => element(0x04, content);
export const nothing: Buffer = element(0x05);
export const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text));
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]));

/** `[number]` around or in place of another tag; constructed when it holds elements. */
export const context = (number: number, constructed: boolean, ...parts: readonly Uint8Array[]): Buffer =>
  element((constructed ? 0xa0 : 0x80) | number, ...parts);

/** `unused` counts the bits at the end that do not belong to the string. */
export const bitString = (content: Uint8Array, unused = 0): Buffer =>
  element(0x03, Buffer.from([unused]), content);

/** A non-negative integer of big-endian `bytes`. A leading zero keeps the sign bit clear. */
export function integer(bytes: Uint8Array): Buffer {
  const negative = (bytes[0] ?? 0) >= 0x80;
  return negative ? element(0x02, Buffer.from([0]), bytes) : element(0x02, bytes);
}

/** An object identifier in dotted form: the first two arcs share a byte, the others are base 128 (X.690 §8.19). */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) groups.unshift((high & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return element(0x06, Buffer.from(bytes));
}

/** UTCTime, which X.509 uses for dates before 2050 (RFC 5280 §4.1.2.5). */
export function utcTime(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return element(0x17, Buffer.from(`${digits}Z`));
}
