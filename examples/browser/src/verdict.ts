/**
 * The three decisions about a token server, in words: may it be contacted, may it have the credential, may its token come back.
 *
 * Rules of this file: pure; the core judges, with the policy the request runs under. The reasons are the core's; only how they
 * are called is decided here.
 */

import { type ContactReason, judgeRealm, type Policy, type ReleaseReason, toVisible } from '@reg/core';

export interface Decision {
  readonly question: string;
  readonly answer: 'yes' | 'no' | 'nothing';
  readonly why: string;
}

/** Judges `realm` as the client does. `registry` is the URL that named it. */
export function decide(
  realm: string,
  { registry, credential }: { readonly registry: string; readonly credential: boolean },
  policy: Policy,
): readonly Decision[] {
  const { url, contact, release } = judgeRealm(realm, { registry, credential }, policy);
  const host = url === null ? 'the token server' : toVisible(url.host);
  const nothing = release.reason === 'no-credential';
  return [
    { question: `Contact ${host}?`, answer: contact.allow ? 'yes' : 'no', why: contactWords[contact.reason] },
    {
      question: 'Show it the credential?',
      answer: nothing ? 'nothing' : release.allow ? 'yes' : 'no',
      why: releaseWords[release.reason],
    },
    {
      question: 'Send its token on?',
      answer: contact.allow && release.allow ? 'yes' : 'nothing',
      why:
        contact.allow && release.allow
          ? `To ${toVisible(new URL(registry).host)} alone, for which it is asked.`
          : 'There will be none.',
    },
  ];
}

const contactWords = {
  https: 'It is asked over https, and is no address of this machine or its cloud.',
  'insecure-registry': 'Over http, as the registry itself is on this machine.',
  'user-pair': 'You named it as this registry’s.',
  'not-https': 'It is plain http, where everyone on the way can read the token.',
  unparsable: 'That is no URL.',
  'too-long': 'That is longer than any URL of its kind.',
  scheme: 'That is neither https nor http.',
  'bad-authority': 'Its host can be read in two ways.',
  userinfo: 'There is a user name in it.',
  loopback: 'That is an address of this machine.',
  'link-local': 'That is a link-local address.',
  unspecified: 'That address means any machine.',
  metadata: 'That is where a cloud keeps the credentials of its machines.',
  'host-alias': 'That is a name for this machine.',
  embedded: 'That is an IPv6 address which leads to this machine or its cloud.',
} as const satisfies Record<ContactReason, string>;

const releaseWords = {
  'no-credential': 'There is none: the token is asked for anonymously.',
  'same-origin': 'It is the registry itself.',
  'same-host': 'It is the registry’s own host.',
  'ancestor-domain': 'It is a parent domain of the registry’s, and rules its names already.',
  'built-in-pair': 'It is known to be this registry’s.',
  'user-pair': 'You named it as this registry’s.',
  'any-https': 'The policy trusts any https realm.',
  'no-contact': 'Nobody may be sent there.',
  'not-https': 'A secret would travel over plain http.',
  unrelated: 'Nothing shows that it belongs to this registry.',
} as const satisfies Record<ReleaseReason, string>;
