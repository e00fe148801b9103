import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.ts';

const entry = { index: 'src/index.ts', driver: 'src/driver/index.ts', transcript: 'src/transcript/index.ts' };

// Declarations name URL, which ES2023 alone does not have. An interface is all they need, and one that a platform which
// does declare URL (DOM, Node) merges with its own.
const banner = 'declare global {\n  interface URL {\n    href: string;\n  }\n}\n';

export default defineConfig({ ...library(entry, 'neutral'), dts: { banner } });
