export { type Claims, type ClaimsReader, readAccess, readClaims } from './claims.ts';
export { toCurl } from './curl.ts';
export { toHar } from './har.ts';
export { fromJson, toJson } from './json.ts';
export { reasonPhrase, statusWords } from './legs.ts';
export { toMermaid } from './mermaid.ts';
export { type Mismatch, type Replay, replay } from './replay.ts';
export { type TextOptions, type TextRole, toText } from './text.ts';
export type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RecordedAnswer,
  RecordedAuthorization,
  RecordedCredential,
  RecordedGrant,
  RecordedResponse,
  RecordedSend,
  RecordedTokenAnswer,
  Redacted,
  RetryStep,
  SentStep,
  Transcript,
  TranscriptStep,
} from './transcript.ts';
