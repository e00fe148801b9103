/** What the diagram shows before anything was sent: the three exchanges of most handshakes. */

import { element } from './element.ts';
import { wire } from './wire.ts';

const exchanges = [
  ['registry', 'GET /v2/team/app/tags/list', '401 and a challenge: whom to ask for a token'],
  ['authority', 'GET /token?scope=repository:team/app:pull', '200 and a token, good for minutes'],
  ['registry', 'GET /v2/team/app/tags/list with the token', '200 and the tags'],
] as const;

export function drawEmpty(place: HTMLElement): void {
  const said = element(
    'div',
    { class: 'notes after' },
    element('p', { class: 'note' }, 'Nothing is sent yet. Most handshakes go like this.'),
  );
  place.replaceChildren(
    element(
      'ol',
      { class: 'rows ghosts' },
      ...exchanges.map(([to, request, reply], index) =>
        element(
          'li',
          { class: 'row', 'data-to': to },
          element(
            'div',
            { class: 'message' },
            element('p', { class: 'sent line' }, request),
            wire('out'),
            element('p', { class: 'reply line' }, reply),
            wire('back'),
          ),
          index === 0 ? said : null,
        ),
      ),
    ),
  );
}
