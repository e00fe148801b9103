/**
 * `reg demo`: the whole handshake, explained, on a registry and a token server that live as long as it does.
 *
 * Rules of this file: everything shown went over a socket a moment ago, by the parts that `reg trace` runs on; nothing is
 * written down beforehand but the sentences around it. No other file imports the registry of the tests.
 */

import { canary, startRegistry } from '@reg/testing';
import { openClient } from '../registry/client.ts';
import type { CommonOptions } from '../registry/options.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { renderTrace } from '../tracing/render.ts';
import { traceOf } from '../tracing/send.ts';

const username = 'dockerhubuser';
const repository = 'library/busybox';
const next = 'docker.io/library/busybox';

/**
 * `reg demo`
 *
 * @param reg how the command is called by whoever reads this
 */
export async function demo(
  { color }: CommonOptions,
  surroundings: Surroundings,
  reg = 'reg',
): Promise<undefined> {
  const { stdout, env } = surroundings;
  const page = { paint: paintFor(stdout, env, color), width: widthOf(stdout) };
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
    store: false,
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
    const again = `${reg} demo`;
    const { transcript, complaint } = await traceOf(client, url, {
      command: again,
      plainHttp: again,
      trace: again,
      doctor: again,
      login: again,
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
      `  ${reg} trace ${next}`,
      `  ${reg} trace ${next} -o mermaid`,
      `  ${reg} tags ${next}`,
      `  ${reg} --help`,
    );
  } finally {
    client.close();
    await registry.close();
  }
}
