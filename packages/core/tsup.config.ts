import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.ts';

export default defineConfig(
  library(
    { index: 'src/index.ts', driver: 'src/driver/index.ts', transcript: 'src/transcript/index.ts' },
    'neutral',
  ),
);
