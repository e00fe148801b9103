/**
 * The check of what a web page needs (`cors.headers`).
 *
 * Rules of this file: pure; the first header line that is missing is named as it is to be written.
 */

import type { HeaderList } from '@reg/core';
import { type CauseId, type Decision, type Fix, ok } from '../finding.ts';
import type { CorsAnswer, CorsFacts } from '../gather/cors.ts';

/** `cors.headers` */
export function decideCors({ origin, answers }: CorsFacts, registry: string): Decision {
  for (const { plain, preflight } of answers) {
    const wrong = faultOf(plain, preflight, origin, registry);
    if (wrong === null) continue;
    const { answer, cause, fix, why } = wrong;
    return {
      status: 'problem',
      summary: `${answer.who}: ${why}`,
      evidence: [
        `${answer.request} answered ${answer.status ?? 'nothing'}`,
        ...answer.headers
          .filter(([name]) => name.startsWith('access-control-'))
          .map(([name, value]) => `${name}: ${value}`),
      ],
      cause,
      fix,
    };
  }
  return ok(`a page at ${origin} can sign in and read`);
}

interface Wrong {
  readonly answer: CorsAnswer;
  readonly why: string;
  readonly cause: CauseId;
  readonly fix: Fix;
}

/** In the order in which a page would meet them. */
function faultOf(plain: CorsAnswer, preflight: CorsAnswer, origin: string, registry: string): Wrong | null {
  const allowOrigin = `Access-Control-Allow-Origin: ${origin}`;
  const missing = (answer: CorsAnswer, line: string, why: string): Wrong => ({
    answer,
    why,
    cause: 'cors-header-missing',
    fix: adding(line, answer, registry),
  });
  if (isRepeated(plain)) return repeated(plain, registry);
  if (!allowsOrigin(plain.headers, origin)) {
    return missing(plain, allowOrigin, 'its answers cannot be read by the page');
  }
  if (
    plain.who === 'registry' &&
    plain.status === 401 &&
    !lists(plain.headers, 'access-control-expose-headers', 'www-authenticate', true)
  ) {
    const line = 'Access-Control-Expose-Headers: WWW-Authenticate';
    return missing(plain, line, 'the page cannot see where to sign in');
  }
  const { status, headers } = preflight;
  // Whatever headers it has.
  if (status === null || status < 200 || status > 299) {
    return {
      answer: preflight,
      why: `a preflight (OPTIONS) must be answered with 204 and without a login, not with ${status ?? 'nothing'}`,
      cause: 'cors-preflight-refused',
      fix: {
        text: `have the proxy before ${serverOf(preflight, registry)} answer OPTIONS with 204 before it asks for a login, with the Access-Control headers of other answers (nginx: this line in its location, and auth_basic after it)`,
        command: null,
        line: 'if ($request_method = OPTIONS) { return 204; }',
      },
    };
  }
  if (isRepeated(preflight)) return repeated(preflight, registry);
  if (!allowsOrigin(headers, origin))
    return missing(preflight, allowOrigin, 'its preflight lets the page in nowhere');
  // A `*` never stands for Authorization.
  if (!lists(headers, 'access-control-allow-headers', 'authorization', false)) {
    const line = 'Access-Control-Allow-Headers: Authorization';
    return missing(preflight, line, 'the page may not send a token');
  }
  return null;
}

/** Two of them are none. */
function isRepeated({ headers }: CorsAnswer): boolean {
  return valuesOf(headers, 'access-control-allow-origin').length > 1;
}

function repeated(answer: CorsAnswer, registry: string): Wrong {
  return {
    answer,
    why: 'it sends Access-Control-Allow-Origin more than once, which browsers refuse',
    cause: 'cors-header-repeated',
    fix: {
      text: `${serverOf(answer, registry)} and the proxy before it both send this header: take one away (nginx: by this line, what comes from behind it)`,
      command: null,
      line: 'proxy_hide_header Access-Control-Allow-Origin;',
    },
  };
}

function serverOf({ who }: CorsAnswer, registry: string): string {
  return who === 'registry' ? registry : 'the token server';
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

function adding(line: string, { who, request }: CorsAnswer, registry: string): Fix {
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
