import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createCertificate, createServerCertificate } from '../src/certificate.ts';
import { createSigningKey } from '../src/tokens.ts';
import { registryFor } from './setup.ts';
import { send } from './wire.ts';

describe('a server certificate', () => {
  const made = createServerCertificate(['registry.test', '10.0.0.1', 'fe80::1:2']);
  const ca = new X509Certificate(made.ca);
  const cert = new X509Certificate(made.cert);

  test('is issued and signed by its authority', () => {
    expect([ca.ca, cert.ca]).toEqual([true, false]);
    expect(cert.checkIssued(ca)).toBe(true);
    expect(cert.verify(ca.publicKey)).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    expect(cert.verify(createPublicKey(createServerCertificate().ca))).toBe(false);
  });

  test('is for loopback and the names given, and no other', () => {
    for (const address of ['127.0.0.1', '::1', '10.0.0.1', 'fe80::1:2'])
      expect(cert.checkIP(address)).toBe(address);
    for (const name of ['localhost', 'registry.test']) expect(cert.checkHost(name)).toBe(name);
    expect([cert.checkHost('other.test'), cert.checkIP('10.0.0.2')]).toEqual([undefined, undefined]);
  });

  test('is valid today, for at most a year', () => {
    expect(cert.validFromDate.getTime()).toBeLessThan(Date.now());
    const left = cert.validToDate.getTime() - Date.now();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(366 * 86_400_000);
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });
});

test('a signing key’s certificate is self-signed with RSA', async () => {
  const { privateKey, certificate } = await createSigningKey();
  expect(privateKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect([certificate.ca, certificate.checkPrivateKey(privateKey)]).toEqual([true, true]);
});

test('a key that signs otherwise is refused by name', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const options = { subject: 'x', publicKey, issuer: { subject: 'x', privateKey }, authority: true };
  expect(() => createCertificate(options)).toThrow(/ed25519/);
});

test('a registry over HTTPS is trusted with its authority and not without', async () => {
  const registry = await registryFor({ auth: 'bearer', tls: { names: ['registry.test'] } });
  const ca = registry.ca ?? '';
  expect(registry.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  expect(registry.tokenUrl).toMatch(/^https:/);
  expect((await send(`${registry.url}/v2/`, { ca })).status).toBe(401);
  expect((await send(registry.tokenUrl, { ca })).status).toBe(200);
  expect((await send(`${registry.url}/v2/`, { ca, servername: 'registry.test' })).status).toBe(401);
  await expect(send(`${registry.url}/v2/`)).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  });
  await expect(send(`${registry.url}/v2/`, { ca: createServerCertificate().ca })).rejects.toThrow();
});
