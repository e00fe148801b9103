/**
 * The examples for Deno, Bun and workerd, as a user starts them, against a registry of ours.
 *
 * Rules of this file: a registry on loopback gets the credential by having its token server on its own origin, so that the
 * examples need no line that a user would not write.
 */

import { fileURLToPath } from 'node:url';
import { allow, canary, startRegistry } from '@reg/testing';
import { binaries, startProcess, startWorkerd } from './start.ts';
import { within } from './within.ts';

const example = (name: string): string => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

/** No example takes this long. */
const patienceMs = 60_000;

type Run = (registry: string, environment: Readonly<Record<string, string>>) => Promise<string>;

const runs: Readonly<Record<string, Run>> = {
  deno: (registry, environment) =>
    printedBy('deno', binaries.deno, environment, [
      'run',
      '--no-lock',
      '--no-prompt',
      '--allow-net',
      '--allow-env=REGISTRY_USER,REGISTRY_PASSWORD',
      'main.ts',
      registry,
      'team/app',
    ]),
  bun: (registry, environment) =>
    printedBy('bun', binaries.bun, environment, ['main.ts', registry, 'team/app']),
  workerd: async (registry, environment) => {
    const cwd = example('workerd');
    const { guest, url } = await startWorkerd('config.capnp', {
      heard: () => {},
      cwd,
      environment: { ...environment, REGISTRY: registry },
    });
    const answered = fetch(`${url}team/app`).then(
      async (response) => `${response.status} ${await response.text()}`,
    );
    return within(patienceMs, 'no answer', Promise.race([answered, guest.ended])).finally(() => guest.stop());
  },
};

/** Runs each example, as alice where a repository is hers and as nobody where it is public; answers what went wrong, a line each. */
export async function runExamples(): Promise<string[]> {
  const red: string[] = [];
  for (const [name, run] of Object.entries(runs)) {
    for (const who of ['alice', 'nobody'] as const) {
      const password = canary('password');
      const registry = await startRegistry({
        auth: 'bearer',
        users: { alice: password },
        repositories: {
          'team/app': {
            visibility: who === 'alice' ? 'private' : 'public',
            tags: { 'one-of-two': 'a', 'two-of-two': 'b' },
          },
        },
        faults: [{ server: 'registry', kind: 'realm', realm: '/token', times: Number.POSITIVE_INFINITY }],
      });
      allow(password, registry.url);
      const environment = who === 'alice' ? { REGISTRY_USER: 'alice', REGISTRY_PASSWORD: password } : {};
      try {
        const printed = await run(registry.url, environment);
        if (!/\b200\b/.test(printed) || !/one-of-two/.test(printed) || !/two-of-two/.test(printed)) {
          red.push(`examples/${name}, ${who}: ${printed.replaceAll(password, '•••')}`);
        }
      } catch (error) {
        red.push(`examples/${name}, ${who}: ${error}`);
      } finally {
        await registry.close();
      }
    }
  }
  return red;
}

async function printedBy(
  name: string,
  file: string,
  environment: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<string> {
  let printed = '';
  const heard = (text: string) => {
    printed += text;
  };
  const guest = startProcess(file, args, { heard, cwd: example(name), environment });
  const end = await within(patienceMs, 'no end', guest.ended).finally(() => guest.stop());
  return printed === '' ? end : printed;
}
