/** The arrow of a message: slanted, since time runs down. The style sheet turns it to its side and plays it. */

import { drawing, element } from './element.ts';

export function wire(way: 'out' | 'back'): HTMLElement {
  const line = drawing('line', {
    x1: '0',
    y1: '0',
    x2: '100',
    y2: '100',
    'vector-effect': 'non-scaling-stroke',
  });
  const picture = drawing('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none' }, line);
  return element(
    'span',
    { class: `wire ${way}`, 'aria-hidden': 'true' },
    picture,
    element('span', { class: 'tip' }),
  );
}
