/** The tags that came, in pages, with a field to find some. */

import { toVisible } from '@reg/core';
import { pageSize, shownOf } from '../pages.ts';
import type { Secrets } from '../secrets.ts';
import { element } from './element.ts';

/** Characters of one tag that are shown: a tag has 128 at most, and a registry may send anything. */
const longestTag = 160;

export function drawTags(tags: readonly string[], secrets: Secrets): HTMLElement {
  const texts = tags.map((tag) => {
    const shown = toVisible(secrets.hide(tag, longestTag));
    return tag.length > longestTag ? `${shown}…` : shown;
  });
  const list = element('ul', { class: 'tag-list', 'aria-label': 'Tags' });
  const count = element('p', { class: 'tag-count', role: 'status' });
  const filter = element('input', {
    type: 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'none',
  });
  const back = element('button', { class: 'button quiet small', type: 'button' }, 'Previous');
  const on = element('button', { class: 'button quiet small', type: 'button' }, 'Next');
  let page = 0;
  const draw = (): void => {
    const shown = shownOf(texts, filter.value, page);
    page = shown.page;
    list.replaceChildren(...shown.items.map((tag) => element('li', {}, tag)));
    count.textContent = wordsFor(shown);
    const focused = document.activeElement;
    back.disabled = shown.page === 0;
    on.disabled = shown.page === shown.pages - 1;
    // A button that cannot be pressed any more would take the focus with it, to nowhere.
    if (focused === back && back.disabled) on.focus();
    if (focused === on && on.disabled) back.focus();
  };
  filter.addEventListener('input', () => {
    page = 0;
    draw();
  });
  back.addEventListener('click', () => {
    page -= 1;
    draw();
  });
  on.addEventListener('click', () => {
    page += 1;
    draw();
  });
  draw();
  const isLong = texts.length > pageSize;
  return element(
    'div',
    { class: 'tags' },
    isLong
      ? element(
          'div',
          { class: 'tag-tools' },
          element('label', { class: 'field' }, element('span', { class: 'label' }, 'Find tags with'), filter),
          element('div', { class: 'tag-pages' }, count, back, on),
        )
      : null,
    list,
  );
}

function wordsFor({ first, last, found, all }: ReturnType<typeof shownOf>): string {
  const number = (value: number): string => value.toLocaleString('en');
  const of = found === all ? number(all) : `${number(found)} found among ${number(all)}`;
  return found === 0 ? `none found among ${number(all)}` : `${number(first)}–${number(last)} of ${of}`;
}
