/** A secret, as it may be shown: locked, with a number that says which one it is. */

import { drawing, element } from './element.ts';

/** A chip for `kind` number `number`, 0 for one that is not told apart. */
export function secretChip(kind: 'password' | 'token' | 'identity token', number: number): HTMLElement {
  return element(
    'span',
    { class: 'secret', 'data-kind': kind === 'token' ? 'token' : 'credential' },
    lock(),
    element('span', {}, number === 0 ? kind : `${kind} ${number}`),
    element('span', { class: 'tint', 'aria-hidden': 'true' }),
  );
}

function lock(): SVGElement {
  return drawing(
    'svg',
    { viewBox: '0 0 12 14', class: 'lock', 'aria-hidden': 'true' },
    drawing('path', { d: 'M1 6h10v7H1z' }),
    drawing('path', { d: 'M3.25 6V4a2.75 2.75 0 0 1 5.5 0v2', class: 'shackle' }),
  );
}
