/**
 * The check of what a web page needs (`cors.headers`).
 *
 * Rules of this file: pure; the first header line that is missing is named as it is to be written.
 */

import type { HeaderList } from '@reg/core';
import { type Decision, type Fix, ok } from '../finding.ts';
import type { CorsAnswer, CorsFacts } from '../gather/cors.ts';

/** `cors.headers` */
export function decideCors({ origin, answers }: CorsFacts, registry: string): Decision {
  for (const { plain, preflight } of answers) {
    const missing = faultOf(plain, preflight, origin);
    if (missing === null) continue;
    const { answer, line, why } = missing;
    return {
      status: 'problem',
      summary: `${answer.who}: ${why}`,
      evidence: [
        `${answer.request} answered ${answer.status ?? 'nothing'}`,
        ...answer.headers
          .filter(([name]) => name.startsWith('access-control-'))
          .map(([name, value]) => `${name}: ${value}`),
      ],
      cause: 'cors-header-missing',
      fix: fixOf(line, answer, registry),
    };
  }
  return ok(`a page at ${origin} can sign in and read`);
}

interface Missing {
  readonly answer: CorsAnswer;
  readonly line: string;
  readonly why: string;
}

/** In the order in which a page would meet them. */
function faultOf(plain: CorsAnswer, preflight: CorsAnswer, origin: string): Missing | null {
  const allowOrigin = `Access-Control-Allow-Origin: ${origin}`;
  if (!allowsOrigin(plain.headers, origin)) {
    return { answer: plain, line: allowOrigin, why: 'its answers cannot be read by the page' };
  }
  if (
    plain.who === 'registry' &&
    plain.status === 401 &&
    !lists(plain.headers, 'access-control-expose-headers', 'www-authenticate', true)
  ) {
    return {
      answer: plain,
      line: 'Access-Control-Expose-Headers: WWW-Authenticate',
      why: 'the page cannot see where to sign in',
    };
  }
  const { status, headers } = preflight;
  if (status === null || status < 200 || status > 299) {
    return {
      answer: preflight,
      line: allowOrigin,
      why: `a preflight (OPTIONS) must be answered with 204 and without a login, not with ${status ?? 'nothing'}`,
    };
  }
  if (!allowsOrigin(headers, origin))
    return { answer: preflight, line: allowOrigin, why: 'its preflight lets the page in nowhere' };
  // A `*` never stands for Authorization.
  if (!lists(headers, 'access-control-allow-headers', 'authorization', false)) {
    return {
      answer: preflight,
      line: 'Access-Control-Allow-Headers: Authorization',
      why: 'the page may not send a token',
    };
  }
  return null;
}

function allowsOrigin(headers: HeaderList, origin: string): boolean {
  const values = valuesOf(headers, 'access-control-allow-origin');
  return values.length === 1 && (values[0] === '*' || values[0] === origin);
}

function lists(headers: HeaderList, name: string, member: string, star: boolean): boolean {
  const members = valuesOf(headers, name).flatMap((value) => value.toLowerCase().split(','));
  return members.some((one) => one.trim() === member || (star && one.trim() === '*'));
}

function valuesOf(headers: HeaderList, name: string): readonly string[] {
  return headers.filter(([field]) => field === name).map(([, value]) => value.trim());
}

function fixOf(line: string, { who, request }: CorsAnswer, registry: string): Fix {
  const [name = '', value = ''] = line.split(': ');
  const where =
    who === 'registry'
      ? `to every answer of ${registry}, 401 too (in config.yml of docker-registry under http.headers, as ${name}: [${value}]; in nginx by add_header with always)`
      : 'to every answer of the token server (in nginx by add_header with always)';
  const preflight = request.startsWith('OPTIONS')
    ? ' A proxy before it must answer OPTIONS by itself, with 204.'
    : '';
  return { text: `add this line ${where}.${preflight}`, command: null, line };
}
