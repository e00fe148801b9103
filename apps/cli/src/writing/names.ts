/**
 * Lists of names, tags or repositories, on stdout.
 *
 * Rules of this file: each name is one line, whatever it is made of, and printed as it comes; only one document is held whole.
 */

import { toVisible } from '@reg/core';
import { type List, type ListOptions, namesOf } from '../reading/names.ts';
import type { Again } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { jsonDocument, jsonLine } from '../report/json.ts';
import type { Surroundings } from '../surroundings.ts';
import { write } from './write.ts';

export interface PrintOptions extends ListOptions {
  readonly output: 'text' | 'json' | 'ndjson';
}

/** One list of names, and its forms in JSON. */
export interface PrintedList extends List {
  /** The document of `-o json`. */
  readonly document: (names: readonly string[]) => object;
  /** A line of `-o ndjson`. */
  readonly line: (name: string) => object;
}

/** Reads the list and prints it. Throws a `Complaint` when it cannot be read to its end, after what there was of it. */
export async function printNames(
  client: Client,
  list: PrintedList,
  options: PrintOptions,
  surroundings: Surroundings,
): Promise<void> {
  const names = namesOf(client, list, options);
  if (options.output === 'json') {
    const document = list.document(await collected(names, list.again));
    await write(jsonDocument(document), surroundings);
    return;
  }
  const render =
    options.output === 'text'
      ? (name: string): string => `${toVisible(name)}\n`
      : (name: string): string => jsonLine(list.line(name));
  for await (const page of names) {
    if (page.length > 0) await write(page.map(render).join(''), surroundings);
  }
}

/** UTF-16 units of all names in one document. A list without end would fill the memory. */
const DOCUMENT_CHARS = 64 * 1024 * 1024;

async function collected(names: AsyncIterable<readonly string[]>, { command }: Again): Promise<string[]> {
  const all: string[] = [];
  let size = 0;
  for await (const page of names) {
    for (const name of page) size += name.length;
    if (size > DOCUMENT_CHARS)
      throw new Complaint(exitCode.unexpected, 'the list is too long for one JSON document', {
        hint: `${command} -o ndjson`,
      });
    all.push(...page);
  }
  return all;
}
