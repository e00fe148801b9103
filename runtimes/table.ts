/**
 * The table of runtimes in README.md.
 *
 * Rules of this file: it says what the run found, and nothing of the day, the machine or a version that nobody pinned. A cell
 * that is not all green has a note that says why.
 */

import { readFile, writeFile } from 'node:fs/promises';
import type { Cell } from './cell.ts';
import type { Package } from './start.ts';

export interface Row {
  readonly runtime: string;
  readonly cells: ReadonlyMap<Package, Cell>;
}

const columns: readonly Package[] = ['@reg/core', '@reg/browser', '@reg/node'];
const readme = new URL('../README.md', import.meta.url);
const begin = '<!-- runtimes: written by `pnpm test:runtimes` -->';
const end = '<!-- /runtimes -->';

/** Writes the table between its markers; when `checking`, answers whether it is there already. */
export async function updateTable(rows: readonly Row[], checking: boolean): Promise<boolean> {
  const text = await readFile(readme, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md lacks ${begin} … ${end}`);
  const updated = `${text.slice(0, from)}${begin}\n${tableOf(rows)}${text.slice(to)}`;
  if (checking) return updated === text;
  await writeFile(readme, updated);
  return true;
}

function tableOf(rows: readonly Row[]): string {
  const notes: string[] = [];
  const noteOf = (why: string): number => {
    if (!notes.includes(why)) notes.push(why);
    return notes.indexOf(why) + 1;
  };
  const lines = rows.map(({ runtime, cells }) => {
    const shown = columns.map((column) => {
      const cell = cells.get(column);
      if (cell === undefined) return '–';
      const marks = cell.excepted.map(noteOf).sort((a, b) => a - b);
      return `${cell.passed} of ${cell.cases}${marks.length === 0 ? '' : ` <sup>${marks.join(' ')}</sup>`}`;
    });
    return `| ${[runtime, ...shown].join(' | ')} |`;
  });
  return [
    `| cases passed | ${columns.map((column) => `\`${column}\``).join(' | ')} |`,
    `|---|${columns.map(() => '---|').join('')}`,
    ...lines,
    '',
    ...notes.map((why, index) => `${index + 1}. ${why}`),
    '',
  ].join('\n');
}
