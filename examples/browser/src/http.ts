/** The reason phrases of the statuses that registries answer with (RFC 9110 §15), which HTTP/2 leaves out. */

/** `Unauthorized` for 401; `''` for a status nobody expects. */
export function phraseOf(status: number): string {
  return phrases.get(status) ?? '';
}

const phrases: ReadonlyMap<number, string> = new Map([
  [200, 'OK'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [429, 'Too Many Requests'],
  [500, 'Internal Server Error'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
]);
