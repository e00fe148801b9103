/** What `main.ts` uses of Bun, for the type check of this workspace. Bun has all of it (`@types/bun`). */
declare const Bun: {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
};
