/** Replaces the file that it is given by a megabyte, and says by which code that failed. */

import { replaceFile } from '../src/files/replace.ts';

const [, , path = ''] = process.argv;
replaceFile(path, 'x'.repeat(1_048_576)).then(
  () => process.stdout.write('replaced'),
  (error: unknown) =>
    process.stdout.write(error instanceof Error && 'code' in error ? String(error.code) : 'failed'),
);
