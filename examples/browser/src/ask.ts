/**
 * What the person at the page asks for: a text and a few settings, made into one request and who sends it.
 *
 * Rules of this file: pure. What cannot be asked is told with the field it stands in and never quoted, since a password may have
 * been pasted into the wrong one. A secret goes into `credential` and nowhere else; `link` is what may stand in the page's URL.
 */

import { type Credential, endpoint, formatReference, parseChallenges, parseReference } from '@reg/core';

/** The form, as it is filled in. */
export interface Form {
  /** `docker.io/library/busybox`, `localhost:5000/app`, or a URL. */
  readonly image: string;
  readonly who: 'nobody' | 'password' | 'identity';
  readonly username: string;
  readonly password: string;
  readonly token: string;
  /** Origin of a token server that may have the credential, beside those the core trusts. */
  readonly trusted: string;
  /** What the registry would say in `WWW-Authenticate`, for one that does not let the page read it. */
  readonly challenge: string;
  /** POST the password as a form, which needs no preflight. */
  readonly asForm: boolean;
}

export type Field = 'image' | 'username' | 'password' | 'token' | 'trusted' | 'challenge';

export interface Ask {
  readonly url: string;
  /** Origin of `url`. */
  readonly registry: string;
  /** What is asked for, for people. */
  readonly title: string;
  /** For `?image=`: never a query, a fragment or a credential. */
  readonly link: string;
  readonly credential: Credential | null;
  readonly trusted: string | null;
  readonly challenge: string | null;
  readonly asForm: boolean;
}

export type Asked =
  | { readonly ok: true; readonly ask: Ask }
  | { readonly ok: false; readonly field: Field; readonly reason: string };

class Unfit extends Error {
  readonly field: Field;

  constructor(field: Field, reason: string) {
    super(reason);
    this.field = field;
  }
}

/** Reads the form. */
export function readForm(form: Form): Asked {
  try {
    const { url, title, link } = readTarget(form.image.trim());
    return {
      ok: true,
      ask: {
        url: url.href,
        registry: url.origin,
        title,
        link,
        credential: readCredential(form),
        trusted: readTrusted(form.trusted.trim()),
        challenge: readChallenge(form.challenge.trim()),
        asForm: form.asForm,
      },
    };
  } catch (error) {
    if (error instanceof Unfit) return { ok: false, field: error.field, reason: error.message };
    throw error;
  }
}

/** What a page's query asks for, in a form that may stand there; `''` where that is nothing that can be asked. */
export function linkIn(query: string): string {
  try {
    return readTarget((new URLSearchParams(query).get('image') ?? '').trim()).link;
  } catch (error) {
    if (error instanceof Unfit) return '';
    throw error;
  }
}

/** The page's query that asks for `link`. */
export function addressOf(link: string): string {
  const image = encodeURIComponent(link).replaceAll('%2F', '/').replaceAll('%3A', ':');
  return link === '' ? '' : `?image=${image}`;
}

type Target = { readonly url: URL } & Pick<Ask, 'title' | 'link'>;

function readTarget(text: string): Target {
  if (text === '') throw new Unfit('image', 'Name an image, a repository or a registry.');
  if (!text.includes('://')) return ofReference(text);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Unfit('image', 'A URL begins with https://, or with http:// for this machine.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new Unfit('image', 'Leave user name and password out of the URL: there are fields for them.');
  }
  url.hash = '';
  if (url.pathname === '/') url.pathname = '/v2/';
  // The address of an image as a web page or a script writes it.
  else if (!url.pathname.includes('/v2/'))
    return ofReference(url.host + url.pathname, url.protocol === 'http:');
  const link = url.origin + url.pathname;
  return { url, title: url.pathname === '/v2/' ? url.host : link, link };
}

function ofReference(text: string, insecure?: boolean): Target {
  try {
    const reference = parseReference(text);
    const url = endpoint(reference, 'tags', insecure === undefined ? {} : { insecure });
    return { url, title: reference.repository, link: formatReference(reference) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // `[@reg/core] invalid reference: the reason, at position 3`
    const reason = error.message.slice(error.message.indexOf(': ') + 2);
    throw new Unfit('image', `This names no repository: ${reason}.`);
  }
}

function readCredential({ who, username, password, token }: Form): Credential | null {
  switch (who) {
    case 'nobody':
      return null;
    case 'password':
      if (username === '') throw new Unfit('username', 'The user name is missing.');
      if (password === '') throw new Unfit('password', 'The password is missing.');
      return { type: 'password', username, password };
    case 'identity':
      if (token === '') throw new Unfit('token', 'The identity token is missing.');
      return { type: 'identity', token };
  }
}

function readTrusted(text: string): string | null {
  if (text === '') return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isOrigin =
    url !== null && url.origin !== 'null' && url.origin === text.toLowerCase().replace(/\/$/, '');
  if (isOrigin) return url.origin;
  throw new Unfit('trusted', 'This must be an origin, https://host, and nothing after it.');
}

function readChallenge(text: string): string | null {
  if (text === '') return null;
  const { challenges } = parseChallenges(text);
  if (challenges.some(({ scheme }) => scheme === 'bearer' || scheme === 'basic')) return text;
  throw new Unfit('challenge', 'This is no Bearer and no Basic challenge.');
}
