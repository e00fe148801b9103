/** How a run ended, drawn. */

import { toVisible } from '@reg/core';
import { outcomeOf } from '../outcome.ts';
import type { Ending } from '../run.ts';
import { drawLine } from './copy.ts';
import { element } from './element.ts';
import { drawTags } from './tags.ts';

export function drawOutcome(section: HTMLElement, ending: Ending, about: string): void {
  const { tone, title, who, text, lines } = outcomeOf(ending);
  section.dataset['tone'] = tone;
  section.replaceChildren(
    element(
      'header',
      { class: 'outcome-head' },
      element('h3', { id: 'outcome-title' }, title),
      element('p', { class: 'about' }, toVisible(about)),
    ),
    ...(who === '' ? [] : [element('p', { class: 'whose' }, who)]),
    ...(text === '' ? [] : [element('p', { class: 'told' }, text)]),
    ...lines.map(drawLine),
    ...(ending.type === 'answered' ? drawAnswer(ending.answer) : []),
  );
  section.hidden = false;
}

function drawAnswer(answer: (Ending & { type: 'answered' })['answer']): readonly HTMLElement[] {
  if (answer.type === 'tags') {
    return answer.tags.length === 0
      ? [element('p', { class: 'told' }, 'The repository is there and has no tag.')]
      : [drawTags(answer.tags)];
  }
  if (answer.text.trim() === '') return [];
  const rest = answer.cut ? '…' : '';
  return [
    element('p', { class: 'paste-label' }, 'What it says'),
    element('pre', { class: 'body' }, toVisible(answer.text) + rest),
  ];
}
