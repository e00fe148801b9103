/** The forms in which a trace can be printed. */

export const traceFormats = ['text', 'json', 'har', 'mermaid', 'curl'] as const;

export type TraceFormat = (typeof traceFormats)[number];
