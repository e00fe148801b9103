// ARCHITECTURE.md sends its reader to files, so each has to be there. In that document a span in backticks that holds
// a slash is a path from the root, unless it begins with one (a URL's path) or with @ (a package).

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
const spans = Array.from(text.matchAll(/`([^`\n]+)`/g), ([, span = '']) => span);
const paths = new Set(spans.filter((span) => /^[^\s/@][^\s:]*\/[^\s:]*$/.test(span)));

const missing = [...paths].filter((path) => !existsSync(join(root, path)));
for (const path of missing) console.error(`ARCHITECTURE.md names ${path}, which does not exist`);
console.log(`ARCHITECTURE.md: ${paths.size} paths, ${missing.length} missing`);
process.exit(paths.size > 0 && missing.length === 0 ? 0 : 1);
