/** A page of a browser. */

import { jobs, work } from './jobs.ts';

void work(new URLSearchParams(location.search).get('bridge') ?? '', jobs);
