/**
 * `skopeo`, to push images that this project did not make and to ask a registry the same questions.
 *
 * Rules of this file: it runs without the user's files, policies and caches; credentials are in an auth file of its own.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);

/** A user's name and password. */
export type Login = readonly [username: string, password: string];

export interface Skopeo {
  /** Pushes an image of one layer, made of `text`, to `host/repository:tag`. */
  push(repository: string, tag: string, text: string): Promise<void>;
  tags(repository: string): Promise<readonly string[]>;
  /** The manifest's bytes as text. */
  manifest(repository: string, tag: string): Promise<string>;
}

/** `skopeo` for the registry at `host`, signed in as `login` if that is given, until the running test ends. */
export async function skopeoFor(host: string, login: Login | null): Promise<Skopeo> {
  const home = await mkdtemp(join(tmpdir(), 'skopeo-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const authfile = join(home, 'auth.json');
  const auths = login === null ? {} : { [host]: { auth: Buffer.from(login.join(':')).toString('base64') } };
  await writeFile(authfile, JSON.stringify({ auths }), { mode: 0o600 });

  const skopeo = async (...words: string[]): Promise<string> => {
    const env = { PATH: process.env['PATH'], HOME: home, XDG_RUNTIME_DIR: home };
    const { stdout } = await run('skopeo', ['--insecure-policy', ...words, '--authfile', authfile], { env });
    return stdout;
  };
  return {
    async push(repository, tag, text) {
      const layout = join(home, 'layout');
      await writeLayout(layout, tag, text);
      await skopeo(
        'copy',
        `oci:${layout}:${tag}`,
        `docker://${host}/${repository}:${tag}`,
        '--dest-tls-verify=false',
      );
    },
    async tags(repository) {
      const listed = await skopeo('list-tags', `docker://${host}/${repository}`, '--tls-verify=false');
      return (JSON.parse(listed) as { Tags: string[] }).Tags;
    },
    manifest: (repository, tag) =>
      skopeo('inspect', '--raw', `docker://${host}/${repository}:${tag}`, '--tls-verify=false'),
  };
}

/** An image as a folder (OCI image-layout). Its layer is an empty archive, its configuration holds `text`. */
async function writeLayout(folder: string, tag: string, text: string): Promise<void> {
  const blobs = join(folder, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const store = async (mediaType: string, bytes: Uint8Array) => {
    const hex = sha256(bytes);
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const storeJson = (mediaType: string, value: object) =>
    store(mediaType, Buffer.from(JSON.stringify(value)));

  // An archive ends in two blocks of zeros (POSIX pax), and may have nothing before them.
  const archive = Buffer.alloc(1_024);
  const layer = await store('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(archive));
  const config = await storeJson('application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { text } },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(archive)}`] },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await storeJson(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': tag } };
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}
