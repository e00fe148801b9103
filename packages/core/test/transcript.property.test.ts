import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describe } from '../src/error.ts';
import {
  type ClaimsReader,
  fromJson,
  readClaims,
  replay,
  toCurl,
  toHar,
  toJson,
  toMermaid,
  toText,
} from '../src/transcript/index.ts';
import { canary, run, scripts } from './transcript-scripts.ts';

const numRuns = process.env['REG_LONG'] === undefined ? 400 : 20_000;

test('any operation replays through the same phases, from JSON, redacted', () => {
  fc.assert(
    fc.property(scripts, (script) => {
      const { transcript, phases } = run(script);
      const json = toJson(transcript);
      expect(replay(json)).toEqual({ phases, mismatch: null });
      expect(toJson(fromJson(json))).toBe(json);
    }),
    { numRuns },
  );
});

test('what tokens say is recorded without the tokens, and changes nothing of a replay', () => {
  const renderings = { toText, toMermaid, toHar, toCurl, toJson };
  // The worst that a token could say: itself, in each of its claims.
  const claims: ClaimsReader = (token) => {
    const said = readClaims(token);
    return said === null
      ? null
      : { ...said, issuer: token, subject: `token ${token} is mine`, audience: [token] };
  };
  fc.assert(
    fc.property(scripts, (script) => {
      const { transcript, phases } = run(script, claims);
      const json = toJson(transcript);
      expect(replay(json)).toEqual({ phases, mismatch: null });
      expect(toJson(fromJson(json))).toBe(json);
      for (const [name, render] of Object.entries(renderings)) {
        expect([name, canary(render(transcript))]).toEqual([name, null]);
      }
    }),
    { numRuns },
  );
});

test('no rendering of any operation shows a secret, in any spelling a server says it back in', () => {
  const renderings = { toText, toMermaid, toHar, toCurl, toJson };
  fc.assert(
    fc.property(scripts, (script) => {
      const { transcript, told } = run(script);
      for (const [name, render] of Object.entries(renderings)) {
        expect([name, canary(render(transcript))]).toEqual([name, null]);
      }
      expect(canary(JSON.stringify(told))).toBeNull();
      if (transcript.failure !== null) expect(canary(describe(transcript.failure))).toBeNull();
    }),
    { numRuns },
  );
});
