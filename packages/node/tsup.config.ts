import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.ts';

export default defineConfig(
  library(
    {
      index: 'src/index.ts',
      credentials: 'src/credentials/index.ts',
      stores: 'src/stores/index.ts',
      network: 'src/network/index.ts',
    },
    'node',
  ),
);
