/** How a run ended, drawn. */

import { toVisible } from '@reg/core';
import { outcomeOf } from '../outcome.ts';
import type { Answer, Ending } from '../run.ts';
import type { Secrets } from '../secrets.ts';
import { drawLine } from './copy.ts';
import { element } from './element.ts';
import { drawTags } from './tags.ts';

/** Characters of a body that are shown. */
const longestBody = 4_096;
/** Of a sentence about what failed, with what the server said in it. */
const longestSentence = 8_192;

export function drawOutcome(section: HTMLElement, ending: Ending, about: string, secrets: Secrets): void {
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
    ...(text === '' ? [] : [element('p', { class: 'told' }, secrets.hide(text, longestSentence))]),
    ...lines.map(drawLine),
    ...(ending.type === 'answered' ? drawAnswer(ending.answer, secrets) : []),
  );
  section.hidden = false;
}

function drawAnswer(answer: Answer, secrets: Secrets): readonly HTMLElement[] {
  if (answer.type === 'tags') {
    return answer.tags.length === 0
      ? [element('p', { class: 'told' }, 'The repository is there and has no tag.')]
      : [drawTags(answer.tags, secrets)];
  }
  if (answer.text.trim() === '') return [];
  const rest = answer.text.length > longestBody ? '…' : '';
  return [
    element('p', { class: 'paste-label' }, 'What it says'),
    element('pre', { class: 'body' }, toVisible(secrets.hide(answer.text, longestBody)) + rest),
  ];
}
