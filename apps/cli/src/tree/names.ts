/** Words of the command line that more than its declaration knows. */

export const shells = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof shells)[number];

/** What `reg help` tells of beside the commands. */
export const helpTopics = ['exit-codes', 'environment', 'auth-files'] as const;

export type HelpTopic = (typeof helpTopics)[number];

/** The forms in which a trace can be printed. */
export const traceFormats = ['text', 'json', 'har', 'mermaid', 'curl'] as const;

export type TraceFormat = (typeof traceFormats)[number];
