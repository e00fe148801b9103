/** A challenge, drawn: the field with its faults marked, what is wrong there, and what it was read as. */

import { type ReadChallenge, type ReadField, scopeEntries } from '../challenge.ts';
import { element } from './element.ts';

export function drawField(field: ReadField): readonly HTMLElement[] {
  const { pieces, unshown, challenges, faults } = field;
  const text = pieces.map(({ text, fault }) =>
    fault === 0
      ? text
      : element('mark', { title: faults[fault - 1]?.message ?? '' }, text, element('sup', {}, String(fault))),
  );
  const rest =
    unshown === 0
      ? null
      : element('span', { class: 'faint' }, ` … ${unshown.toLocaleString('en')} more characters`);
  return [
    element('p', { class: 'wire-text' }, ...text, rest),
    ...(faults.length === 0 ? [] : [drawFaults(faults)]),
    ...challenges.map(drawChallenge),
    ...(challenges.length === 0 ? [element('p', { class: 'none' }, 'Nothing in it can be answered.')] : []),
  ];
}

function drawFaults(faults: ReadField['faults']): HTMLElement {
  return element(
    'ol',
    { class: 'faults' },
    ...faults.map(({ offset, message }) =>
      element('li', {}, message, element('span', { class: 'faint' }, `, at ${offset.toLocaleString('en')}`)),
    ),
  );
}

function drawChallenge({ scheme, lenient, token68, params }: ReadChallenge): HTMLElement {
  return element(
    'dl',
    { class: 'params' },
    ...entry('scheme', [scheme, lenient ? element('span', { class: 'lenient' }, 'read leniently') : null]),
    ...(token68 === null ? [] : entry('token68', [token68])),
    ...params.flatMap(({ name, value }) => entry(name, name === 'scope' ? drawScopes(value) : [value])),
  );
}

function entry(name: string, value: readonly (string | HTMLElement | null)[]): readonly HTMLElement[] {
  return [element('dt', {}, name), element('dd', {}, ...value)];
}

function drawScopes(text: string): readonly (string | HTMLElement)[] {
  const entries = scopeEntries(text);
  if (entries.length === 0) return [element('span', { class: 'faint' }, 'none')];
  return entries.map(({ what, actions }) =>
    element(
      'span',
      { class: 'scope' },
      what,
      ...actions.map((action) => element('span', { class: 'action' }, action)),
    ),
  );
}
