/**
 * A transcript as a shell script that does the same with curl.
 *
 * Rules of this file:
 * 1. Whatever comes from outside stands in single quotes, or in a comment of one line. What curl would take for an option, a
 *    file or a line end is left out, since the transcript may be anybody's.
 * 2. A secret comes from the environment or from an answer, goes to curl by its standard input, where no process list shows
 *    it, and is never printed.
 * 3. The script asks the origins of the transcript and no others: where a redirect decides, it looks at the origin first.
 */

import { toVisible } from '../visible.ts';
import { explain } from './explain.ts';
import { isLeg, type Leg, originOf, origins } from './legs.ts';
import { masked, maskNames } from './secrets.ts';
import type { RecordedSend, Redacted, Transcript } from './transcript.ts';

const preamble = String.raw`#!/bin/sh
# The token handshake of a registry, request by request. Each status goes to stderr, the last answer to stdout.
set -eu

# One request. Headers and form fields with secrets in them come on standard input.
ask() { curl -q -sS -g --proto '=http,https' --max-time 60 -w '%{stderr}%{http_code}\n' -K - "$@"; }

# A text in the syntax of curl's configuration.
quote() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# The token in a token response, which is read and not shown.
token_of() {
  body=$(tr -d '\r\n')
  for name in access_token token; do
    token=$(printf '%s' "$body" | sed -n 's/.*"'"$name"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' | sed 's#\\/#/#g')
    case $token in
      '' | *[!A-Za-z0-9._~+/=-]*) ;;
      *)
        printf '%s' "$token"
        return
        ;;
    esac
  done
  echo 'there is no token in the answer' >&2
  return 1
}

# Ends the script unless the URL is below the origin.
expect() {
  case $1 in
    "$2"/*) ;;
    *)
      echo "expected a URL below $2" >&2
      exit 1
      ;;
  esac
}
`;

/** What the script may need from its environment, and what to say when it is not there. */
const variables = {
  REG_PASSWORD: 'the password',
  REG_IDENTITY_TOKEN: 'the identity token',
  REG_TOKEN: 'a token for the registry',
  REG_URL: 'the URL of the request, whose query was not recorded',
  REG_BODY: 'the file to send',
} as const;

/**
 * `transcript` as a script for any POSIX shell. It takes what it needs of REG_USER (default: the recorded one), REG_PASSWORD,
 * REG_IDENTITY_TOKEN, REG_TOKEN (a token that was in memory), REG_BODY (a file) and REG_URL from its environment.
 */
export function toCurl(transcript: Transcript): string {
  const { steps } = transcript;
  const brought = origins(steps);
  const legs = steps.filter(isLeg);
  const lines: string[] = [];
  let user = '';
  let redirected = false;
  for (const [index, leg] of legs.entries()) {
    if (!isSafe(leg.effect)) continue;
    const request: Request = {
      leg,
      number: index + 1,
      last: index === legs.length - 1,
      leads: isRedirect(leg) && legs[index + 1]?.machine === 'handshake',
      redirected,
      brought,
    };
    redirected = request.leads;
    user ||= userOf(leg.effect);
    const { method, url } = leg.effect;
    lines.push('', `# ${safe(explain(leg, steps.indexOf(leg), transcript))}`);
    lines.push(`echo ${quoted(`#${index + 1} ${method} ${originOf(url)}`)} >&2`, ...requestLines(request));
  }
  return [preamble, ...demands(lines.join('\n'), user), ...lines, ''].join('\n');
}

interface Request {
  readonly leg: Leg;
  readonly number: number;
  readonly last: boolean;
  /** Its answer says where the next request goes. */
  readonly leads: boolean;
  /** The answer before said where it goes. */
  readonly redirected: boolean;
  readonly brought: ReadonlyMap<Redacted, number>;
}

function requestLines({ leg, number, last, leads, redirected, brought }: Request): readonly string[] {
  const { effect } = leg;
  const { method, headers, body } = effect;
  const unknown = unknownUrl(effect, redirected);
  const secrets: string[] = [];
  const words = ['ask', ...methodWords(method)];
  const grants = leg.machine === 'exchange' && leg.next === 'granted';
  if (grants) words.push('-f');
  else if (leads)
    words.push('-o', '/dev/null', '-w', quoted('%{stderr}%{http_code}\\n%{stdout}%{redirect_url}'));
  else if (!last || effect.to === 'authority') words.push('-o', '/dev/null');
  for (const [name, value] of headers) {
    if (value !== masked && isName(name) && toVisible(value) === value)
      words.push('-H', quoted(`${name}: ${value}`));
  }
  words.push(...authorize(effect, brought, secrets), ...fields(effect, secrets));
  if (body === 'caller') words.push('--data-binary', '"@$REG_BODY"');
  if (unknown === null) words.push(quoted(knownUrl(effect)));
  else secrets.push(configLine('url', `$${unknown}`));

  const command = words.join(' ');
  const asked = secrets.length === 0 ? `${command} </dev/null` : `{ ${secrets.join('; ')}; } | ${command}`;
  const checked = unknown === null ? [] : [`expect "$${unknown}" ${quoted(originOf(effect.url))}`];
  if (grants) return [...checked, `token_${number}=$(${asked} | token_of)`];
  return [...checked, leads ? `location=$(${asked})` : asked];
}

function methodWords(method: string): readonly string[] {
  if (method === 'GET') return [];
  return method === 'HEAD' ? ['-I'] : ['-X', method];
}

/** The variable that holds the URL of a request, where only the one who runs the script knows all of it. */
function unknownUrl({ url, to }: RecordedSend, redirected: boolean): string | null {
  if (redirected) return 'location';
  return to === 'registry' && maskNames(url) !== url ? 'REG_URL' : null;
}

/** The recorded URL; the query of a token request goes along parameter by parameter. */
function knownUrl({ url, to }: RecordedSend): string {
  const { href, origin, pathname } = new URL(url);
  return to === 'registry' ? href : origin + pathname;
}

function authorize(
  { authorization }: RecordedSend,
  brought: ReadonlyMap<Redacted, number>,
  secrets: string[],
): readonly string[] {
  if (authorization === null) return [];
  if (authorization.scheme === 'basic') {
    secrets.push(configLine('user', '$REG_USER:$REG_PASSWORD'));
    return ['--basic'];
  }
  const number = brought.get(authorization.token);
  secrets.push(
    configLine('header', `Authorization: Bearer $${number === undefined ? 'REG_TOKEN' : `token_${number}`}`),
  );
  return [];
}

/** What a token request says, in its query or its form. A secret field goes the way of secrets. */
function fields(effect: RecordedSend, secrets: string[]): readonly string[] {
  const { url, to, form, authorization } = effect;
  if (to === 'registry') return [];
  if (form === null) {
    const pairs = new URL(url).search.slice(1).split('&');
    return ['-G', ...pairs.flatMap((pair) => queryWords(pair, authorization !== null))];
  }
  return form.flatMap(([name, value]) => {
    if (name === 'username') return ['--data-urlencode', '"username=$REG_USER"'];
    const secret = secretFields.get(name);
    if (secret === undefined) return ['--data-urlencode', quoted(`${name}=${value}`)];
    secrets.push(configLine('data-urlencode', `${name}=$${secret}`));
    return [];
  });
}

const secretFields: ReadonlyMap<string, string> = new Map([
  ['password', 'REG_PASSWORD'],
  ['refresh_token', 'REG_IDENTITY_TOKEN'],
]);

/** A pair of a query as it is; the account is whoever signs in. */
function queryWords(pair: string, signed: boolean): readonly string[] {
  if (pair === '') return [];
  return signed && pair.startsWith('account=')
    ? ['--data-urlencode', '"account=$REG_USER"']
    : ['--data-raw', quoted(pair)];
}

/** A line of curl's configuration; `value` is a text of the shell in which variables are meant. */
function configLine(option: string, value: string): string {
  return `printf '${option} = %s\\n' "$(quote "${value}")"`;
}

function demands(script: string, user: string): readonly string[] {
  const lines = Object.entries(variables)
    .filter(([name]) => script.includes(`$${name}`))
    .map(([name, what]) => demand(name, what));
  if (!script.includes('$REG_USER')) return lines;
  const known = user !== '' && safe(user) === user;
  return [
    known
      ? `if [ -z "\${REG_USER-}" ]; then REG_USER=${quoted(user)}; fi`
      : demand('REG_USER', 'the user name'),
    ...lines,
  ];
}

function demand(name: string, what: string): string {
  return `: "\${${name}:?${what}}"`;
}

function userOf({ authorization, form }: RecordedSend): string {
  if (authorization?.scheme === 'basic') return authorization.username;
  return form?.find(([name]) => name === 'username')?.[1] ?? '';
}

function isRedirect({ machine, answer, next }: Leg): boolean {
  if (machine === 'exchange' || next !== 'sending' || answer.type === 'no-response') return false;
  return answer.head.status >= 300 && answer.head.status < 400;
}

/** Whether a request is one that a machine makes: an http URL, a method in capitals, and nothing that hides in a form. */
function isSafe({ url, method, form }: RecordedSend): boolean {
  return (
    URL.canParse(url) &&
    (new URL(url).protocol === 'https:' || new URL(url).protocol === 'http:') &&
    isUpper(method) &&
    (form ?? []).every(([name, value]) => isName(name) && toVisible(value) === value)
  );
}

function isUpper(text: string): boolean {
  return text !== '' && [...text].every((char) => char >= 'A' && char <= 'Z');
}

const nameChars = 'abcdefghijklmnopqrstuvwxyz0123456789-_';

/** Whether `text` is the name of a header or form field as they are in use: nothing that curl reads as an option or a file. */
function isName(text: string): boolean {
  return text !== '' && !text.startsWith('-') && [...text].every((char) => nameChars.includes(char));
}

function safe(text: string): string {
  return maskNames(toVisible(text));
}

/** `text` as one word of the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
