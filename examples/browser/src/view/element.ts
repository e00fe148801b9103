/**
 * Elements, made of names, attributes and text.
 *
 * Rules of this file: a text becomes a text node and nothing else, so that no peer's word is ever markup; attributes are the
 * page's own words. Nothing here knows what it draws.
 */

type Attributes = Readonly<Record<string, string | boolean>>;
type Child = Node | string | null;

/** An element of HTML. An attribute that is `false` is left out, one that is `true` is there without a value. */
export function element<N extends keyof HTMLElementTagNameMap>(
  name: N,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[N] {
  const made = document.createElement(name);
  fill(made, attributes, children);
  return made;
}

/** An element of SVG, for decoration: hidden from who listens to the page. */
export function drawing<N extends keyof SVGElementTagNameMap>(
  name: N,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[N] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  fill(made, attributes, children);
  return made;
}

function fill(made: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== null));
}

/** The page's own element `id`, of the kind that `index.html` makes it. */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new TypeError(`index.html has no ${kind.name} #${id}`);
}

/** Words for who listens and does not look. */
export function unseen(text: string): HTMLElement {
  return element('span', { class: 'hidden' }, text);
}
