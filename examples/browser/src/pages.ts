/**
 * A long list in pages: what is found in it, and what of that is shown.
 *
 * Rules of this file: pure; a page is small enough for any machine to draw, however long the list is.
 */

export const pageSize = 60;

export interface Shown {
  readonly items: readonly string[];
  /** From 0. */
  readonly page: number;
  readonly pages: number;
  /** Place of the first and last item shown among those found, from 1; both 0 when nothing was found. */
  readonly first: number;
  readonly last: number;
  readonly found: number;
  readonly all: number;
}

/** The page of `items` that hold `filter`, upper and lower case alike. A page that is not there is the last. */
export function shownOf(items: readonly string[], filter: string, wanted: number): Shown {
  const needle = filter.trim().toLowerCase();
  const found = needle === '' ? items : items.filter((item) => item.toLowerCase().includes(needle));
  const pages = Math.max(1, Math.ceil(found.length / pageSize));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  const start = page * pageSize;
  const shown = found.slice(start, start + pageSize);
  return {
    items: shown,
    page,
    pages,
    first: shown.length === 0 ? 0 : start + 1,
    last: start + shown.length,
    found: found.length,
    all: items.length,
  };
}
