/** Registries that repeat what they were sent, in each place that is shown. */

import { createServer, type IncomingMessage } from 'node:http';
import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { listening } from '../../../packages/browser/test/chromium.ts';
import { ask, chromiumIsMissing, ended, everythingOf, trust, useStage } from './stage.ts';

const stage = useStage();

type Answer = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A registry that any page may read. */
async function registryThat(answer: (request: IncomingMessage) => Answer): Promise<string> {
  const server = createServer((request, response) => {
    const open = {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': 'Authorization, Accept',
      'Access-Control-Expose-Headers': 'WWW-Authenticate, Link',
    };
    const preflight = request.method === 'OPTIONS';
    const { status = 200, headers = {}, body = '' } = preflight ? { status: 204 } : answer(request);
    response.writeHead(status, { ...open, ...headers }).end(body);
  });
  return `127.0.0.1:${await listening(server)}`;
}

/** What was sent, as it was and decoded, in a few spellings. */
function spellings(sent: string): readonly string[] {
  const [, value = ''] = sent.split(' ');
  const plain = sent.startsWith('Basic') ? Buffer.from(value, 'base64').toString() : value;
  return [sent, plain, encodeURIComponent(plain), plain.slice(0, plain.indexOf(':') + 20)];
}

describe.skipIf(chromiumIsMissing)('what a registry repeats of a secret is not shown', () => {
  const bodies: readonly [string, number, (words: readonly string[]) => unknown][] = [
    ['a text', 403, (words) => words.join(' = ')],
    ['JSON errors', 403, (words) => ({ errors: [{ code: 'DENIED', message: words.join(' = ') }] })],
    ['JSON errors of a server that failed', 500, (words) => ({ errors: [{ message: words.join(' = ') }] })],
    ['tags', 200, (words) => ({ tags: words })],
    ['a text that is no list', 200, (words) => words.join(' = ')],
  ];
  for (const scheme of ['Basic', 'Bearer'] as const) {
    test.each(bodies)(`${scheme}, in %s`, async (_, status, bodyOf) => {
      const password = canary('password');
      const token = canary('token');
      const authority = await registryThat(() => ({ body: JSON.stringify({ token }) }));
      const challenge =
        scheme === 'Basic' ? 'Basic realm="x"' : `Bearer realm="http://${authority}/token",service="x"`;
      const sents: string[] = [];
      const host = await registryThat(({ headers: { authorization } }) => {
        if (authorization === undefined) return { status: 401, headers: { 'WWW-Authenticate': challenge } };
        sents.push(authorization);
        const body = bodyOf([...spellings(authorization), password]);
        return { status, body: typeof body === 'string' ? body : JSON.stringify(body) };
      });
      const { page } = await stage.open();
      // A registry with a token server may not ask for the password itself.
      if (scheme === 'Bearer') await trust(page, `http://${authority}`);
      await ask(page, `${host}/team/app`, { username: 'ada', password });
      await ended(page);
      await page.locator('body[data-settled]').waitFor();
      expect(sents[0]).toMatch(scheme);
      const everything = await everythingOf(page);
      expect(everything).toContain('•••');
      for (const secret of [password, token, 'canary-', ...sents.map((sent) => sent.split(' ')[1] ?? '')]) {
        expect(everything).not.toContain(secret);
      }
    });
  }

  test('in a later run, which has no credential', async () => {
    const password = canary('password');
    let basic = '';
    const host = await registryThat(({ headers: { authorization } }) => {
      if (basic !== '') return { status: 418, body: spellings(basic).join(' = ') };
      if (authorization === undefined) {
        return { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } };
      }
      basic = authorization;
      return { body: '{"tags":["1"]}' };
    });
    const { page } = await stage.open();
    await ask(page, `${host}/team/app`, { username: 'ada', password });
    await ended(page);
    await page.getByRole('radio', { name: 'Nobody' }).check();
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('pre.body').waitFor();
    expect(await page.locator('pre.body').textContent()).toContain('•••');
    expect(await everythingOf(page)).not.toContain('canary-');
  });
});
