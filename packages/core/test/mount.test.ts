import { describe, expect, test } from 'vitest';
import type { Failure } from '../src/failure.ts';
import type { RegistryRequest } from '../src/message.ts';
import { uploadInstead } from '../src/mount.ts';
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
