/** Registries of one test file, closed when the test that started them ends. */

import { onTestFinished } from 'vitest';
import { type Registry, type RegistryOptions, startRegistry } from '../src/index.ts';

/** Starts a registry for the running test. */
export async function registryFor(options: RegistryOptions): Promise<Registry> {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}
