/**
 * A token: how much of its life is left, and what it was asked for against what it was granted.
 *
 * Rules of this file: nothing of the token itself is known here. The bar is moved once a second, without a word to who listens: the
 * words beside it can be read at any time.
 */

import { monotonicNow } from '@reg/core/driver';
import { lifeAt } from '../life.ts';
import type { ScopeRow } from '../scopes.ts';
import type { Note } from '../story.ts';
import { element } from './element.ts';
import { secretChip } from './secret.ts';

type TokenNote = Note & { readonly type: 'token' };

export function drawToken(note: TokenNote): readonly HTMLElement[] {
  const { secret, scopes, told } = note;
  return [
    element('p', { class: 'note-title' }, secretChip('token', secret)),
    drawLife(note),
    ...(scopes.length === 0 ? [] : [drawScopeTable(scopes, told)]),
  ];
}

function drawLife({ from, until }: TokenNote): HTMLElement {
  const words = element('span', { class: 'life-words' });
  const bar = element(
    'span',
    { class: 'life-bar', 'aria-hidden': 'true' },
    element('span', { class: 'life-left' }),
  );
  const life = element('p', { class: 'life' }, words, bar);
  const draw = (): void => {
    const { left, words: text, over } = lifeAt(monotonicNow(), from, until);
    words.textContent = text;
    bar.style.setProperty('--left', String(left));
    life.toggleAttribute('data-over', over);
    if (over) clearInterval(timer);
  };
  const timer = setInterval(() => {
    // A row that was drawn anew has another bar.
    if (life.isConnected) draw();
    else clearInterval(timer);
  }, 1000);
  draw();
  return life;
}

const marks = { yes: 'granted', no: 'not granted', untold: 'not told' } as const;

function drawScopeTable(rows: readonly ScopeRow[], told: boolean): HTMLElement {
  return element(
    'table',
    { class: 'scopes' },
    element(
      'caption',
      {},
      told ? 'Asked and granted' : 'Asked; the token server does not say what it granted',
    ),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...['What', 'Action', 'Granted'].map((name) => element('th', { scope: 'col' }, name)),
      ),
    ),
    element('tbody', {}, ...rows.flatMap(drawScopeRows)),
  );
}

function drawScopeRows({ what, asked, more }: ScopeRow): readonly HTMLElement[] {
  const lines = [
    ...asked.map(({ action, granted }) => [action, granted, marks[granted]] as const),
    ...more.map((action) => [action, 'more', 'granted unasked'] as const),
  ];
  return lines.map(([action, granted, words], index) =>
    element(
      'tr',
      { 'data-granted': granted },
      ...(index === 0 ? [element('th', { scope: 'rowgroup', rowspan: String(lines.length) }, what)] : []),
      element('td', {}, action),
      element('td', {}, words),
    ),
  );
}
