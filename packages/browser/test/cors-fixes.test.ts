/** The configurations that are printed: what they hold, and what never gets into them. */

import { describe, expect, test } from 'vitest';
import { allowedOrigin, fixesFor } from '../src/cors/fixes.ts';

const page = 'https://page.test:8443';
const fixes = (url: string, server: 'registry' | 'token-server' = 'registry', from: string | null = page) =>
  fixesFor(server, new URL(url), from);

const all = (found: ReturnType<typeof fixes>) =>
  Object.values(found ?? {}).flatMap((fix) => (fix === null ? [] : [fix.lines]));

describe('what they hold', () => {
  test('the page, the registry, and every header a client reads (requirement 145)', () => {
    const found = fixes('https://registry.test:5000/v2/a/tags/list');
    for (const lines of all(found)) {
      expect(lines).toContain(page);
      expect(lines.endsWith('\n')).toBe(true);
    }
    for (const fix of [found?.distribution, found?.nginx, found?.caddy, found?.traefik]) {
      for (const name of [
        'WWW-Authenticate',
        'Docker-Content-Digest',
        'Link',
        'OCI-Subject',
        'Authorization',
      ]) {
        expect(fix?.lines).toContain(name);
      }
    }
    for (const fix of [found?.nginx, found?.caddy, found?.traefik]) {
      expect(fix?.lines).toContain('https://registry.test:5000');
    }
    expect(JSON.parse(found?.zot?.lines ?? '')).toEqual({ http: { allowOrigin: page } });
  });

  test('nginx: every header on errors too, and OPTIONS before any login', () => {
    const lines = fixes('http://registry.test/v2/')?.nginx.lines.split('\n') ?? [];
    const added = lines.filter((line) => line.includes('add_header'));
    expect(added).toHaveLength(6);
    expect(added.every((line) => line.endsWith(' always;'))).toBe(true);
    expect(lines).toContain('    if ($request_method = OPTIONS) { return 204; }');
  });

  test('a registry below a path of its own, and a token server: their paths and no others', () => {
    expect(fixes('https://host.test/registry/v2/a/tags/list')?.nginx.lines).toContain(
      'location /registry/v2/ {',
    );
    const token = fixes('https://sso.test/service/token?service=x', 'token-server');
    expect(token?.nginx.lines).toContain('location = /service/token {');
    expect(token?.caddy.lines).toContain('route /service/token {');
    expect(token?.traefik.lines).toContain('Path(`/service/token`)');
    expect([token?.distribution, token?.zot]).toEqual([null, null]);
  });

  test.each([
    ['https://page.test', 'https://page.test'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
    ['null', '*'],
    [null, '*'],
    ['file://', '*'],
    ['https://page.test"; evil', '*'],
    ['https://page.test\nevil', '*'],
    ['https://$page.test', '*'],
  ])('a page at %s is allowed as %s', (from, allowed) => {
    expect(allowedOrigin(from)).toBe(allowed);
  });
});

describe('what never gets into them', () => {
  test.each([
    ';}server{listen 1;',
    '$request_uri',
    '{$PATH}',
    '{env.SECRET}',
    "'; include x; '",
    '"; include x; "',
    '`) || Host(`x',
    '#comment',
    '*',
    '[a-z]',
    '%0a%0dproxy_pass',
    '\\n',
    '|x',
    '&x: *x',
    '<script>',
    '\u202e',
  ])('%s in a path or a host', (text) => {
    for (const url of [
      `https://sso.test/a${text}`,
      `https://a${text}.test/token`,
      `https://sso.test/${text}/v2/`,
    ]) {
      if (!URL.canParse(url)) continue;
      for (const server of ['registry', 'token-server'] as const) {
        // A text that ends the path or the host leaves a URL that may well be configured.
        for (const lines of all(fixes(url, server))) {
          const own = all(fixes('https://sso.test/a', server)).join('');
          const strange = [...lines].filter((char) => !own.includes(char) && !/[\w./:-]/.test(char));
          expect(strange).toEqual([]);
          expect(lines).not.toMatch(/include|request_uri|listen|SECRET|script|comment/);
        }
      }
    }
  });

  test('a host with quotes, or a path with a variable: no lines at all', () => {
    expect(fixes("https://a';b.test/v2/")).toBeNull();
    expect(fixes('https://sso.test/$request_uri', 'token-server')).toBeNull();
    expect(fixes('https://sso.test/a;b', 'token-server')).toBeNull();
  });
});
