import { describe, expect, test } from 'vitest';
import { createAuthorizer } from '../src/driver/index.ts';
import type { Failure } from '../src/failure.ts';
import type { RegistryRequest } from '../src/message.ts';
import { uploadInstead } from '../src/mount.ts';
import { World } from './driver/world.ts';
import { sample } from './error-samples.ts';

const uploads = 'https://registry.example/v2/team/app/blobs/uploads/';
const mount: RegistryRequest = {
  method: 'POST',
  url: `${uploads}?mount=sha256:0&from=team/lib`,
  headers: [],
  body: 'none',
};
const denied: Failure = { ...sample('denied'), reason: 'token-refused' };

describe('a mount that is denied (requirement 139)', () => {
  test('becomes an upload, with the rest of its query', () => {
    expect(uploadInstead(mount, denied)).toBe(uploads);
    expect(uploadInstead({ ...mount, url: `${mount.url}&ns=docker.io` }, denied)).toBe(
      `${uploads}?ns=docker.io`,
    );
    expect(uploadInstead({ ...mount, body: 'replayable' }, denied)).toBe(uploads);
  });

  test.each<[string, RegistryRequest, Failure]>([
    ['denied to an authorization of the caller’s own', mount, { ...denied, reason: 'caller-authorization' }],
    ['not denied', mount, sample('body-spent')],
    ['no POST', { ...mount, method: 'GET' }, denied],
    ['spent', { ...mount, body: 'once' }, denied],
    ['no mount', { ...mount, url: `${uploads}?from=team/lib` }, denied],
    ['from nowhere', { ...mount, url: `${uploads}?mount=sha256:0` }, denied],
  ])('stays what it is: %s', (_name, request, failure) => {
    expect(uploadInstead(request, failure)).toBeNull();
  });
});

describe('the driver', () => {
  /** A registry that denies mounts, and uploads as well where it is told to. */
  const posting = async (deniesUploads: boolean) => {
    const world = new World({
      onRegistry: (_, { url }) =>
        url.includes('mount=') || deniesUploads ? { status: 403 } : { status: 202 },
    });
    const { send, clock } = world;
    const authorizer = createAuthorizer({ send, now: clock.now, sleep: clock.sleep });
    const url = `${world.url('team/app', 'blobs/uploads/')}?mount=sha256:0&from=team/lib`;
    const {
      head,
      failure,
      url: at,
      redirected,
    } = await clock.run(authorizer.request({ method: 'POST', url, headers: [], body: 'none' }));
    return { world, status: head.status, failure, at, redirected };
  };

  test('begins the upload, and says why it is no mount', async () => {
    const { world, status, failure, at, redirected } = await posting(false);
    expect([status, at, redirected]).toEqual([202, world.url('team/app', 'blobs/uploads/'), false]);
    expect(failure).toMatchObject({ kind: 'denied', status: 403, url: expect.stringContaining('mount=') });
    expect(world.discarded).toBe(1);
  });

  test('tells of the upload where that is denied as well', async () => {
    const { world, status, failure } = await posting(true);
    expect(status).toBe(403);
    expect(failure).toMatchObject({ kind: 'denied', url: world.url('team/app', 'blobs/uploads/') });
    expect(world.count()).toBe(2);
  });
});
