/** `docs/cors.md` shows the lines as they are printed. `vitest run --project browser cors-docs -u` writes them anew. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fixesFor } from '../src/cors/fixes.ts';

const path = fileURLToPath(new URL('../../../docs/cors.md', import.meta.url));

const shown = [
  ['distribution', 'Distribution', 'yaml'],
  ['nginx', 'nginx', 'nginx'],
  ['caddy', 'Caddy', 'caddy'],
  ['traefik', 'Traefik', 'yaml'],
  ['zot', 'zot', 'json'],
] as const;

test('the lines of docs/cors.md are those that are printed', async () => {
  const fixes = fixesFor('registry', new URL('https://registry.example:5000/v2/'), 'https://ui.example');
  const sections = shown.map(([key, name, language]) => {
    const fix = fixes?.[key];
    return `### ${name}\n\n${fix?.note}\n\n\`\`\`${language}\n${fix?.lines}\`\`\`\n`;
  });
  const [prose = ''] = readFileSync(path, 'utf8').split('### Distribution\n');
  await expect(`${prose}${sections.join('\n')}`).toMatchFileSnapshot(path);
});
