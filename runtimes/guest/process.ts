/** Where a runtime is a process with arguments: Node, Bun and Deno. */

import { jobs, work } from './jobs.ts';
import { print } from './print.ts';

await work(process.argv[2] ?? '', jobs, print);
