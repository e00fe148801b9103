/**
 * Collects what happened in one operation and makes a transcript of it when somebody asks.
 *
 * Rules of this file: what goes over the wire costs one array entry here and nothing else; texts are made, and secrets hidden,
 * on the way out. A transcript is made twice and the first one thrown away: it teaches all the secrets, so that one that
 * turns up before it is recognisable is hidden too.
 */

import type { Credential } from '../credential.ts';
import type {
  ExchangeAnswer,
  Granted,
  HandshakeAnswer,
  NoResponse,
  RegistrySend,
  TokenSend,
} from '../effect.ts';
import type { ExchangeState, Requester } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Authorization, Grant, Need } from '../grant.ts';
import type { HandshakeState, Hint } from '../handshake.ts';
import type { Head, RegistryRequest } from '../message.ts';
import type { Policy } from '../policy.ts';
import type { Secret } from '../secret.ts';
import type { Claims, ClaimsReader } from '../transcript/claims.ts';
import { Redactor } from '../transcript/redact.ts';
import type {
  RecordedAnswer,
  RecordedAuthorization,
  RecordedCredential,
  RecordedResponse,
  RecordedSend,
  RecordedTokenAnswer,
  Transcript,
  TranscriptStep,
} from '../transcript/transcript.ts';
import type { Found } from './port.ts';
import { orNothing } from './store.ts';
import { textOf } from './wire.ts';

type Event =
  | {
      readonly type: 'handshake';
      readonly at: number;
      readonly before: HandshakeState;
      readonly answer: HandshakeAnswer;
      readonly after: HandshakeState;
      readonly body: string | null;
    }
  | {
      readonly type: 'began';
      readonly id: number;
      readonly at: number;
      readonly need: Need;
      readonly credential: Credential | null;
      readonly requester: Requester;
      readonly after: ExchangeState;
    }
  | {
      readonly type: 'exchange';
      readonly id: number;
      readonly at: number;
      readonly before: ExchangeState;
      readonly answer: ExchangeAnswer;
      readonly after: ExchangeState;
    }
  | {
      readonly type: 'credential';
      readonly at: number;
      readonly registry: string;
      readonly found: Found | null;
    }
  | {
      readonly type: 'retry';
      readonly at: number;
      readonly url: string;
      readonly status: number | null;
      readonly waitMs: number;
    };

export interface RecorderOptions {
  /**
   * Told each step, redacted, as it is added; what it throws is ignored. It hears a step before later secrets are known, which
   * `transcript()` hides everywhere.
   */
  readonly onStep?: ((step: TranscriptStep) => void) | undefined;
  /** Epoch milliseconds at which the operation began, so that the first request has a duration. */
  readonly startedAt?: number;
  /** What of a token is recorded; without it nothing is. */
  readonly claims?: ClaimsReader | undefined;
}

export class Recorder {
  readonly #request: RegistryRequest;
  readonly #policy: Policy;
  readonly #hint: Hint | null;
  readonly #options: RecorderOptions;
  readonly #events: Event[] = [];
  #redactor: Redactor | null = null;
  #failure: Failure | null = null;
  #exchanges = 0;
  #body: string | null = null;
  /** When each machine began to wait for its next answer, if that is known. */
  #handshakeAt: number | undefined;
  #exchangeAt: number | undefined;

  constructor(request: RegistryRequest, policy: Policy, hint: Hint | null, options: RecorderOptions = {}) {
    this.#request = request;
    this.#policy = policy;
    this.#hint = hint;
    this.#options = options;
    this.#handshakeAt = options.startedAt;
  }

  /** The body of the response that the next `handshake` tells of. */
  body(text: string | null): void {
    this.#body = text;
  }

  /** The handshake was in `before`, got `answer`, and is in `after`. */
  handshake(before: HandshakeState, answer: HandshakeAnswer, after: HandshakeState): void {
    const at = this.#handshakeAt ?? answer.at;
    this.#add({ type: 'handshake', at, before, answer, after, body: this.#body });
    this.#handshakeAt = answer.at;
    this.#body = null;
  }

  /** The number of one more exchange. */
  nextExchange(): number {
    this.#exchanges += 1;
    return this.#exchanges;
  }

  exchangeBegan(
    id: number,
    at: number,
    need: Need,
    credential: Credential | null,
    requester: Requester,
    after: ExchangeState,
  ): void {
    this.#add({ type: 'began', id, at, need, credential, requester, after });
    this.#exchangeAt = at;
  }

  exchange(id: number, before: ExchangeState, answer: ExchangeAnswer, after: ExchangeState): void {
    const at = answer.type === 'token-response' ? answer.sentAt : (this.#exchangeAt ?? answer.at);
    this.#add({ type: 'exchange', id, at, before, answer, after });
    this.#exchangeAt = answer.at;
  }

  /** The keychain answered. */
  credential(at: number, registry: string, found: Found | null): void {
    this.#add({ type: 'credential', at, registry, found });
  }

  /** A token request is sent again after `waitMs`, because of `status` or because no response came (`null`). */
  retry(at: number, url: string, status: number | null, waitMs: number): void {
    this.#add({ type: 'retry', at, url, status, waitMs });
    this.#exchangeAt = at + waitMs;
  }

  /** The operation ended like this. */
  failed(failure: Failure): void {
    this.#failure = failure;
  }

  /** `failure` as it may be shown: without any secret of this operation in a peer's words. */
  redacted(failure: Failure): Failure {
    this.#make();
    return this.#hiding().failure(failure);
  }

  /** `text` as it may be shown: without any secret of this operation that is known by now. */
  clean(text: string): string {
    return this.#hiding().clean(text);
  }

  /** A recorder for a part of this operation: it knows the same secrets by the same names, and keeps its own steps. */
  beside(onStep: (step: TranscriptStep) => void): Recorder {
    const { claims } = this.#options;
    const recorder = new Recorder(this.#request, this.#policy, this.#hint, { onStep, claims });
    recorder.#redactor = this.#hiding();
    return recorder;
  }

  transcript(): Transcript {
    // Once for the secrets, which may come after what repeats them, and once for the text.
    this.#make();
    return this.#make();
  }

  #add(event: Event): void {
    this.#events.push(event);
    const { onStep: tell, claims } = this.#options;
    if (tell === undefined) return;
    const step = stepOf(event, this.#hiding(), claims);
    // An observer's fault is not the operation's, now or, if it is asynchronous, later.
    void orNothing(() => tell(step));
  }

  #hiding(): Redactor {
    this.#redactor ??= new Redactor(this.#request.url);
    return this.#redactor;
  }

  #make(): Transcript {
    const hiding = this.#hiding();
    const { url, headers } = this.#request;
    return {
      version: 1,
      request: { ...this.#request, url: hiding.url(url), headers: hiding.requestHeaders(headers) },
      policy: this.#policy,
      hint: hintOf(this.#hint, hiding),
      steps: this.#events.map((event) => stepOf(event, hiding, this.#options.claims)),
      failure: this.#failure === null ? null : hiding.failure(this.#failure),
    };
  }
}

function stepOf(event: Event, hiding: Redactor, claims: ClaimsReader | undefined): TranscriptStep {
  switch (event.type) {
    case 'handshake':
      return handshakeStep(event, hiding);
    case 'began':
      return {
        machine: 'exchange',
        exchange: event.id,
        phase: 'begin',
        at: event.at,
        need: needOf(event.need, hiding),
        credential: event.credential === null ? null : credentialOf(event.credential, hiding),
        clientId: event.requester.clientId,
        principal: event.requester.principal,
        next: event.after.phase,
      };
    case 'exchange':
      return exchangeStep(event, hiding, claims);
    case 'credential': {
      const { at, registry, found } = event;
      if (found?.credential) credentialOf(found.credential, hiding);
      const shown =
        found === null
          ? null
          : { type: found.credential?.type ?? ('anonymous' as const), source: hiding.prose(found.source) };
      return { machine: 'seam', phase: 'credential', at, registry, found: shown };
    }
    case 'retry': {
      const { at, url, status, waitMs } = event;
      return { machine: 'seam', phase: 'retry', at, url: hiding.clean(url), status, waitMs };
    }
  }
}

function handshakeStep(event: Event & { type: 'handshake' }, hiding: Redactor): TranscriptStep {
  const { at, before, answer, after, body } = event;
  const step = { machine: 'handshake', at, next: after.phase } as const;
  if (before.phase === 'obtaining' && (answer.type === 'granted' || answer.type === 'refused')) {
    const { need, replacing } = before.awaiting;
    return {
      ...step,
      phase: before.phase,
      effect: { type: 'obtain', need: needOf(need, hiding), replacing: replacing !== null },
      answer:
        answer.type === 'granted'
          ? grantedOf(answer, hiding)
          : { ...answer, failure: hiding.failure(answer.failure) },
    };
  }
  if (
    (before.phase === 'sending' || before.phase === 'probing') &&
    (answer.type === 'response' || answer.type === 'no-response')
  ) {
    return {
      ...step,
      phase: before.phase,
      effect: registrySend(before.awaiting, hiding),
      answer: answer.type === 'response' ? responseOf(answer, body, hiding) : silenceOf(answer, hiding),
    };
  }
  throw misfit(before.phase, answer.type);
}

function exchangeStep(
  event: Event & { type: 'exchange' },
  hiding: Redactor,
  claims: ClaimsReader | undefined,
): TranscriptStep {
  const { id, at, before, answer, after } = event;
  if (before.phase !== 'posting' && before.phase !== 'getting') throw misfit(before.phase, answer.type);
  const effect = tokenSend(before.awaiting, hiding);
  let said: Claims | null | undefined;
  if (after.phase === 'granted') {
    const { authorization } = after.grant;
    authorizationOf(authorization, hiding);
    if (after.refreshToken !== null) hiding.name(textOf(after.refreshToken));
    if (authorization.scheme === 'bearer') said = claims?.(textOf(authorization.token));
  }
  return {
    machine: 'exchange',
    exchange: id,
    phase: before.phase,
    at,
    effect,
    answer:
      answer.type === 'token-response' ? tokenAnswerOf(answer, said, hiding) : silenceOf(answer, hiding),
    next: after.phase,
  };
}

function misfit(phase: string, answer: string): TypeError {
  return new TypeError(`[@reg/core] '${answer}' does not answer '${phase}'`);
}

// Effects.

function registrySend(effect: RegistrySend, hiding: Redactor): RecordedSend {
  const { method, url, headers, authorization, body } = effect;
  return {
    type: 'send',
    to: 'registry',
    method,
    url: hiding.url(url),
    headers: hiding.requestHeaders(headers.map(([name, value]) => [name, plain(value)])),
    authorization: authorization === null ? null : authorizationOf(authorization, hiding),
    body,
    form: null,
  };
}

function plain(value: string | Secret): string {
  return typeof value === 'string' ? value : textOf(value);
}

/** A token request's URL is the realm, which the challenge says to anyone, and parameters of ours: no part is masked. */
function tokenSend(effect: TokenSend, hiding: Redactor): RecordedSend {
  const { method, url, headers, authorization, form } = effect;
  return {
    type: 'send',
    to: 'authority',
    method,
    url: hiding.clean(url),
    headers: hiding.requestHeaders(headers),
    authorization: authorization === null ? null : authorizationOf(authorization, hiding),
    body: form === null ? 'none' : 'form',
    form:
      form === null
        ? null
        : form.map(([name, value]) => [
            name,
            typeof value === 'string' ? hiding.clean(value) : hiding.name(textOf(value)),
          ]),
  };
}

// Answers.

function responseOf(
  { at, head, problems, address, timing }: HandshakeAnswer & { type: 'response' },
  body: string | null,
  hiding: Redactor,
): RecordedResponse {
  return {
    type: 'response',
    at,
    head: headOf(head, hiding),
    problems: hiding.problems(problems),
    body: body === null ? null : hiding.prose(body),
    ...(address === undefined ? {} : { address }),
    ...(timing === undefined ? {} : { timing }),
  };
}

function tokenAnswerOf(
  answer: ExchangeAnswer & { type: 'token-response' },
  claims: Claims | null | undefined,
  hiding: Redactor,
): RecordedTokenAnswer {
  const { type, at, sentAt, head, text, retryAfterMs, address, timing } = answer;
  const shape = text === null ? null : hiding.tokenBody(text);
  return {
    type,
    at,
    sentAt,
    head: headOf(head, hiding),
    text: shape,
    retryAfterMs,
    ...(claims === undefined ? {} : { claims: claims === null ? null : hiding.claims(claims) }),
    ...(address === undefined ? {} : { address }),
    ...(timing === undefined ? {} : { timing }),
  };
}

function silenceOf(answer: NoResponse, hiding: Redactor): NoResponse {
  return { ...answer, code: hiding.clean(answer.code), message: hiding.prose(answer.message) };
}

function headOf(head: Head, hiding: Redactor): Head {
  const { status, headers, url, filtered, known } = head;
  return {
    status,
    headers: hiding.responseHeaders(headers),
    ...(url === undefined ? {} : { url: hiding.url(url) }),
    ...(filtered === undefined ? {} : { filtered }),
    ...(known === undefined ? {} : { known: hiding.clean(known) }),
  };
}

function grantedOf(
  { type, at, grant, reuse }: Granted,
  hiding: Redactor,
): RecordedAnswer & { type: 'granted' } {
  return { type, at, grant: grantOf(grant, hiding), reuse };
}

function grantOf(grant: Grant, hiding: Redactor): (RecordedAnswer & { type: 'granted' })['grant'] {
  return {
    ...grant,
    authorization: authorizationOf(grant.authorization, hiding),
    realm: cleaned(grant.realm, hiding),
    service: cleaned(grant.service, hiding),
    asked: hiding.scopes(grant.asked),
    granted: grant.granted === null ? null : hiding.scopes(grant.granted),
  };
}

// What holds secrets, or what a peer said.

function authorizationOf(authorization: Authorization, hiding: Redactor): RecordedAuthorization {
  if (authorization.scheme === 'bearer') {
    return { scheme: 'bearer', token: hiding.name(textOf(authorization.token)) };
  }
  const { username, password } = authorization;
  const name = hiding.name(textOf(password), username);
  return { scheme: 'basic', username: hiding.username(username), password: name };
}

function credentialOf(credential: Credential, hiding: Redactor): RecordedCredential {
  switch (credential.type) {
    case 'password': {
      const password = hiding.name(credential.password, credential.username);
      return { type: 'password', username: hiding.username(credential.username), password };
    }
    case 'identity':
    case 'registry':
      return { type: credential.type, token: hiding.name(credential.token) };
  }
}

function needOf(need: Need, hiding: Redactor): Need {
  return {
    ...need,
    realm: cleaned(need.realm, hiding),
    service: cleaned(need.service, hiding),
    scopes: hiding.scopes(need.scopes),
    challenged: hiding.scopes(need.challenged),
  };
}

function hintOf(hint: Hint | null, hiding: Redactor): Hint | null {
  if (hint === null) return null;
  const elsewhere = cleaned(hint.elsewhere, hiding);
  if (hint.scheme === 'none') return { ...hint, elsewhere };
  return { ...hint, realm: cleaned(hint.realm, hiding), service: cleaned(hint.service, hiding), elsewhere };
}

function cleaned(text: string | null, hiding: Redactor): string | null {
  return text === null ? null : hiding.clean(text);
}
