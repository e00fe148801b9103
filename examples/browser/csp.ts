/**
 * What the page may do, told to the browser twice: in the document, for whoever serves the files as they are, and in a header,
 * which alone can forbid being framed.
 *
 * Rules of this file: everything is forbidden and then allowed one by one. A page that is to reach any registry may connect
 * anywhere over https, and over plain http to this machine only, where nobody is in between. What a registry says can
 * become text and nothing else: no script, no style, no image, no frame, no form comes from anywhere but the page's own files,
 * and with trusted types no text is ever parsed as HTML or run.
 */

/** Of the document. CSP has no form for an IPv6 address, so that `[::1]` is reached as `localhost`. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  'connect-src https: http://localhost:* http://127.0.0.1:*',
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Of every response. */
export const securityHeaders = {
  'Content-Security-Policy': `${contentSecurityPolicy}; frame-ancestors 'none'`,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Opener-Policy': 'same-origin',
} as const;
