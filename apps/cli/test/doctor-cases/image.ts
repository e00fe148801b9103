/**
 * An image of no layers, as a registry takes it and as a folder that `skopeo` copies from.
 */

import { createHash } from 'node:crypto';
import type { Stage } from './stage.ts';

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

interface Image {
  readonly config: string;
  readonly digest: string;
  readonly manifest: string;
}

/** Another image for another `text`. */
export function imageOf(text: string): Image {
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { text } },
    rootfs: { type: 'layers', diff_ids: [] },
  });
  const hex = createHash('sha256').update(config).digest('hex');
  const digest = `sha256:${hex}`;
  const mediaType = 'application/vnd.oci.image.config.v1+json';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType, digest, size: config.length },
    layers: [],
  });
  return { config, digest, manifest };
}

/** Writes a folder for `dir:`, which no registry has a blob of. Returns its path. */
export function imageFolder(stage: Stage): string {
  const { config, digest, manifest } = imageOf('new');
  stage.write('image/version', 'Directory Transport Version: 1.1\n');
  stage.write('image/manifest.json', manifest);
  stage.write(`image/${digest.slice('sha256:'.length)}`, config);
  return '{home}/image';
}
