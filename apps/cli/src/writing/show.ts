/**
 * What a server sent, on stdout: to a pipe or file byte for byte, to a terminal as text that does nothing to it.
 *
 * Rules of this file: a terminal obeys what it is shown, so it is shown no byte of a server's that is not printable, but line
 * ends and tabs. What is no text is not shown at all.
 */

import { toVisible } from '@reg/core';
import { usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import { write } from './write.ts';

/**
 * Writes `chunks` to stdout as they come.
 *
 * @param hint how to have what cannot be shown on a terminal
 * @throws Complaint when stdout is a terminal and they are no text
 */
export async function show(
  chunks: AsyncIterable<Uint8Array>,
  hint: string,
  surroundings: Surroundings,
): Promise<void> {
  if (surroundings.stdout.isTTY !== true) {
    for await (const chunk of chunks) await write(chunk, surroundings);
    return;
  }
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let last = '\n';
  const showText = async (text: string): Promise<void> => {
    if (text === '') return;
    last = text;
    await write(visibleText(text), surroundings);
  };
  for await (const chunk of chunks)
    await showText(textOf(() => decoder.decode(chunk, { stream: true }), hint));
  await showText(textOf(() => decoder.decode(), hint));
  // The shell's prompt begins a line.
  if (!last.endsWith('\n')) await write('\n', surroundings);
}

function textOf(decode: () => string, hint: string): string {
  try {
    const text = decode();
    if (!text.includes('\0')) return text;
  } catch {
    // No UTF-8.
  }
  throw usage('this is no text, and stdout is a terminal', hint);
}

/** `text` with its lines and tabs, and everything else that is not printable spelled out. */
export function visibleText(text: string): string {
  return text
    .split('\n')
    .map((line) => line.split('\t').map(toVisible).join('\t'))
    .join('\n');
}
