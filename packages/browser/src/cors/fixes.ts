/**
 * What to configure, for each server, as text that can be pasted.
 *
 * Rules of this file: pure. Two texts of others reach a configuration, the page's origin and the URL of the server, and only
 * when each of their characters means nothing in any of these files: the URL parser lets `;`, `$`, `{`, `}` and quotes pass in
 * hosts and paths, with which a realm could configure the proxy it is to stand behind. Anything else gives no lines.
 */

import type { CorsFix, CorsFixes, CorsServer } from './diagnosis.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** What clients of registries send. */
const requestHeaders = ['Authorization', 'Accept', 'Cache-Control', 'Content-Type', 'Content-Range', 'Range'];

/** What registries answer that a page may read only when it is named (OCI distribution-spec 1.1; RFC 9110 §10.2.3). */
const responseHeaders = [
  'WWW-Authenticate',
  'Docker-Content-Digest',
  'Link',
  'Location',
  'Content-Range',
  'Range',
  'Retry-After',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'Warning',
  'OCI-Filters-Applied',
  'OCI-Subject',
];

/** The value of `Access-Control-Allow-Origin` for a page: its origin, or `*` where it has none to name. */
export function allowedOrigin(page: string | null): string {
  return page !== null && /^https?:/.test(page) && isPlain(page) ? page : '*';
}

/**
 * The configurations that let `page` use `server`.
 *
 * @param url what was asked of it
 * @returns `null` when a configuration cannot hold the URL as it stands
 */
export function fixesFor(server: CorsServer, url: URL, page: string | null): CorsFixes | null {
  const path = server === 'registry' ? url.pathname.slice(0, url.pathname.indexOf('/v2/') + 4) : url.pathname;
  if (!isPlain(url.origin) || !isPlain(path) || path.includes('[')) return null;
  const place: Place = { upstream: url.origin, path, exact: server === 'token-server' };
  const cors: Cors = [
    ['Access-Control-Allow-Origin', allowedOrigin(page)],
    ['Access-Control-Allow-Methods', methods.join(', ')],
    ['Access-Control-Allow-Headers', requestHeaders.join(', ')],
    ['Access-Control-Expose-Headers', responseHeaders.join(', ')],
    ['Access-Control-Max-Age', '600'],
  ];
  const ofRegistry = server === 'registry';
  return {
    distribution: ofRegistry ? distribution(cors) : null,
    nginx: nginx(cors, place),
    caddy: caddy(cors, place),
    traefik: traefik(allowedOrigin(page), place),
    zot: ofRegistry ? zot(allowedOrigin(page), url) : null,
  };
}

type Cors = readonly (readonly [name: string, value: string])[];

interface Place {
  /** Origin of the server that the proxy stands before. */
  readonly upstream: string;
  readonly path: string;
  /** Whether the path is one place, or the beginning of many. */
  readonly exact: boolean;
}

function distribution(cors: Cors): CorsFix {
  return {
    lines: block(
      'http:',
      '  headers:',
      ...cors.map(([name, value]) => `    ${name}: ['${value}']`),
      '    Vary: [Origin]',
    ),
    note: 'Into config.yml, beside what http.headers has. Enough as long as it asks nobody for a login: if it does, it asks for one before it answers OPTIONS, whatever its configuration, and a page can sign in only through a proxy that answers OPTIONS by itself; then it needs the lines of the proxy alone.',
  };
}

function nginx(cors: Cors, { upstream, path, exact }: Place): CorsFix {
  return {
    lines: block(
      `location ${exact ? '= ' : ''}${path} {`,
      // Two of them are none to a browser.
      ...cors.map(([name]) => `    proxy_hide_header ${name};`),
      ...cors.map(([name, value]) => `    add_header ${name} "${value}" always;`),
      '    add_header Vary Origin always;',
      '    if ($request_method = OPTIONS) { return 204; }',
      '    client_max_body_size 0;',
      '    proxy_http_version 1.1;',
      '    proxy_request_buffering off;',
      '    proxy_set_header Host $http_host;',
      '    proxy_set_header X-Forwarded-Proto $scheme;',
      ...(upstream.startsWith('https:') ? ['    proxy_ssl_server_name on;'] : []),
      `    proxy_pass ${upstream};`,
      '}',
    ),
    note: 'Into the server block that the page is to use; where nginx stands before it already, proxy_pass is what stands there. auth_basic may follow in this location: OPTIONS is answered before it.',
  };
}

function caddy(cors: Cors, { upstream, path, exact }: Place): CorsFix {
  return {
    lines: block(
      `route ${path}${exact ? '' : '*'} {`,
      // Without `defer`, which leaves them off the 401 of basicauth.
      '\theader {',
      ...cors.map(([name, value]) => `\t\t${name} "${value}"`),
      '\t\tVary Origin',
      '\t}',
      '\t@preflight method OPTIONS',
      '\trespond @preflight 204',
      `\treverse_proxy ${upstream} {`,
      '\t\theader_down -Access-Control-*',
      '\t}',
      '}',
    ),
    note: 'Into the site block that the page is to use; where Caddy stands before it already, reverse_proxy is what stands there. basicauth may follow after respond: a route keeps its order, and OPTIONS is answered before it.',
  };
}

function traefik(origin: string, { upstream, path, exact }: Place): CorsFix {
  return {
    lines: block(
      'http:',
      '  middlewares:',
      '    registry-cors:',
      '      headers:',
      `        accessControlAllowOriginList: ['${origin}']`,
      `        accessControlAllowMethods: [${methods.join(', ')}]`,
      `        accessControlAllowHeaders: [${requestHeaders.join(', ')}]`,
      `        accessControlExposeHeaders: [${responseHeaders.join(', ')}]`,
      '        accessControlMaxAge: 600',
      '        addVaryHeader: true',
      '  routers:',
      '    registry:',
      `      rule: ${exact ? 'Path' : 'PathPrefix'}(\`${path}\`)`,
      '      middlewares: [registry-cors]',
      '      service: registry',
      '  services:',
      '    registry:',
      '      loadBalancer:',
      '        servers:',
      `          - url: '${upstream}'`,
    ),
    note: 'Into a file of the file provider. registry-cors comes before any middleware that asks for a login: it answers OPTIONS by itself, and only what reaches it has its headers.',
  };
}

function zot(origin: string, { origin: registry }: URL): CorsFix {
  return {
    lines: block('{', '  "http": {', `    "allowOrigin": "${origin}"`, '  }', '}'),
    note: `Into config.json, beside what http has. It answers OPTIONS by itself. Enough as long as it asks nobody for a login: zot exposes no WWW-Authenticate, and has no setting for it; a page can sign in through a proxy, or with createRegistryFetch({ challenges: { '${registry}': 'Basic realm="zot"' } }).`,
  };
}

function block(...lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

/**
 * Characters of URLs that are no more than themselves in YAML, JSON, nginx, Caddy and Traefik, in quotes and without; the brackets
 * of an IPv6 address in an origin only, since in a path they are a pattern to Caddy.
 */
const plain = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:[]';

function isPlain(text: string): boolean {
  return [...text].every((char) => plain.includes(char));
}
