/** workerd, where I/O belongs to a request: the one that names the bridge lasts as long as the job. */

import { jobs, work } from './jobs.ts';

export default {
  async fetch(request: Request): Promise<Response> {
    await work(new URL(request.url).searchParams.get('bridge') ?? '', jobs);
    return new Response('done');
  },
};
