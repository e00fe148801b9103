/**
 * `npx -y pnpm demo`: the whole handshake, explained, on a registry and a token server that live as long as it does.
 *
 * Rules of this file: everything shown went over a socket a moment ago, by the parts that `reg trace` runs on; nothing is
 * written down beforehand but the sentences around it.
 */

import { canary, startRegistry } from '@reg/testing';
import { renderTrace, traceOf } from './commands/trace.ts';
import { runInProcess } from './process.ts';
import { openClient } from './registry/client.ts';
import { report } from './report/report.ts';
import type { Surroundings } from './surroundings.ts';
import { paintFor, widthOf } from './terminal/paint.ts';

const username = 'dockerhubuser';
const repository = 'library/busybox';
const command = 'npx -y pnpm reg trace docker.io/library/busybox';

async function demo(surroundings: Surroundings): Promise<number> {
  const { stdout, env } = surroundings;
  const page = { paint: paintFor(stdout, env), width: widthOf(stdout) };
  const write = (...lines: readonly string[]): void => void stdout.write(`${lines.join('\n')}\n`);
  const title = (text: string): string => page.paint('request', text);

  const password = canary('password');
  const registry = await startRegistry({
    auth: 'bearer',
    service: 'demo-registry',
    users: { [username]: password },
    repositories: { [repository]: { tags: ['1-glibc', '1-musl', '1-uclibc', 'latest', 'uclibc'] } },
  });
  const client = await openClient({
    registry: new URL(registry.url),
    options: { trustRealm: [registry.pair.realm] },
    given: { username, password, source: 'this demo' },
    surroundings,
    bodies: true,
  });
  try {
    write(
      title('How a client gets a list of tags out of a registry that wants to know who asks'),
      '',
      `registry       ${registry.url}`,
      `token server   ${registry.pair.realm}`,
      `repository     ${repository}, private`,
      `user           ${username}, with a password`,
      '',
      'What follows went over the wire just now. Every secret is shown as •••.',
      '',
    );
    const url = new URL(`${registry.url}/v2/${repository}/tags/list`);
    const { transcript, complaint } = await traceOf(client, url, {
      command,
      plainHttp: command,
      trace: command,
      doctor: 'npx -y pnpm reg doctor docker.io/library/busybox',
      login: 'npx -y pnpm reg login docker.io',
    });
    stdout.write(renderTrace(transcript, 'text', page));
    if (complaint !== null) throw complaint;

    const before = registry.requests.length;
    await (await client.get(url)).raw.discard();
    write(
      '',
      `Asked for again, the list costs ${registry.requests.length - before} request: the token is still good.`,
      '',
      title('The same run as a diagram, in Mermaid:'),
      '',
    );
    stdout.write(renderTrace(transcript, 'mermaid', page));
    write(
      '',
      title('Next, a real registry:'),
      '',
      `  ${command}`,
      '  npx -y pnpm reg trace docker.io/library/busybox -o mermaid',
      '  npx -y pnpm reg tags docker.io/library/busybox',
      '  npx -y pnpm reg --help',
    );
    return 0;
  } finally {
    client.close();
    await registry.close();
  }
}

runInProcess((surroundings) =>
  demo(surroundings).catch((error) => report(error, { help: command, args: [] }, surroundings)),
);
