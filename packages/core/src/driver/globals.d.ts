// What the driver uses of the platform beside the core's own names: a clock, a timer and a way to abort.

declare class AbortController {
  readonly signal: {
    readonly aborted: boolean;
    readonly reason: unknown;
    addEventListener(type: 'abort', listener: () => void): void;
    removeEventListener(type: 'abort', listener: () => void): void;
  };
  abort(reason?: unknown): void;
}

declare const performance: { readonly timeOrigin: number; now(): number };

declare function setTimeout(callback: () => void, ms: number): unknown;
declare function clearTimeout(timer: unknown): void;
