/** What the diagram shows before anything was sent: the three exchanges of most handshakes. */

import { element } from './element.ts';

const exchanges = [
  ['registry', 'GET /v2/team/app/tags/list', '401, and a challenge: ask that token server'],
  ['authority', 'GET /token?scope=repository:team/app:pull', '200, and a token for a few minutes'],
  ['registry', 'GET /v2/team/app/tags/list, with the token', '200, and the tags'],
] as const;

export function drawEmpty(place: HTMLElement): void {
  place.replaceChildren(
    element('p', { class: 'empty-title' }, 'Nothing is sent yet. Most handshakes go like this:'),
    element(
      'ol',
      { class: 'ghosts' },
      ...exchanges.map(([to, request, reply]) =>
        element(
          'li',
          { 'data-to': to },
          element('span', {}, request),
          element('span', { class: 'ghost-reply' }, reply),
        ),
      ),
    ),
  );
}
