// ARCHITECTURE.md and the threat model send their reader to files, so each has to be there. In these documents a span in
// backticks that holds a slash is a path from the root, unless it begins with one (a URL's path) or with @ (a package).

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

for (const document of ['ARCHITECTURE.md', 'docs/threat-model.md']) {
  const text = readFileSync(join(root, document), 'utf8');
  const spans = Array.from(text.matchAll(/`([^`\n]+)`/g), ([, span = '']) => span);
  const paths = new Set(spans.filter((span) => /^[^\s/@][^\s:]*\/[^\s:]*$/.test(span)));

  const missing = [...paths].filter((path) => !existsSync(join(root, path)));
  for (const path of missing) console.error(`${document} names ${path}, which does not exist`);
  console.log(`${document}: ${paths.size} paths, ${missing.length} missing`);
  if (paths.size === 0 || missing.length > 0) process.exitCode = 1;
}
