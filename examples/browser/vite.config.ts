/** Builds the page, and serves what was built with the headers it is meant to have. */

import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { contentSecurityPolicy, securityHeaders } from './csp.ts';

/** Only what was built: the development server puts styles and scripts into the document itself. */
const policyInDocument: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
      injectTo: 'head-prepend',
    },
  ],
};

export default defineConfig({
  // Works wherever it is put.
  base: './',
  resolve: { conditions: ['@reg/source', ...defaultClientConditions] },
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  preview: { headers: securityHeaders },
  plugins: [policyInDocument],
});
