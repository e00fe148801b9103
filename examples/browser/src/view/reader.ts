/** The second tool: a challenge that is read as it is typed, and the token server in it judged. */

import { defaultPolicy } from '@reg/core';
import { linesOf, readField } from '../challenge.ts';
import { decide } from '../verdict.ts';
import { drawDecisions } from './decisions.ts';
import { byId, element } from './element.ts';
import { drawField } from './field.ts';

const example =
  'Bearer realm="https://auth.example/token";service=registry.example,scope="repository:team/app:pull,push", Basic realm="old door';

/** Lets the tool work. It begins with a challenge that has faults to look at. */
export function startReader(): void {
  const header = byId('header', HTMLTextAreaElement);
  const sender = byId('sender', HTMLInputElement);
  const reading = byId('reading', HTMLElement);
  const read = (): void => {
    const lines = linesOf(header.value);
    const field = readField(lines);
    const empty = lines.length === 0;
    reading.replaceChildren(
      ...(empty ? [element('p', { class: 'none' }, 'Nothing to read yet.')] : drawField(field)),
      ...judged(field.realm, sender.value.trim()),
    );
  };
  header.value = example;
  header.addEventListener('input', read);
  sender.addEventListener('input', read);
  read();
}

function judged(realm: string | null, sender: string): readonly HTMLElement[] {
  const isUrl = URL.canParse(sender) && ['https:', 'http:'].includes(new URL(sender).protocol);
  if (realm === null || !isUrl) return [];
  const registry = new URL(sender).origin;
  return [
    element('h3', {}, 'What a page with a credential would decide'),
    drawDecisions(decide(realm, { registry, credential: true }, defaultPolicy)),
  ];
}
