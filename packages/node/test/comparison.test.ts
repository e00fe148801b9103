/** What `docs/comparison.md` says is done here is shown by what it names. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const text = readFileSync(at('docs/comparison.md'), 'utf8');

/** Feature, six clients, and here. */
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| |'))
  .map((line) => line.slice(2, -2).split(' | '));

/** Files in backquotes, each with the title in quotation marks that follows it, if one does. */
function citations(words: string): readonly { readonly path: string; readonly title: string }[] {
  const found = words.matchAll(/`([\w./-]+\.(?:ts|md))`(?:\s+“([^”]*)”)?/g);
  return [...found].map(([, path = '', title = '']) => ({ path, title: title.replaceAll(/\s+/g, ' ') }));
}

/** What is wrong with a file or a title that is named. */
function faultOf({ path, title }: { readonly path: string; readonly title: string }): string | null {
  if (!existsSync(at(path))) return `${path} is not there`;
  return readFileSync(at(path), 'utf8').includes(title) ? null : `${path} has no '${title}'`;
}

test('every file and title that it names is there', () => {
  const named = citations(text);
  expect(named.length).toBeGreaterThan(90);
  expect(named.map(faultOf).filter((fault) => fault !== null)).toEqual([]);
});

test.each(rows)('%s', (...row) => {
  expect(row).toHaveLength(8);
  const [, ...others] = row.slice(0, -1);
  expect(new Set(others), 'none of the others does it').not.toEqual(new Set(['–']));
  const here = row.at(-1) ?? '';
  const [verdict] = here.split(':');
  switch (verdict) {
    case 'yes':
    case 'otherwise':
      expect(citations(here), 'what shows it').not.toEqual([]);
      return;
    case 'unsafe':
      expect(here).toMatch(/\b(CVE-\d{4}-\d{4,}|GHSA(-\w{4}){3})\b/);
      return;
    case 'postponed':
      expect(here.length, 'the reason').toBeGreaterThan('postponed: '.length + 20);
      return;
    default:
      throw new Error(`'${here}' is no verdict`);
  }
});
