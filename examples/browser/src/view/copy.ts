/** A line to paste somewhere, with a button that copies it. */

import type { Line } from '../outcome.ts';
import { element } from './element.ts';

export function drawLine({ label, text }: Line): HTMLElement {
  const code = element('code', {}, text);
  const button = element('button', { class: 'button quiet small', type: 'button' }, 'Copy');
  button.setAttribute('aria-label', `Copy: ${label}`);
  const said = element('span', { class: 'copied', role: 'status' });
  button.addEventListener('click', () => {
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new TypeError('no clipboard'));
    copied.then(
      () => {
        said.textContent = 'Copied';
      },
      () => {
        // No permission: the text is selected, and the keyboard copies it.
        getSelection()?.selectAllChildren(code);
        said.textContent = 'Selected: copy it with the keyboard';
      },
    );
  });
  return element(
    'div',
    { class: 'paste' },
    element('p', { class: 'paste-label' }, label),
    element('div', { class: 'paste-line' }, element('pre', {}, code), button),
    said,
  );
}
