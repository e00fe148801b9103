/** The three decisions about a token server, drawn as stamps. */

import type { Decision } from '../verdict.ts';
import { element } from './element.ts';

const stamps = { yes: 'Yes', no: 'No', nothing: 'None' } as const;

export function drawDecisions(decisions: readonly Decision[]): HTMLElement {
  return element(
    'ul',
    { class: 'decisions' },
    ...decisions.map(({ question, answer, why }) =>
      element(
        'li',
        { 'data-answer': answer },
        element('span', { class: 'question' }, question),
        element('strong', { class: 'stamp' }, stamps[answer]),
        element('span', { class: 'why' }, why),
      ),
    ),
  );
}
