/**
 * URLs for people, without what may be a secret.
 *
 * Rules of this file: of a URL only origin and path are told, as by the core: userinfo is a password, and a query may hold a
 * signature. What comes out is not made visible yet.
 */

/** Origin and path; of what is no URL, what stands before a query and after an `@`. */
export function bareUrl(url: string): string {
  if (URL.canParse(url)) {
    const { protocol, origin, pathname } = new URL(url);
    // What only begins like a URL may hold anything.
    if (origin === 'null') return `${protocol}…`;
    return pathname === '/' ? origin : origin + pathname;
  }
  const [beforeQuery = ''] = url.split('?', 1);
  return beforeQuery.slice(beforeQuery.lastIndexOf('@') + 1);
}
