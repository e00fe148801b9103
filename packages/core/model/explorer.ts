/**
 * Walks every reachable state of a machine, breadth first.
 *
 * Rules of this file: it knows states, answers and how to tell two states apart, and nothing of what they mean. Reaching
 * `bound` is a fault, never a shorter walk.
 */

/** A machine with the world it is put into. `G` is what the rules remember of the way to a state. */
export interface World<S, A, G> {
  readonly starts: readonly Node<S, G>[];
  /** What may be answered in this state; nothing once it is finished. */
  answers(at: Node<S, G>): Iterable<A>;
  step(state: S, answer: A): S;
  /** What is to be remembered after this step. */
  follow(before: Node<S, G>, answer: A, after: S): G;
  /** Equal for states that no answer and no rule can tell apart. */
  key(at: Node<S, G>): string;
}

export interface Node<S, G> {
  readonly state: S;
  readonly ghost: G;
}

export interface Edge<S, A, G> {
  readonly before: Node<S, G>;
  readonly answer: A;
  readonly after: Node<S, G>;
}

export interface Visitor<S, A, G> {
  /** Told every state once; `path` is a shortest way to it. */
  state(at: Node<S, G>, path: () => readonly A[]): void;
  /**
   * Told every transition once; `path` is a shortest way to where it starts. Returns whether to walk on from where it leads:
   * what follows a fault proves nothing, and may never end.
   */
  edge(edge: Edge<S, A, G>, path: () => readonly A[]): boolean;
}

export interface Walk {
  readonly states: number;
  readonly edges: number;
  /** Steps of the longest way from a start to an end; infinite when there is a cycle. */
  readonly longest: number;
  readonly reachedBound: boolean;
}

interface Visited<S, A, G> extends Node<S, G> {
  readonly index: number;
  readonly from: Visited<S, A, G> | null;
  readonly by: A | null;
  readonly next: Set<number>;
}

export function explore<S, A, G>(world: World<S, A, G>, visitor: Visitor<S, A, G>, bound: number): Walk {
  const byKey = new Map<string, Visited<S, A, G>>();
  const queue: Visited<S, A, G>[] = [];
  let edges = 0;

  const enter = (at: Node<S, G>, from: Visited<S, A, G> | null, by: A | null): number => {
    const key = world.key(at);
    const known = byKey.get(key);
    if (known !== undefined) return known.index;
    const visited: Visited<S, A, G> = { ...at, index: queue.length, from, by, next: new Set() };
    byKey.set(key, visited);
    queue.push(visited);
    visitor.state(visited, () => pathTo(visited));
    return visited.index;
  };

  for (const start of world.starts) enter(start, null, null);
  for (const before of queue) {
    if (queue.length > bound) break;
    for (const answer of world.answers(before)) {
      const state = world.step(before.state, answer);
      const after = { state, ghost: world.follow(before, answer, state) };
      edges += 1;
      if (!visitor.edge({ before, answer, after }, () => pathTo(before))) continue;
      before.next.add(enter(after, before, answer));
    }
  }
  return { states: queue.length, edges, longest: longestWay(queue), reachedBound: queue.length > bound };
}

function pathTo<S, A, G>(end: Visited<S, A, G>): readonly A[] {
  const path: A[] = [];
  for (let at: Visited<S, A, G> | null = end; at !== null; at = at.from)
    if (at.by !== null) path.unshift(at.by);
  return path;
}

/** Takes states out in an order in which all that lead to them went before; what never can be lies on a cycle. */
function longestWay<S, A, G>(visited: readonly Visited<S, A, G>[]): number {
  const waiting = new Int32Array(visited.length);
  const length = new Int32Array(visited.length);
  for (const { next } of visited) for (const index of next) waiting[index] = (waiting[index] ?? 0) + 1;
  const ready = visited.filter(({ index }) => waiting[index] === 0);
  for (const { index, next } of ready) {
    for (const follower of next) {
      length[follower] = Math.max(length[follower] ?? 0, (length[index] ?? 0) + 1);
      const left = (waiting[follower] ?? 0) - 1;
      waiting[follower] = left;
      const node = visited[follower];
      if (left === 0 && node !== undefined) ready.push(node);
    }
  }
  return ready.length === visited.length
    ? length.reduce((a, b) => Math.max(a, b), 0)
    : Number.POSITIVE_INFINITY;
}
